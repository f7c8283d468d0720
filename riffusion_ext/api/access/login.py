"""Password protection of a whole server: pages, files, WebSockets and routes."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from riffusion_ext.api.access.allow_list import header_values
from riffusion_ext.api.access.auth import Credentials, is_allowed
from riffusion_ext.api.errors import refusal

__all__ = ["Login"]


class Login:
    """Middleware for HTTP Basic authentication, for which browsers prompt the user themselves.

    Parameters
    ----------
    app
        The application to protect.
    credentials
        Passwords by user, valid for everything.
    extra_credentials
        Returns further passwords by user that are valid for a request, given its scope.
    is_own
        Whether the server sent a request to itself, given its scope.
    """

    def __init__(
        self,
        app: ASGIApp,
        credentials: Credentials,
        *,
        extra_credentials: Callable[[Scope], Credentials] = lambda scope: {},
        is_own: Callable[[Scope], bool] = lambda scope: False,
    ) -> None:
        self._app, self._credentials, self._extra_credentials, self._is_own = (
            app,
            credentials,
            extra_credentials,
            is_own,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 401."""
        if scope["type"] not in ("http", "websocket") or self._is_right(scope) or self._is_own(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = {"WWW-Authenticate": 'Basic realm="Riffusion", charset="UTF-8"'}
            await refusal(401, "Incorrect username or password", headers)(scope, receive, send)

    def _is_right(self, scope: Scope) -> bool:
        values = header_values(scope, "authorization")
        known = (self._credentials, self._extra_credentials(scope))
        return len(values) == 1 and any(is_allowed(values[0], passwords) for passwords in known)
