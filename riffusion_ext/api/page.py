"""Who may use the page: as gradio decides it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

__all__ = ["PageDoor"]


class PageDoor:
    """The login of a gradio application.

    Parameters
    ----------
    app
        gradio's own; any other has no login.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def is_open(self, request: Request) -> bool:
        """Whether there is no login, or the browser that asks has passed it."""
        auth = getattr(self._app, "auth", None)
        if auth is None:
            return True
        tokens = getattr(self._app, "tokens", {})
        mark = getattr(self._app, "cookie_id", None)  # of gradio 4
        names = [f"access-token{part}{'-' + mark if mark else ''}" for part in ("", "-unsecure")]
        return any(tokens.get(request.cookies[name]) is not None for name in names if name in request.cookies)
