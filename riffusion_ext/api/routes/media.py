"""Serve files by id as players need them: ranges (206), ETag and content type.

Ranges: RFC 9110, sections 13 and 14. For more than one range, the whole file is sent, which the RFC allows.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from riffusion_ext.api.errors import ApiError, not_found
from riffusion_ext.library import ClipRecord

__all__ = ["TYPES", "file_reply", "parse_range"]

TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".aif": "audio/aiff",
    ".au": "audio/basic",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".wma": "audio/x-ms-wma",
    ".webm": "audio/webm",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".gif": "image/gif",
    ".zip": "application/zip",
}
"""Content types by suffix; other files are sent as ``application/octet-stream``."""

_CHUNK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Parse a Range header.

    Parameters
    ----------
    header
        Such as ``"bytes=0-499"``, ``"bytes=500-"`` or ``"bytes=-500"``.
    size
        Size of the file in bytes.

    Returns
    -------
    tuple or None
        First byte, and the one after the last; None if the whole file is to be sent.

    Raises
    ------
    ValueError
        The range lies outside the file.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match.group(1) == match.group(2) == "" or len(header) > 60:
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start = int(first)
        if last and int(last) < start:
            return None  # not a valid range, so it is ignored
        stop = min(int(last) + 1, size) if last else size
    if start >= size or start >= stop:
        raise ValueError(f"the file has {size} bytes")
    return start, stop


def file_reply(request: Request, record: ClipRecord, kind: str) -> Response:
    """Build the response to a GET or HEAD of a file.

    Raises
    ------
    ApiError
        The file is missing (404), or the range lies outside it (416).
    """
    try:
        file = record.path.open("rb")
    except OSError:
        raise not_found(kind) from None
    try:
        return _reply(request, record, file)
    except BaseException:
        file.close()
        raise


def _reply(request: Request, record: ClipRecord, file: BinaryIO) -> Response:
    state = os.fstat(file.fileno())
    version = f"{record.id} {state.st_size} {state.st_mtime_ns}"
    tag = f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": _disposition(record.download_name),
    }
    type_ = TYPES.get(record.path.suffix.lower(), "application/octet-stream")
    if _matches(request.headers.get("if-none-match", ""), tag):
        file.close()
        return Response(status_code=304, headers=headers)
    range_header = request.headers.get("range", "")
    if request.headers.get("if-range", tag) != tag:
        range_header = ""
    try:
        part = parse_range(range_header, state.st_size)
    except ValueError as error:
        raise ApiError(
            416, f"invalid range: {error}", {"Content-Range": f"bytes */{state.st_size}", "ETag": tag}
        ) from None
    start, stop = part or (0, state.st_size)
    headers["Content-Length"] = str(stop - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{state.st_size}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers, media_type=type_)
    return StreamingResponse(_read_chunks(file, start, stop), status, headers, type_)


def _read_chunks(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < stop and (chunk := file.read(min(_CHUNK_BYTES, stop - start))):
            start += len(chunk)
            yield chunk


def _matches(header: str, tag: str) -> bool:
    tags = [part.strip().removeprefix("W/") for part in header.split(",")]
    return tag in tags or tags == ["*"]


def _disposition(name: str) -> str:
    """Return a Content-Disposition that names the file, but lets browsers display it (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9 ._()+-]", "_", Path(name).name) or "file"
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(Path(name).name.encode('utf-8', 'replace'))}"
