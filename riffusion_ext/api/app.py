"""Add all routes to a FastAPI application: a webui's, or that of the standalone server.

Our routes are an application of their own, mounted at ``/riffusion/v1``, with its own error handlers, documentation
and limits. Those of the host stay unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route, request_response
from starlette.types import Scope

from riffusion_ext import __version__
from riffusion_ext.api.access.allow_list import AllowList
from riffusion_ext.api.access.auth import Credentials, Guard
from riffusion_ext.api.compat import routes as compat
from riffusion_ext.api.context import ROOT, ApiContext
from riffusion_ext.api.errors import AsciiJSON, add_handlers
from riffusion_ext.api.openapi import build_schema
from riffusion_ext.api.requests.content_type import TypedBodies
from riffusion_ext.api.routes import convert, datasets, files, generate, images, interpolate, jobs
from riffusion_ext.api.routes import service as service_routes
from riffusion_ext.api.routes.page import prepend_routes

__all__ = ["build", "mount"]

_UPLOADS = frozenset({"/pictures", "/clips"})


def build(service: ApiContext) -> FastAPI:
    """Build the application with our own routes."""
    app = FastAPI(
        title="Riffusion",
        version=__version__,
        description="Spectrogram images to audio, audio to images, and music from prompts.",
        default_response_class=AsciiJSON,
    )
    add_handlers(app)
    for module in (service_routes, files, convert, generate, interpolate, images, datasets, jobs):
        app.include_router(module.router(service))
    app.openapi = lambda: build_schema(app)  # type: ignore[method-assign]
    return app


def mount(
    app: Starlette, service: ApiContext, credentials: Credentials | None = None, *, allow_list: AllowList | None = None
) -> None:
    """Add the routes to an application, all behind the same credentials.

    Parameters
    ----------
    app
        A FastAPI or Starlette application.
    service
        What the routes work with.
    credentials
        Passwords by user. None or empty: no password is required, as for the host's own API.
    allow_list
        Hosts and origins that are allowed. None: the application is wrapped as a whole by an
        :class:`~riffusion_ext.api.access.allow_list.AllowListMiddleware`.
    """
    limits = service.limits

    with_guard = partial(Guard, credentials=credentials, bodies=service.bodies)
    api = with_guard(
        TypedBodies(build(service), _is_upload),
        streamed=_is_upload,
        body_bytes=lambda scope: limits.body(_path_below_root(scope)),
    )
    routes: list[Mount | Route] = [Mount(ROOT, app=api)]
    for path, (endpoint, refuse) in compat.endpoints(service).items():
        max_bytes = min(compat.BODY_BYTES[path], limits.body_bytes)
        for address in (path, f"{path}/"):
            inner = with_guard(request_response(endpoint), refuse=refuse, body_bytes=_always(max_bytes))
            routes.append(Route(address, inner, methods=["POST"], include_in_schema=False))
    prepend_routes(app, routes, allow_list)


def _always(max_bytes: int) -> Callable[[Scope], int]:
    """Return a limit that is the same for every request."""
    return lambda scope: max_bytes


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and _path_below_root(scope) in _UPLOADS


def _path_below_root(scope: Scope) -> str:
    """Return the path of a request below the mount point."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
