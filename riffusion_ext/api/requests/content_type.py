"""Check the content type of request bodies.

Browsers send some content types to other sites without a preflight request (Fetch standard, "CORS-safelisted"), and
also bodies without a type. JSON is not among them, so other sites cannot call a route that accepts only JSON.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from riffusion_ext.api.access.allow_list import header_values
from riffusion_ext.api.errors import refusal

__all__ = ["TypedBodies", "is_from_browser", "is_json"]

_SAFELISTED = frozenset({"", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"})
_NAMES = ("origin", "sec-fetch-site")  # Node.js adds Sec-Fetch-Mode, too


def is_from_browser(scope: Scope) -> bool:
    """Whether a request has headers that only browsers add."""
    return any(header_values(scope, name) for name in _NAMES)


def content_type(scope: Scope) -> str:
    """Return the media type of a body, in lower case and without parameters; "" if there is none or more than one."""
    values = header_values(scope, "content-type")
    return values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""


def is_json(scope: Scope) -> bool:
    """Whether the content type of a body is JSON."""
    kind = content_type(scope)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


class TypedBodies:
    """Middleware that accepts JSON, and files on some routes; other bodies are refused (415).

    Parameters
    ----------
    app
        The application to protect.
    takes_file
        Whether the body of a request, given its scope, is a file. Programs may send any content type (curl sends
        ``application/x-www-form-urlencoded``); pages in a browser must send one that needs a preflight request.
    """

    def __init__(self, app: ASGIApp, takes_file: Callable[[Scope], bool]) -> None:
        self._app, self._takes_file = app, takes_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        objection = self._refusal_reason(scope) if scope["type"] == "http" and _has_body(scope) else ""
        if objection:
            await refusal(415, objection)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal_reason(self, scope: Scope) -> str:
        if not self._takes_file(scope):
            return "" if is_json(scope) else "the body must have the content type application/json"
        if content_type(scope) == "multipart/form-data":
            return "the body must be the file itself, not a form: curl --data-binary @FILE, not -F file=@FILE"
        if is_from_browser(scope) and content_type(scope) in _SAFELISTED:
            return "a page must send a file with its own content type, such as audio/wav, or application/octet-stream"
        return ""


def _has_body(scope: Scope) -> bool:
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return False
    return bool(header_values(scope, "transfer-encoding")) or header_values(scope, "content-length") not in ([], ["0"])
