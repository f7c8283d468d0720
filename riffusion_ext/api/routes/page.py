"""The route of our own pages, available even if the host's API is off: clips in which players can seek.

Everybody who may open gradio's page may fetch them.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from riffusion_ext.api.access.allow_list import AllowList, AllowListMiddleware
from riffusion_ext.api.errors import not_found, refusal
from riffusion_ext.api.routes.media import file_reply
from riffusion_ext.errors import RiffusionError
from riffusion_ext.library import MEDIA, ClipLibrary

__all__ = ["MEDIA", "PageLogin", "mount_media", "prepend_routes"]


class PageLogin:
    """Check the login of gradio's page.

    Parameters
    ----------
    app
        gradio's application; any other has no login.
    """

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def is_logged_in(self, request: Request) -> bool:
        """Whether the browser is logged in, or no login is required."""
        auth = getattr(self._app, "auth", None)
        if auth is None:
            return True
        tokens = getattr(self._app, "tokens", {})
        cookie_id = getattr(self._app, "cookie_id", None)  # of gradio 4
        names = [f"access-token{part}{'-' + cookie_id if cookie_id else ''}" for part in ("", "-unsecure")]
        return any(tokens.get(request.cookies[name]) is not None for name in names if name in request.cookies)


def mount_media(app: Starlette, clips: ClipLibrary, allow_list: AllowList | None = None) -> None:
    """Add the route for players to an application; `allow_list` as for :func:`riffusion_ext.api.app.mount`."""
    login = PageLogin(app)

    async def media(request: Request) -> Response:
        if not login.is_logged_in(request):
            return refusal(401, "log in on the page first")
        record = clips.get(request.path_params["id_"])
        try:
            if record is None:
                raise not_found("clip")
            return file_reply(request, record, "clip")
        except RiffusionError as error:
            return refusal(getattr(error, "status", 404), str(error), getattr(error, "headers", None))

    prepend_routes(
        app, [Route(f"{MEDIA}/{{id_}}", media, methods=["GET", "HEAD"], include_in_schema=False)], allow_list
    )


def prepend_routes(app: Starlette, routes: Sequence[Mount | Route], allow_list: AllowList | None = None) -> None:
    """Add routes before those of the host, which may match every path. `allow_list` restricts who may use them."""
    if allow_list is not None:
        for route in routes:
            route.app = AllowListMiddleware(route.app, allow_list)
    app.router.routes[:0] = routes
