"""Routes of other servers, under the paths that their clients use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from riffusion_ext.api.compat.input import read_inference_input, read_object
from riffusion_ext.api.compat.riffusion_server import check_images, run_inference
from riffusion_ext.api.compat.vst import check_mask, read_plugin_audio, run_vst
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.errors import ApiError, AsciiJSON, headers_of, refusal_headers, status_of
from riffusion_ext.api.requests.content_type import is_from_browser, is_json
from riffusion_ext.api.requests.threads import PARSING, in_pool
from riffusion_ext.api.responses import wait_for
from riffusion_ext.files.paths import without_folders
from riffusion_ext.jobs import ENDED, Job, Work
from riffusion_ext.validation.finite import find_json_error

__all__ = ["BODY_BYTES", "endpoints"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 600.0
"""Seconds after which a client that waits for an image gets an error."""

BODY_BYTES = {"/run_inference": 1 << 20, "/run_vst": 1 << 24}
"""Maximum body sizes by path; that of the plugin contains audio."""

_Endpoint = Callable[[Request], Awaitable[Response]]
_Refuse = Callable[..., Response]


def plain_refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Build an error response as the original server does: plain text."""
    text = without_folders(text).encode("utf-8", "replace").decode()
    status = 400 if status == 422 else status
    return PlainTextResponse(
        text[:600], status, {"X-Content-Type-Options": "nosniff", **refusal_headers(status, headers)}
    )


def plugin_refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Build an error response for the plugin: always JSON, as the plugin would wait for more otherwise."""
    body = {"error": without_folders(text)[:600]}
    return AsciiJSON(body, 400 if status == 422 else status, refusal_headers(status, headers))


def endpoints(service: ApiContext) -> dict[str, tuple[_Endpoint, _Refuse]]:
    """Return the endpoint and the error response of each path. Clients append a slash to the paths."""

    def prepare_inference(body: bytes) -> Work:
        values = read_object(body, service.limits.json_bytes)
        inputs = read_inference_input(values, max_steps=service.limits.steps)
        seed = check_images(values, inputs.mask)
        return lambda job: run_inference(service, inputs, seed, job)

    def prepare_vst(body: bytes) -> Work:
        values = read_object(body, service.limits.json_bytes)
        inputs = read_inference_input(values, max_steps=service.limits.steps)
        check_mask(inputs.mask)
        clip = read_plugin_audio(values)
        return lambda job: run_vst(service, inputs, clip, job)

    return {
        "/run_inference": (_endpoint(service, "run_inference", prepare_inference, plain_refusal), plain_refusal),
        "/run_vst": (_endpoint(service, "run_vst", prepare_vst, plugin_refusal), plugin_refusal),
    }


def _endpoint(service: ApiContext, kind: str, prepare: Callable[[bytes], Work], refuse: _Refuse) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        results: list[Mapping[str, object]] = []
        try:
            _check_sender(request)
            work = await in_pool(PARSING, prepare, await request.body())
            service.check_backend()
            job = service.jobs.submit(kind, "paint", _collect_result(results, work))
            if not await _wait_while_connected(job, request):
                return refuse(503, "this took too long")
            if (cause := job.cause) is not None:
                job.cause = None  # once raised, it keeps the request and its body alive
                raise cause
        except Exception as error:
            if status_of(error) == 500:
                logger.exception("%s", kind, exc_info=error)
                text = f"something went wrong here: {type(error).__name__}; the server's log has the details"
                return refuse(500, text)
            return refuse(status_of(error), str(error), headers_of(error))
        return AsciiJSON(results.pop()) if results else refuse(503, "this was stopped")

    return endpoint


def _check_sender(request: Request) -> None:
    """Raise an ApiError if a page in a browser sends anything but JSON.

    Programs may send any content type, as with the original; see :mod:`riffusion_ext.api.requests.content_type` on
    browsers.
    """
    if is_from_browser(request.scope) and not is_json(request.scope):
        raise ApiError(415, "pages in a browser must send the content type application/json")


def _collect_result(results: list[Mapping[str, object]], work: Work) -> Work:
    """Wrap work so that its result is put into a list, as a job would keep images and audio in memory for long."""

    def run(job: Job) -> dict[str, object]:
        result = work(job)
        if (problem := find_json_error(result)) is not None:
            raise ValueError(f"the result is not valid JSON: {problem}")
        complete = result.get("complete", True)
        if complete:
            results.append(result)
        return {"complete": complete}

    return run


async def _wait_while_connected(job: Job, request: Request) -> bool:
    """Wait for a job as long as the client is connected; return whether it has ended, else cancel it.

    riffusion-app gives up after a minute; continuing would be useless.
    """
    tasks = {asyncio.ensure_future(wait_for(job)), asyncio.ensure_future(_wait_for_disconnect(request))}
    try:
        await asyncio.wait(tasks, timeout=_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    if job.state in ENDED:
        return True
    job.cancel()
    return False


async def _wait_for_disconnect(request: Request) -> None:
    """Wait until the client disconnects. Its body has been read, so no other message can arrive."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
