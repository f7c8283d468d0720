"""Restrict gradio's server to what the pages of the standalone server need.

gradio serves files by path, fetches given URLs, and accepts uploads of any size. Here only listed routes are
available, files are served only from its cache, sizes are limited, and a page cannot pass a function the path of a
file that was not uploaded.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import AsyncIterator, Iterable, MutableMapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riffusion_ext.api.access.allow_list import header_values
from riffusion_ext.api.access.auth import Guard, replay
from riffusion_ext.api.access.upload_folder import UploadFolder
from riffusion_ext.api.errors import ApiError, refusal
from riffusion_ext.api.requests.body import check_structure
from riffusion_ext.api.requests.receive import DisconnectedError, Transfers, parse_content_length
from riffusion_ext.api.requests.threads import PARSING, in_pool, in_thread
from riffusion_ext.api.routes.media import file_reply
from riffusion_ext.errors import RiffusionError
from riffusion_ext.library import ClipRecord

__all__ = ["BODY_BYTES", "FOLDER_BYTES", "UPLOAD_BYTES", "GradioGate", "cached_file"]

_MIB = 1 << 20
UPLOAD_BYTES = 512 * _MIB
"""Maximum size of an upload: all files that are chosen at once."""

BODY_BYTES = 48 * _MIB
"""Maximum size of a function call: gradio 3 sends images in it."""

FOLDER_BYTES = 32 * UPLOAD_BYTES
"""Storage for all uploads; see :class:`~riffusion_ext.api.access.upload_folder.UploadFolder`."""

_MAX_PARALLEL = 8
_MAX_CALL_VALUES = 50_000  # in a function call
_MAX_SMALL_CALL_BYTES = 4 * _MIB  # function calls below /gradio_api, where images are uploaded first
_API = "(?:/gradio_api)?"  # prefix of all routes but the page in newer versions of gradio
_READ = re.compile(
    rf"/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(?:assets|static|svelte|_app)/[\w./@+-]+"
    rf"|{_API}/(?:info|app_id|startup-events|upload_progress|queue/data|queue/status|heartbeat/\w+)/?",
    re.ASCII,
)
_CALL = re.compile(rf"{_API}/(?:(?:run|api)/\w+|queue/join|reset|cancel)/?", re.ASCII)
_UPLOAD = re.compile(rf"{_API}/upload/?", re.ASCII)
_FILE = re.compile(rf"{_API}/file[=/](.+)", re.DOTALL)
_SOCKET = re.compile(r"/queue/join/?")
_NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; sandbox"}


def cached_file(cache: Path, name: str) -> Path | None:
    """Return the path of a file in gradio's cache, or None.

    Parameters
    ----------
    cache
        The folder, absolute, without symbolic links.
    name
        Path of the file, as gradio writes it: ``CACHE/id/name``.
    """
    path = Path(name)
    try:
        parts = path.relative_to(cache).parts
        if not 1 <= len(parts) <= 3 or ".." in parts or os.path.realpath(path) != str(path):
            return None
        return path if stat.S_ISREG(path.lstat().st_mode) else None
    except (ValueError, OSError):  # outside the cache or missing; also names with a NUL
        return None


class GradioGate:
    """Middleware that passes only those requests to gradio that the pages need.

    Parameters
    ----------
    app
        gradio's application.
    cache
        gradio's folder for uploads and for the files it shows.
    upload_bytes, body_bytes
        Maximum size of an upload, and of a function call.
    folder_bytes
        Storage for all uploads.
    """

    def __init__(
        self,
        app: ASGIApp,
        cache: Path,
        *,
        upload_bytes: int = UPLOAD_BYTES,
        body_bytes: int = BODY_BYTES,
        folder_bytes: int = FOLDER_BYTES,
    ) -> None:
        self._app, self._cache = app, cache.resolve()
        self._upload_bytes = upload_bytes
        self._folder = UploadFolder(self._cache, folder_bytes)
        self._uploads = Transfers(_MAX_PARALLEL, _MAX_PARALLEL * upload_bytes, seconds=3600.0)
        bodies = Transfers(_MAX_PARALLEL, _MAX_PARALLEL * body_bytes, seconds=600.0)
        self._body_bytes = body_bytes
        self._calls = Guard(self._check_and_forward, credentials=None, body_bytes=self._max_call_bytes, bodies=bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))) or "/"
        is_read = scope["method"] in ("GET", "HEAD")
        if is_read and (match := _FILE.fullmatch(path)):
            await (await run_in_threadpool(self._file, Request(scope), match.group(1)))(scope, receive, send)
        elif is_read and _READ.fullmatch(path) and ".." not in path:
            await self._app(scope, receive, send)
        elif scope["method"] == "POST" and _UPLOAD.fullmatch(path):
            await self._upload(scope, receive, send)
        elif scope["method"] == "POST" and _CALL.fullmatch(path):
            await self._calls(scope, receive, send)
        else:
            await refusal(404, "there is no such page")(scope, receive, send)

    def _max_call_bytes(self, scope: Scope) -> int:
        """Return the maximum body size of a function call, given its scope."""
        uses_uploads = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))).startswith("/gradio_api/")
        return min(self._body_bytes, _MAX_SMALL_CALL_BYTES) if uses_uploads else self._body_bytes

    def _file(self, request: Request, name: str) -> Response:
        path = cached_file(self._cache, name)
        if path is None:
            return refusal(403, "files are not served by their paths")
        record = ClipRecord(path.parent.name, path, path.stem, 0.0, download_name=path.name)
        try:
            reply = file_reply(request, record, "file")
        except RiffusionError as error:
            return refusal(getattr(error, "status", 404), str(error), getattr(error, "headers", None))
        reply.headers.update(_NO_SCRIPTS)
        return reply

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on an upload as a stream, up to the limit."""
        content_length = parse_content_length("".join(header_values(scope, "content-length")))
        try:
            async with self._uploads.enter() as transfer:
                chunks = transfer.chunks(receive, max_bytes=self._upload_bytes, content_length=content_length)
                size = min(content_length or self._upload_bytes, self._upload_bytes)
                incoming = await in_thread(self._folder.admit, size)
                try:
                    await self._forward_upload(scope, chunks, receive, send)
                finally:
                    await in_thread(self._folder.release, incoming)
        except DisconnectedError:
            return
        except ApiError as error:
            await refusal(error.status, str(error), error.headers)(scope, receive, send)

    async def _forward_upload(self, scope: Scope, chunks: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
        """Stream the chunks to gradio. Raise an error of the upload, unless gradio has started to respond."""
        refused: ApiError | None = None
        started = ended = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            if refused is None or started:  # otherwise it is gradio's message about the interrupted upload
                started = True
                await send(message)

        async def receive_chunk() -> Message:
            nonlocal refused, ended
            if refused is not None:
                return {"type": "http.disconnect"}
            if ended:
                return await receive()
            try:
                return {"type": "http.request", "body": await chunks.__anext__(), "more_body": True}
            except StopAsyncIteration:
                ended = True
                return {"type": "http.request", "body": b"", "more_body": False}
            except ApiError as error:
                refused = error
                return {"type": "http.disconnect"}

        try:
            await self._app(scope, receive_chunk, send_watched)
        except Exception:
            if refused is None:
                raise
        if refused is not None and not started:
            raise refused

    async def _check_and_forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a function call if it names uploaded files only. Its body arrives as one message."""
        message = await receive()
        await in_pool(PARSING, self._check_call, message["body"])
        await self._app(scope, replay(message["body"], receive), send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the function calls of gradio 3."""
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        if not _SOCKET.fullmatch(path):
            await send({"type": "websocket.close", "code": 1008})
            return

        async def receive_checked() -> Message:
            message = await receive()
            text = message.get("text") or message.get("bytes") or ""
            try:
                if text:
                    await in_pool(PARSING, self._check_call, text)
                return message
            except ApiError:
                await send({"type": "websocket.close", "code": 1008})
                return {"type": "websocket.disconnect", "code": 1008}

        await self._app(scope, receive_checked, send)

    def _check_call(self, body: bytes | bytearray | str) -> None:
        """Raise an ApiError if a function call is not JSON, holds too many values, or names other files."""
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        check_structure(data, _MAX_CALL_VALUES)
        try:
            values = json.loads(data.decode("utf-8-sig"))  # json.loads would accept other encodings in bytes
        except (ValueError, RecursionError):
            raise ApiError(422, "the body is not the JSON that is expected") from None
        if any(cached_file(self._cache, name) is None for name in _files_named(values)):
            raise ApiError(403, "a file must be uploaded before it is used")


def _files_named(values: object) -> Iterable[str]:
    """Yield the paths of all files in the data of a call: ``name`` in gradio 3, ``path`` in later versions."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, MutableMapping):
            waiting.extend(value.values())
            if isinstance(value.get("path"), str):
                yield value["path"]
            if value.get("is_file") and isinstance(value.get("name"), str):
                yield value["name"]
        elif isinstance(value, list):
            waiting.extend(value)
