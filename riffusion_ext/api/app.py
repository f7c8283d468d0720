"""All routes, put into a FastAPI application: a webui's, or that of the program by itself.

Ours are an application of their own below ``/riffusion/v1``. Its errors, its documentation and its limits are ours
alone, and those of the host stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, request_response

from riffusion_ext import __version__
from riffusion_ext.api import about, between, compat, convert, datasets, make, uploads, watching
from riffusion_ext.api.describe import described
from riffusion_ext.api.guard import Credentials, Guard
from riffusion_ext.api.media import file_reply
from riffusion_ext.api.page import PageDoor
from riffusion_ext.api.replies import AsciiJSON, add_handlers, not_found, refusal
from riffusion_ext.api.service import ROOT, Service

__all__ = ["MEDIA", "build", "mount", "mount_media"]

MEDIA = "/riffusion/media"
"""Clips for players of our own pages: there whether or not the host's API is on."""

_UPLOADS = frozenset({"/pictures", "/clips"})


def build(service: Service) -> FastAPI:
    """Return the application with our own routes."""
    app = FastAPI(
        title="Riffusion",
        version=__version__,
        description="Spectrogram pictures to sound, sound to pictures, and music from prompts.",
        default_response_class=AsciiJSON,
    )
    add_handlers(app)
    for module in (about, uploads, convert, make, between, datasets, watching):
        app.include_router(module.router(service))
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    return app


def mount(app: Any, service: Service, credentials: Credentials | None = None) -> None:
    """Put the routes into an application, all behind one password.

    Parameters
    ----------
    app
        A FastAPI or Starlette application.
    service
        What they work with.
    credentials
        Passwords by user; None or empty: none is asked for, as the host's own API asks for none.
    """
    limits = service.limits

    def guarded(inner: Any, **more: Any) -> Guard:
        return Guard(inner, credentials=credentials, body_bytes=limits.body_bytes, weight=service.weight, **more)

    ours = guarded(build(service), streamed=_is_upload)
    routes: list[BaseRoute] = [Mount(ROOT, app=ours)]
    for path, (endpoint, answer) in compat.endpoints(service).items():
        for place in (path, f"{path}/"):
            inner = guarded(request_response(endpoint), answer=answer)
            routes.append(Route(place, inner, methods=["POST"], include_in_schema=False))
    _add(app, routes)


def mount_media(app: Any, service: Service) -> None:
    """Put the route for players of our own pages into an application, open to whom the page is open."""
    door = PageDoor(app)

    async def media(request: Request) -> Response:
        if not door.is_open(request):
            return refusal(401, "log in on the page first")
        record = service.files["clips"].get(request.path_params["id_"])
        try:
            if record is None:
                raise not_found("clip")
            return file_reply(request, record, "clip")
        except Exception as error:
            status = getattr(error, "status", 500)
            if status == 500:
                raise
            return refusal(status, str(error), getattr(error, "headers", None))

    _add(app, [Route(f"{MEDIA}/{{id_}}", media, methods=["GET", "HEAD"], include_in_schema=False)])


def _add(app: Any, routes: list[BaseRoute]) -> None:
    """Put routes before those of the host, some of which catch every path."""
    app.router.routes[:0] = routes


def _is_upload(scope: Mapping[str, Any]) -> bool:
    path = str(scope["path"])
    root = str(scope.get("root_path", ""))
    return scope["method"] == "POST" and path.removeprefix(root) in _UPLOADS
