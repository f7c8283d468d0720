"""What of gradio's own server can be reached where the tab is served by itself: its pages, and little else.

gradio serves files by their paths, fetches addresses that it is told, and takes uploads of any size. Here a list says
which of its routes there are at all; files come from its cache only, sizes are bounded, and a page cannot hand a
function the path of a file that it did not upload.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from riffusion_ext.api.door import Asgi, Message, Receive, Scope, Send, header_values
from riffusion_ext.api.guard import Guard, replay
from riffusion_ext.api.media import file_reply
from riffusion_ext.api.receive import Transfers
from riffusion_ext.api.replies import ApiError, refusal
from riffusion_ext.errors import RiffusionError
from riffusion_ext.library import ClipRecord

__all__ = ["BODY_BYTES", "UPLOAD_BYTES", "GradioGate", "cached_file"]

_MIB = 1 << 20
UPLOAD_BYTES = 512 * _MIB
"""Largest upload: all files that are chosen at once."""

BODY_BYTES = 48 * _MIB
"""Largest call of a function: gradio 3 sends images in it."""

_AT_ONCE = 8
_API = "(?:/gradio_api)?"  # below which newer gradios have all but their page
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
    """Return a file of gradio's cache, or None.

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
    except (ValueError, OSError):  # elsewhere, or not there; also names with a zero in them
        return None


class GradioGate:
    """gradio's application, as far as the pages need it.

    Parameters
    ----------
    app
        gradio's.
    cache
        Folder in which it keeps what was uploaded and what it shows.
    upload_bytes, body_bytes
        Largest upload, and largest call of a function.
    """

    def __init__(
        self, app: Asgi, cache: Path, *, upload_bytes: int = UPLOAD_BYTES, body_bytes: int = BODY_BYTES
    ) -> None:
        self._app, self._cache = app, cache.resolve()
        self._upload_bytes = upload_bytes
        self._uploads = Transfers(_AT_ONCE, _AT_ONCE * upload_bytes, seconds=3600.0)
        bodies = Transfers(_AT_ONCE, _AT_ONCE * body_bytes, seconds=600.0)
        self._calls = Guard(self._verified, credentials=None, body_bytes=lambda scope: body_bytes, bodies=bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))) or "/"
        reads = scope["method"] in ("GET", "HEAD")
        if reads and (match := _FILE.fullmatch(path)):
            await (await run_in_threadpool(self._file, Request(scope), match.group(1)))(scope, receive, send)
        elif reads and _READ.fullmatch(path) and ".." not in path:
            await self._app(scope, receive, send)
        elif scope["method"] == "POST" and _UPLOAD.fullmatch(path):
            await self._upload(scope, receive, send)
        elif scope["method"] == "POST" and _CALL.fullmatch(path):
            await self._calls(scope, receive, send)
        else:
            await refusal(404, "there is no such page")(scope, receive, send)

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
        """Hand on an upload bit by bit, up to the limit."""
        refused: ApiError | None = None
        begun = False
        length = "".join(header_values(scope, "content-length"))
        promised = int(length) if length.isascii() and length.isdecimal() and len(length) < 16 else 0

        async def watched(message: Message) -> None:
            nonlocal begun
            if refused is None or begun:  # else what gradio says about an upload that broke off
                begun = True
                await send(message)

        async with self._uploads.enter() as transfer:
            pieces = transfer.pieces(receive, most=self._upload_bytes, promised=promised)

            async def take() -> Message:
                nonlocal refused
                try:
                    return {"type": "http.request", "body": await pieces.__anext__(), "more_body": True}
                except StopAsyncIteration:
                    return {"type": "http.request", "body": b"", "more_body": False}
                except ApiError as error:
                    refused = error
                    return {"type": "http.disconnect"}

            try:
                await self._app(scope, take, watched)
            except Exception:
                if refused is None:
                    raise
        if refused is not None and not begun:
            await refusal(refused.status, str(refused), refused.headers)(scope, receive, send)

    async def _verified(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a call of a function whose files are uploaded ones; its body comes as one message."""
        message = await receive()
        if await run_in_threadpool(self._is_harmless, message["body"]):
            await self._app(scope, replay(message["body"], receive), send)
        else:
            await refusal(403, "a file must be uploaded before it is used")(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on gradio 3's calls of functions."""
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        if not _SOCKET.fullmatch(path):
            await send({"type": "websocket.close", "code": 1008})
            return

        async def checked() -> Message:
            message = await receive()
            text = message.get("text") or message.get("bytes") or ""
            if not text or await run_in_threadpool(self._is_harmless, text):
                return message
            await send({"type": "websocket.close", "code": 1008})
            return {"type": "websocket.disconnect", "code": 1008}

        await self._app(scope, checked, send)

    def _is_harmless(self, body: bytes | str) -> bool:
        """Whether all files that a call of a function names lie in the cache."""
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            return False
        return all(cached_file(self._cache, name) is not None for name in _files_named(values))


def _files_named(values: Any) -> Iterable[str]:
    """Return the paths of all files in the data of a call: of gradio 3 in ``name``, of later ones in ``path``."""
    left = [values]
    while left:
        value = left.pop()
        if isinstance(value, MutableMapping):
            left.extend(value.values())
            if isinstance(value.get("path"), str):
                yield value["path"]
            if value.get("is_file") and isinstance(value.get("name"), str):
                yield value["name"]
        elif isinstance(value, list):
            left.extend(value)
