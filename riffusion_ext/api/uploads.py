"""Routes for files: uploaded as they are, fetched by their ids."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from riffusion_ext.api import guard
from riffusion_ext.api.media import file_reply
from riffusion_ext.api.replies import ApiError, AsciiJSON
from riffusion_ext.api.service import KINDS, Service, clip_view, file_view
from riffusion_ext.api.take import checked_sound, file_name, opened_picture, sound_suffix

__all__ = ["router"]

_NAME = Query("", max_length=300, description="what the file is called; only its last part counts")


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["files"])

    @routes.post("/pictures", status_code=201, summary="Upload a picture: the body is the file")
    async def upload_picture(request: Request, name: str = _NAME) -> Response:
        async with _received(service, request, "pictures") as path:
            return AsciiJSON(await run_in_threadpool(_picture, service, path, name), 201)

    @routes.post("/clips", status_code=201, summary="Upload a sound: the body is the file")
    async def upload_clip(request: Request, name: str = _NAME) -> Response:
        async with _received(service, request, "clips") as path:
            return AsciiJSON(await run_in_threadpool(_clip, service, path, name), 201)

    def add(kind: str, word: str) -> None:
        async def get(request: Request, id_: str) -> Response:
            return file_reply(request, await run_in_threadpool(service.find, kind, id_), word)

        for method in ("GET", "HEAD"):
            routes.add_api_route(
                f"/{kind}/{{id_}}",
                get,
                methods=[method],
                summary=f"The file of the {word}; parts of it, too",
                operation_id=f"{method.lower()}_{word}",
                include_in_schema=method == "GET",
                response_class=Response,
            )

    for kind, word in KINDS.items():
        add(kind, word)
    return routes


@asynccontextmanager
async def _received(service: Service, request: Request, kind: str) -> AsyncIterator[Path]:
    """Write a body into a file, bit by bit; what is still there of it at the end is removed."""
    limits = service.limits
    if service.uploads >= limits.uploads:
        raise ApiError(503, f"{limits.uploads} files are being uploaded at present; try again later")
    service.uploads += 1
    path = service.folder(kind) / f"{secrets.token_hex(8)}.part"
    size = 0
    try:
        with path.open("xb") as file:
            async for piece in _pieces(request):
                size += len(piece)
                if size > limits.upload_bytes:
                    raise ApiError(413, f"the file is larger than the {limits.upload_bytes} bytes that are allowed")
                file.write(piece)
        if not size:
            raise ApiError(422, "the body is empty; it must be the file itself")
        yield path
    except ClientDisconnect:
        raise ApiError(400, "the upload broke off") from None
    finally:
        service.uploads -= 1
        path.unlink(missing_ok=True)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """Give out a body bit by bit; who sends nothing more for long keeps no other from uploading."""
    stream = request.stream()
    while True:
        try:
            yield await asyncio.wait_for(stream.__anext__(), guard.PATIENCE)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise ApiError(408, f"nothing more of the body came for {guard.PATIENCE:g} s") from None


def _picture(service: Service, path: Path, name: str) -> dict[str, Any]:
    image, suffix = opened_picture(path.read_bytes(), service.limits)
    size = {"width": image.width, "height": image.height}
    kept = path.replace(path.with_suffix(suffix))
    shown = file_name(name, suffix, "picture")
    record = service.keep("pictures", kept, title=shown.removesuffix(suffix), download_name=shown)
    return {**file_view(service, "pictures", record), **size}


def _clip(service: Service, path: Path, name: str) -> dict[str, Any]:
    with path.open("rb") as file:
        suffix = sound_suffix(file.read(16))
    kept = path.replace(path.with_suffix(suffix))
    try:
        duration = checked_sound(kept, service.limits)
    except BaseException:
        kept.unlink(missing_ok=True)
        raise
    shown = file_name(name, suffix, "sound")
    record = service.keep("clips", kept, title=shown.removesuffix(suffix), duration=duration, download_name=shown)
    return clip_view(service, record)
