"""Routes for files: uploaded as they are, fetched by their ids."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from riffusion_ext.api.context import KINDS, ApiContext, clip_view, file_view
from riffusion_ext.api.errors import ApiError, AsciiJSON
from riffusion_ext.api.inputs import checked_sound, file_name, opened_image, sound_suffix
from riffusion_ext.api.requests.receive import promised_bytes
from riffusion_ext.api.requests.threads import FILES, in_pool, in_thread
from riffusion_ext.api.routes.media import file_reply

__all__ = ["router"]

_NAME = Query("", max_length=300, description="what the file is called; only its last part counts")


def router(service: ApiContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["files"])

    @routes.post("/pictures", status_code=201, summary="Upload an image: the body is the file")
    async def upload_image(request: Request, name: str = _NAME) -> Response:
        async with _received(service, request, "pictures") as path:
            return await _kept(service, "pictures", path, partial(_image, service, path, name))

    @routes.post("/clips", status_code=201, summary="Upload a sound: the body is the file")
    async def upload_clip(request: Request, name: str = _NAME) -> Response:
        async with _received(service, request, "clips") as path:
            return await _kept(service, "clips", path, partial(_clip, service, path, name))

    def add(kind: str, word: str) -> None:
        async def get(request: Request, id_: str) -> Response:
            return file_reply(request, await in_thread(service.find, kind, id_), word)

        for method in ("GET", "HEAD"):
            routes.add_api_route(
                f"/{kind}/{{id_}}",
                get,
                methods=[method],
                summary=f"The file of the {word}; parts of it, too",
                operation_id=f"{method.lower()}_{kind.removesuffix('s')}",
                include_in_schema=method == "GET",
                response_class=Response,
            )

    for kind, word in KINDS.items():
        add(kind, word)
    return routes


@asynccontextmanager
async def _received(service: ApiContext, request: Request, kind: str) -> AsyncIterator[Path]:
    """Write a body into a file, bit by bit; what is still there of it at the end is removed."""
    path = service.folder(kind) / f"{secrets.token_hex(8)}.part"
    promised = promised_bytes(request.headers.get("content-length", ""))
    try:
        async with service.uploads.enter() as transfer:
            with path.open("xb") as file:
                pieces = transfer.pieces(request.receive, most=service.limits.upload_bytes, promised=promised)
                async for piece in pieces:
                    file.write(piece)
            if not transfer.size:
                raise ApiError(422, "the body is empty; it must be the file itself")
            yield path
    finally:
        path.unlink(missing_ok=True)


async def _kept(service: ApiContext, kind: str, path: Path, work: Callable[[], dict[str, Any]]) -> Response:
    """Check and keep what came, once there is room for it."""
    size = path.stat().st_size
    return AsciiJSON(await service.room.promised(kind, size, work, partial(in_pool, FILES)), 201)


def _image(service: ApiContext, path: Path, name: str) -> dict[str, Any]:
    image, suffix = opened_image(path.read_bytes(), service.limits)
    size = {"width": image.width, "height": image.height}
    kept = path.replace(path.with_suffix(suffix))
    shown = file_name(name, suffix, "picture")
    record = service.save("pictures", kept, title=shown.removesuffix(suffix), download_name=shown)
    return {**file_view(service, "pictures", record), **size}


def _clip(service: ApiContext, path: Path, name: str) -> dict[str, Any]:
    from riffusion_ext.audio.integrity.truncation import file_notes

    with path.open("rb") as file:
        suffix = sound_suffix(file.read(16))
    kept = path.replace(path.with_suffix(suffix))
    try:
        duration = checked_sound(kept, service.limits)
    except BaseException:
        kept.unlink(missing_ok=True)
        raise
    shown = file_name(name, suffix, "sound")
    record = service.save("clips", kept, title=shown.removesuffix(suffix), duration=duration, download_name=shown)
    return clip_view(service, record, notes=list(file_notes(kept)))
