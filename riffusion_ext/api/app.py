"""All routes, put into a FastAPI application: a webui's, or that of the program by itself.

Ours are an application of their own below ``/riffusion/v1``. Its errors, its documentation and its limits are ours
alone, and those of the host stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount, Route, request_response

from riffusion_ext import __version__
from riffusion_ext.api.access.auth import Credentials, Guard
from riffusion_ext.api.access.door import Visitors
from riffusion_ext.api.compat import routes as compat
from riffusion_ext.api.context import ROOT, ApiContext
from riffusion_ext.api.errors import AsciiJSON, add_handlers
from riffusion_ext.api.openapi import described
from riffusion_ext.api.requests.content_type import TypedBodies
from riffusion_ext.api.routes import convert, datasets, files, generate, images, interpolate, jobs
from riffusion_ext.api.routes import service as about
from riffusion_ext.api.routes.page import add_first

__all__ = ["build", "mount"]

_UPLOADS = frozenset({"/pictures", "/clips"})


def build(service: ApiContext) -> FastAPI:
    """Return the application with our own routes."""
    app = FastAPI(
        title="Riffusion",
        version=__version__,
        description="Spectrogram images to audio, audio to images, and music from prompts.",
        default_response_class=AsciiJSON,
    )
    add_handlers(app)
    for module in (about, files, convert, generate, interpolate, images, datasets, jobs):
        app.include_router(module.router(service))
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    return app


def mount(
    app: Any, service: ApiContext, credentials: Credentials | None = None, *, visitors: Visitors | None = None
) -> None:
    """Put the routes into an application, all behind one password.

    Parameters
    ----------
    app
        A FastAPI or Starlette application.
    service
        What they work with.
    credentials
        Passwords by user; None or empty: none is asked for, as the host's own API asks for none.
    visitors
        Who may come in. None: the application is behind a :class:`~riffusion_ext.api.access.door.Door` as a whole.
    """
    limits = service.limits

    def guarded(inner: Any, **more: Any) -> Guard:
        return Guard(inner, credentials=credentials, bodies=service.bodies, **more)

    ours = guarded(
        TypedBodies(build(service), _is_upload),
        streamed=_is_upload,
        body_bytes=lambda scope: limits.body(_place(scope)),
    )
    routes: list[Mount | Route] = [Mount(ROOT, app=ours)]
    for path, (endpoint, answer) in compat.endpoints(service).items():
        most = min(compat.BODY_BYTES[path], limits.body_bytes)
        for place in (path, f"{path}/"):
            inner = guarded(request_response(endpoint), answer=answer, body_bytes=lambda scope, most=most: most)
            routes.append(Route(place, inner, methods=["POST"], include_in_schema=False))
    add_first(app, routes, visitors)


def _is_upload(scope: Mapping[str, Any]) -> bool:
    return scope["method"] == "POST" and _place(scope) in _UPLOADS


def _place(scope: Mapping[str, Any]) -> str:
    """Return the path below our root."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
