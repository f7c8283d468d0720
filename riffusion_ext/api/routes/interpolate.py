"""The route for interpolations between two prompts. It responds with 202 and a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.generation import JobProgress, check_save, render, store_image, store_sound
from riffusion_ext.api.inputs import check_text, open_stored_image
from riffusion_ext.api.requests.json_route import json_route
from riffusion_ext.api.requests.threads import in_thread
from riffusion_ext.api.responses import accept
from riffusion_ext.api.schemas import Interpolate, InterpolateEnd, pick_fields
from riffusion_ext.convert import check_format
from riffusion_ext.jobs import Job

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.interpolation import InterpolationSettings

__all__ = ["load_mask_image", "load_seed_image", "router"]


def router(service: ApiContext) -> APIRouter:
    """Build the route."""
    routes = APIRouter(tags=["painting"], route_class=json_route(service.limits))

    @routes.post("/interpolations", status_code=202, summary="Interpolation between two prompts: images and sound")
    async def interpolate(body: Interpolate) -> Response:
        service.check_backend()
        service.check_sampler(body.sampler)
        check_format(body.format)
        check_save(service, body.save)
        limits = service.limits
        if body.steps > limits.steps:
            raise ApiError(422, f"at most {limits.steps} steps are allowed here, got {body.steps}")
        if body.count > limits.pictures:
            raise ApiError(422, f"at most {limits.pictures} images are generated at a time, got {body.count}")
        return await in_thread(_interpolate, service, body)

    return routes


def load_seed_image(name: str) -> Image.Image:
    """Return a built-in seed image; KeyError if the name is unknown."""
    from riffusion_ext.api.compat.assets import seed_image

    return seed_image(name).copy()


def load_mask_image(name: str) -> Image.Image:
    """Return a built-in mask; KeyError if the name is unknown."""
    from riffusion_ext.api.compat.assets import mask_image

    return mask_image(name).copy()


def _settings(service: ApiContext, body: Interpolate) -> InterpolationSettings:
    from riffusion_ext.api.compat.assets import MASKS, SEEDS
    from riffusion_ext.generate.interpolation import InterpolationSettings, PromptInput, fit_init_image

    def end(item: InterpolateEnd) -> PromptInput:
        check_text(item.prompt, item.negative)
        return PromptInput(**pick_fields(item, "prompt", "negative", "seed", "denoise", "cfg"))

    for ours, other in (("seed_image", "seed_picture"), ("mask_image", "mask")):
        if getattr(body, ours) and getattr(body, other):
            raise ApiError(422, f"give {ours} or {other}, one of the two")
    for name, known, what in ((body.seed_image, SEEDS, "seed_image"), (body.mask_image, MASKS, "mask_image")):
        if name and name not in known:
            raise ApiError(422, f"{what} must be one of {', '.join(known)}, got {name[:60]!r}")
    seed = load_seed_image(body.seed_image) if body.seed_image else open_stored_image(service, body.seed_picture)
    mask = load_mask_image(body.mask_image) if body.mask_image else open_stored_image(service, body.mask)
    start, stop = end(body.start), end(body.end)
    image = None if seed is None else fit_init_image(seed)
    return InterpolationSettings(start, stop, body.steps, body.sampler, image, mask, width=body.width)


def _interpolate(service: ApiContext, body: Interpolate) -> Response:
    from riffusion_ext.generate.interpolation import Interpolation, positions_of
    from riffusion_ext.params import PRESETS
    from riffusion_ext.spectrogram.settings import DecodeSettings, available_engines

    if body.engine not in available_engines():
        raise ApiError(422, f"the engine {body.engine} is not there; there are {', '.join(available_engines())}")
    params = PRESETS["riffusion-v1"]
    decode = DecodeSettings(
        engine=body.engine,
        level=body.level,
        params=params,
        device=service.device(),
        high_frequencies=body.high_frequencies,
    )
    positions = positions_of(body.count, body.power)
    settings = _settings(service, body)
    Interpolation(settings, positions, decode)  # raises what is wrong with them at once, not in the job
    title = f"{body.start.prompt} to {body.end.prompt}"

    def work(job: Job) -> dict[str, object]:
        progress = JobProgress(job, len(positions))
        piece = Interpolation(settings, positions, decode, on_image=progress.report_done)
        _, clip = render(service, piece, job, progress, batch=body.batch)
        if clip is None:
            return {"complete": False}
        stored = [store_image(service, image, params, title) for image in piece.images]
        steps = [{"alpha": round(alpha, 6), "picture": view} for alpha, view in zip(positions, stored, strict=False)]
        complete = len(piece.images) == len(positions)
        kind = "interpolations" if body.save else ""
        sound = store_sound(service, piece, clip, body.format, title[:200], complete=complete, save_as=kind)
        return {**sound, "steps": steps, "complete": complete, "notes": piece.notes}

    return accept(service, "interpolation", "paint", work)
