"""Routes of other servers, at the places where their clients look for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from riffusion_ext.api.compat.input import read_ask, read_object
from riffusion_ext.api.compat.riffusion_server import check_images, run_inference
from riffusion_ext.api.compat.vst import check_mask, read_plugin_audio, run_vst
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.errors import ApiError, AsciiJSON, headers_of, more_headers, status_of
from riffusion_ext.api.requests.content_type import is_from_browser, is_json
from riffusion_ext.api.requests.threads import PARSING, in_pool
from riffusion_ext.api.responses import finished
from riffusion_ext.files.paths import without_folders
from riffusion_ext.jobs import ENDED, Job, Work
from riffusion_ext.validation.finite import flaw

__all__ = ["BODY_BYTES", "endpoints"]

logger = logging.getLogger(__name__)

_PATIENCE = 600.0
"""Seconds until a client that waits for one image is told that it takes too long."""

BODY_BYTES = {"/run_inference": 1 << 20, "/run_vst": 1 << 24}
"""Largest bodies, by path; the plugin's holds a sound."""

_Endpoint = Callable[[Request], Awaitable[Response]]
_Answer = Callable[..., Response]


def plain(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal of the original server: plain text."""
    text = without_folders(text).encode("utf-8", "replace").decode()
    status = 400 if status == 422 else status
    return PlainTextResponse(text[:600], status, {"X-Content-Type-Options": "nosniff", **more_headers(status, headers)})


def plugin(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a refusal for the plugin: always JSON, or it waits for more."""
    body = {"error": without_folders(text)[:600]}
    return AsciiJSON(body, 400 if status == 422 else status, more_headers(status, headers))


def endpoints(service: ApiContext) -> dict[str, tuple[_Endpoint, _Answer]]:
    """Return what answers each of the paths, and what refuses there. Clients put a slash behind the paths."""

    def prepare_inference(body: bytes) -> Work:
        values = read_object(body, service.limits.json_bytes)
        ask = read_ask(values, most_steps=service.limits.steps)
        seed = check_images(values, ask.mask)
        return lambda job: run_inference(service, ask, seed, job)

    def prepare_vst(body: bytes) -> Work:
        values = read_object(body, service.limits.json_bytes)
        ask = read_ask(values, most_steps=service.limits.steps)
        check_mask(ask.mask)
        clip = read_plugin_audio(values)
        return lambda job: run_vst(service, ask, clip, job)

    return {
        "/run_inference": (_endpoint(service, "run_inference", prepare_inference, plain), plain),
        "/run_vst": (_endpoint(service, "run_vst", prepare_vst, plugin), plugin),
    }


def _endpoint(service: ApiContext, kind: str, prepare: Callable[[bytes], Work], answer: _Answer) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        made: list[Mapping[str, Any]] = []
        try:
            _check_sender(request)
            work = await in_pool(PARSING, prepare, await request.body())
            service.check_backend()
            job = service.jobs.submit(kind, "paint", _into(made, work))
            if not await _over(job, request):
                return answer(503, "this took too long")
            if (cause := job.cause) is not None:
                job.cause = None  # raised, it keeps the request with its body
                raise cause
        except Exception as error:
            if status_of(error) == 500:
                logger.exception("%s", kind, exc_info=error)
                text = f"something went wrong here: {type(error).__name__}; the server's log has the details"
                return answer(500, text)
            return answer(status_of(error), str(error), headers_of(error))
        return AsciiJSON(made.pop()) if made else answer(503, "this was stopped")

    return endpoint


def _check_sender(request: Request) -> None:
    """Raise an ApiError where a page in a browser sends anything but JSON.

    Clients may name any content type, as in the original; see :mod:`riffusion_ext.api.requests.content_type` on
    browsers.
    """
    if is_from_browser(request.scope) and not is_json(request.scope):
        raise ApiError(415, "pages in a browser must send the content type application/json")


def _into(made: list[Mapping[str, Any]], work: Work) -> Work:
    """Return the work with its result put aside: jobs are remembered for long, images and sounds are not."""

    def run(job: Job) -> dict[str, Any]:
        result = work(job)
        if (wrong := flaw(result)) is not None:
            raise ValueError(f"what came of this cannot be told: {wrong}")
        complete = result.get("complete", True)
        if complete:
            made.append(result)
        return {"complete": complete}

    return run


async def _over(job: Job, request: Request) -> bool:
    """Wait for a job while the client does; returns whether it has ended, else it is stopped.

    riffusion-app gives up after a minute, and nobody would hear what is generated then.
    """
    waits = {asyncio.ensure_future(finished(job)), asyncio.ensure_future(_gone(request))}
    try:
        await asyncio.wait(waits, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if job.state in ENDED:
        return True
    job.cancel()
    return False


async def _gone(request: Request) -> None:
    """Wait until the client has hung up. Its body has been read, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
