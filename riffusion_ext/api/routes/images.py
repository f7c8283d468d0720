"""The route for programs that plan for themselves: single images, by the host's model. Answers 202 with a job.

A request has the fields of :class:`riffusion_ext.generate.backends.base.Request`, so that a song whose windows are
generated through this route is the same as one made here.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter
from starlette.responses import Response

from riffusion_ext.api.context import ApiContext, file_view
from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.generation import JobProgress, watch_backend
from riffusion_ext.api.inputs import check_text, open_stored_image
from riffusion_ext.api.requests.json_route import json_route
from riffusion_ext.api.requests.threads import in_thread
from riffusion_ext.api.responses import accept
from riffusion_ext.api.schemas import LONGEST_TEXT, Generate, Generations, pick_fields
from riffusion_ext.jobs import Job

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.backends.base import Backend, Request

__all__ = ["router"]

T = TypeVar("T")


def router(service: ApiContext) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["painting"], route_class=json_route(service.limits))

    @routes.post("/paintings", status_code=202, summary="Single images, between two prompts each")
    async def generations(body: Generations) -> Response:
        service.check_backend()
        _check(service, body)
        return await in_thread(_generations, service, body)

    return routes


def _check(service: ApiContext, body: Generations) -> None:
    limits = service.limits
    if not 1 <= len(body.requests) <= limits.pictures:
        raise ApiError(422, f"1 to {limits.pictures} images are generated at a time, got {len(body.requests)}")
    pixels = sum(item.width * item.height for item in body.requests)
    if pixels > limits.pixels:
        raise ApiError(413, f"the images have {pixels} pixels together, {limits.pixels} are allowed here")
    for item in body.requests:
        if item.steps > limits.steps:
            raise ApiError(422, f"at most {limits.steps} steps are allowed here, got {item.steps}")
        check_text(item.sampler)
        service.check_sampler(item.sampler)


def _pair(values: Sequence[T], name: str) -> tuple[T, T]:
    if len(values) != 2:
        raise ApiError(422, f"{name} takes two values, from and to; got {len(values)}")
    return values[0], values[1]


def _request(service: ApiContext, item: Generate) -> Request:
    from riffusion_ext.generate.backends.base import Request

    prompts, negatives = _pair(item.prompts, "prompts"), _pair(item.negatives, "negatives")
    check_text(*prompts, *negatives)
    if max(map(len, (*prompts, *negatives))) > LONGEST_TEXT:
        raise ApiError(422, f"a prompt has at most {LONGEST_TEXT} characters")
    first, second = _pair(item.seeds, "seeds")
    init, mask = open_stored_image(service, item.init), open_stored_image(service, item.mask)
    return Request(
        prompts=prompts,
        negatives=negatives,
        seeds=(first % 2**32, second % 2**32),
        init=None if init is None else init.convert("RGB"),
        mask=None if mask is None else mask.convert("L"),
        **pick_fields(item, "alpha", "cfg", "denoise", "steps", "sampler", "width", "height", "loop"),
    )


def _check_model(backend: Backend, expected: str | None) -> Backend:
    if expected is not None and backend.name != expected:
        changed = f"the model of the webui was changed from {expected} to {backend.name}"
        raise ApiError(409, f"{changed}: choose {expected} again to go on")
    return backend


def _generations(service: ApiContext, body: Generations) -> Response:
    _check_model(service.backend(), body.model)
    for item in body.requests:  # for what is wrong with them; what waits for its turn holds no images
        _request(service, item)

    def work(job: Job) -> dict[str, object]:
        from riffusion_ext.generate.interpolation import generate

        progress = JobProgress(job, len(body.requests), last_message="writing the images")
        backend = watch_backend(_check_model(service.backend(), body.model), body.batch, job, progress)
        requests = [_request(service, item) for item in body.requests]
        images = generate(requests, backend, generated=progress.report_done)
        stored = [_store_image(service, *pair) for pair in zip(images, body.requests, strict=False)]
        return {"pictures": stored, "model": backend.name, "complete": len(images) == len(requests)}

    return accept(service, "paintings", "paint", work)


def _store_image(service: ApiContext, image: Image.Image, item: Generate) -> dict[str, object]:
    """Keep an image exactly as it was generated, with the host's own record of how."""
    from PIL.PngImagePlugin import PngInfo

    from riffusion_ext.files.atomic import write_atomically

    texts = PngInfo()
    if isinstance(text := image.info.get("parameters"), str):
        texts.add_text("parameters", text)
    path = service.folder("pictures") / f"{secrets.token_hex(8)}.png"
    write_atomically(path, lambda file: image.save(file, "PNG", pnginfo=texts, compress_level=1))
    name = " ".join(item.prompts[0].split())[:80] or "picture"
    record = service.save("pictures", path, title=name, download_name=f"{name}.png")
    return {**file_view(service, "pictures", record), "width": image.width, "height": image.height}
