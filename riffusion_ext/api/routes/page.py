"""What our own pages need of the server, whether or not the host's API is on: clips that a player can seek in.

Who may open the page may hear them, as gradio decides it.
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
    """The login of a gradio application.

    Parameters
    ----------
    app
        gradio's own; any other has no login.
    """

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def is_logged_in(self, request: Request) -> bool:
        """Whether there is no login, or the browser that asks has passed it."""
        auth = getattr(self._app, "auth", None)
        if auth is None:
            return True
        tokens = getattr(self._app, "tokens", {})
        cookie_id = getattr(self._app, "cookie_id", None)  # of gradio 4
        names = [f"access-token{part}{'-' + cookie_id if cookie_id else ''}" for part in ("", "-unsecure")]
        return any(tokens.get(request.cookies[name]) is not None for name in names if name in request.cookies)


def mount_media(app: Starlette, clips: ClipLibrary, allow_list: AllowList | None = None) -> None:
    """Put the route for players into an application; `allow_list` as for :func:`riffusion_ext.api.app.mount`."""
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
    """Put routes before those of the host, some of which may catch every path; behind a door for `allow_list`."""
    if allow_list is not None:
        for route in routes:
            route.app = AllowListMiddleware(route.app, allow_list)
    app.router.routes[:0] = routes
