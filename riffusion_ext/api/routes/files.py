"""Routes for files: uploaded as raw bodies, fetched by id."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from riffusion_ext.api.context import KINDS, ApiContext, clip_view, file_view
from riffusion_ext.api.errors import ApiError, AsciiJSON
from riffusion_ext.api.inputs import check_sound, clean_file_name, decode_image, sound_suffix
from riffusion_ext.api.requests.receive import parse_content_length
from riffusion_ext.api.requests.threads import FILES, in_pool, in_thread
from riffusion_ext.api.routes.media import file_reply

__all__ = ["router"]

_NAME = Query("", max_length=300, description="file name; folders in it are ignored")


def router(service: ApiContext) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(tags=["files"])

    @routes.post("/pictures", status_code=201, summary="Upload an image: the body is the file")
    async def upload_image(request: Request, name: str = _NAME) -> Response:
        async with _receive_file(service, request, "pictures") as path:
            return await _store(service, "pictures", path, partial(_store_image, service, path, name))

    @routes.post("/clips", status_code=201, summary="Upload a sound: the body is the file")
    async def upload_clip(request: Request, name: str = _NAME) -> Response:
        async with _receive_file(service, request, "clips") as path:
            return await _store(service, "clips", path, partial(_store_clip, service, path, name))

    def add_download(kind: str, label: str) -> None:
        async def get(request: Request, id_: str) -> Response:
            return file_reply(request, await in_thread(service.find, kind, id_), label)

        for method in ("GET", "HEAD"):
            routes.add_api_route(
                f"/{kind}/{{id_}}",
                get,
                methods=[method],
                summary=f"Download the {label}; supports range requests",
                operation_id=f"{method.lower()}_{kind.removesuffix('s')}",
                include_in_schema=method == "GET",
                response_class=Response,
            )

    for kind, label in KINDS.items():
        add_download(kind, label)
    return routes


@asynccontextmanager
async def _receive_file(service: ApiContext, request: Request, kind: str) -> AsyncIterator[Path]:
    """Stream a body to a file. The file is removed at the end, unless it was moved."""
    path = service.folder(kind) / f"{secrets.token_hex(8)}.part"
    content_length = parse_content_length(request.headers.get("content-length", ""))
    try:
        async with service.uploads.enter() as transfer:
            with path.open("xb") as file:
                chunks = transfer.chunks(
                    request.receive, max_bytes=service.limits.upload_bytes, content_length=content_length
                )
                async for chunk in chunks:
                    file.write(chunk)
            if not transfer.size:
                raise ApiError(422, "the body is empty; it must be the file itself")
            yield path
    finally:
        path.unlink(missing_ok=True)


async def _store(service: ApiContext, kind: str, path: Path, work: Callable[[], dict[str, object]]) -> Response:
    """Check and store an uploaded file, once storage is free."""
    size = path.stat().st_size
    return AsciiJSON(await service.results.run_with_reservation(kind, size, work, partial(in_pool, FILES)), 201)


def _store_image(service: ApiContext, path: Path, name: str) -> dict[str, object]:
    image, suffix = decode_image(path.read_bytes(), service.limits)
    size = {"width": image.width, "height": image.height}
    stored = path.replace(path.with_suffix(suffix))
    display_name = clean_file_name(name, suffix, "picture")
    record = service.results.save(
        "pictures", stored, title=display_name.removesuffix(suffix), download_name=display_name
    )
    return {**file_view(service, "pictures", record), **size}


def _store_clip(service: ApiContext, path: Path, name: str) -> dict[str, object]:
    from riffusion_ext.audio.integrity.truncation import file_notes

    with path.open("rb") as file:
        suffix = sound_suffix(file.read(16))
    stored = path.replace(path.with_suffix(suffix))
    try:
        duration = check_sound(stored, service.limits)
    except BaseException:
        stored.unlink(missing_ok=True)
        raise
    display_name = clean_file_name(name, suffix, "sound")
    record = service.results.save(
        "clips", stored, title=display_name.removesuffix(suffix), duration=duration, download_name=display_name
    )
    return clip_view(service, record, notes=list(file_notes(stored)))
