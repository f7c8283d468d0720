"""The standalone server of the tab.

::

    browser ──► AllowListMiddleware ──► Login ──► our routes   /riffusion/…, and with --api those for other programs
                                               └► GradioGate ──► gradio: the pages

Everything is mounted before the port starts to listen.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from riffusion_ext.addresses import is_loopback
from riffusion_ext.api.access.allow_list import AllowList, AllowListMiddleware, header_values, with_headers
from riffusion_ext.api.access.gradio_gate import BODY_BYTES, GradioGate
from riffusion_ext.api.access.login import Login
from riffusion_ext.errors import RiffusionError

__all__ = ["ALL_INTERFACES", "Access", "build_application", "listen", "protect", "run_until_stopped"]

_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
]
_API = ("/riffusion/v1", "/run_inference", "/run_vst")
MountPage = Callable[[FastAPI], str]
ALL_INTERFACES = ("0.0.0.0", "::", "[::]", "")
_SHUTDOWN_S = 3


@dataclass(frozen=True)
class Access:
    """Who may reach the server.

    Parameters
    ----------
    host, port
        Address and port to listen on; port 0 takes a free one.
    credentials
        Passwords by user, required for everything; empty: no password is required.
    api_credentials
        Further passwords by user for the routes for other programs.
    hosts, origins
        Further host names of the server, and origins of pages that may call it; see
        :class:`~riffusion_ext.api.access.allow_list.AllowList`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    credentials: Mapping[str, str] = field(default_factory=dict)
    api_credentials: Mapping[str, str] = field(default_factory=dict)
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()

    def check(self) -> None:
        """Raise a RiffusionError if strangers could reach the server."""
        if not is_loopback(self.host) and not self.credentials:
            raise RiffusionError(
                f"other machines could reach this server at {self.host or 'all addresses'}: choose a password with "
                "--auth USER:PASSWORD"
            )
        if "*" in self.hosts and not self.credentials:
            raise RiffusionError(
                "--allow-host * lets pages of any site in, by a name that they lead here: choose a password with "
                "--auth USER:PASSWORD, or allow names one by one"
            )
        self.allow_list()

    def allow_list(self) -> AllowList:
        """Return the allowed hosts and origins."""
        everywhere = self.host in ALL_INTERFACES
        hosts = [*self.hosts] if everywhere else [_in_brackets(self.host), *self.hosts]
        return AllowList.from_names(hosts, self.origins, any_address=everywhere)

    @property
    def is_private(self) -> bool:
        """Whether only browsers on this machine can reach the pages."""
        return is_loopback(self.host) and not (self.hosts or self.origins)

    @property
    def url(self) -> str:
        """URL of the server for this machine, without the port."""
        return f"http://{'127.0.0.1' if self.host in ALL_INTERFACES else _in_brackets(self.host)}"

    def extra_credentials(self, scope: Scope) -> Mapping[str, str]:
        """Return the passwords that a request may use besides those of the pages, given its scope."""
        path = str(scope.get("path", ""))
        return self.api_credentials if any(path == top or path.startswith(f"{top}/") for top in _API) else {}


def protect(app: ASGIApp, access: Access, is_own: Callable[[Scope], bool]) -> ASGIApp:
    """Wrap an application in the allow-list and, if there are passwords, the login."""
    inner = _add_safe_headers(app)
    if access.credentials:
        inner = Login(inner, access.credentials, extra_credentials=access.extra_credentials, is_own=is_own)
    return AllowListMiddleware(inner, access.allow_list(), cross_origin=True)


def build_application(
    mount_page: MountPage, access: Access, cache: Path, add_routes: Callable[[FastAPI], None]
) -> ASGIApp:
    """Build the whole application of the server, protected.

    Parameters
    ----------
    mount_page
        Mounts gradio's page at the root of a FastAPI application. Returns the token with which gradio 3 calls the
        functions of the page over HTTP; "" if gradio does not need one.
    access
        Who may reach the server.
    cache
        gradio's folder for uploads and for the files it shows.
    add_routes
        Adds our own routes to the FastAPI application.
    """
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    token = mount_page(web)
    page = web.router.routes[-1]  # what was mounted just now
    page.app = GradioGate(page.app, cache)  # type: ignore[attr-defined]
    add_routes(web)
    return protect(web, access, _token_check(token))


def _token_check(token: str) -> Callable[[Scope], bool]:
    """Return a check whether a request, given its scope, carries a bearer token."""
    expected = f"Bearer {token}".encode()

    def carries_token(scope: Scope) -> bool:
        values = header_values(scope, "authorization")
        return bool(token) and len(values) == 1 and secrets.compare_digest(values[0].encode("latin-1"), expected)

    return carries_token


def listen(access: Access) -> socket.socket:
    """Return a socket that is bound, but does not listen yet.

    Raises
    ------
    OSError
        The port is in use, or the address does not belong to this machine.
    """
    host = access.host.strip("[]") or "0.0.0.0"
    family, kind, protocol, _, address = socket.getaddrinfo(host, access.port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":  # on Windows, it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def run_until_stopped(app: ASGIApp, bound: socket.socket, on_started: Callable[[], None]) -> None:
    """Serve until KeyboardInterrupt.

    The server runs in a thread of its own, so that the main thread receives the signal whatever the server is doing.

    Raises
    ------
    RiffusionError
        The server could not start, or stopped by itself.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            ws_max_size=BODY_BYTES,
            ws_max_queue=2,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
    )
    ended = threading.Event()  # not Thread.join: when interrupted, it marks the thread as ended (bpo-45274)

    def serve() -> None:
        try:
            server.run(sockets=[bound])
        finally:
            ended.set()

    threading.Thread(target=serve, name="riffusion-server", daemon=True).start()
    try:
        while not (server.started or ended.wait(0.05)):
            pass
        if server.started:
            on_started()
        while not ended.wait(0.5):
            pass
        raise RiffusionError("the server has ended; the lines above say why")
    except KeyboardInterrupt:
        return
    finally:
        # Pages keep a connection open. Closing it now is not worth a traceback.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        server.should_exit = True
        ended.wait(_SHUTDOWN_S + 5)


def _add_safe_headers(app: ASGIApp) -> ASGIApp:
    """Add headers to each response that prevent framing by other sites and MIME sniffing."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, with_headers(_SAFE_HEADERS, send, keep=True) if scope["type"] == "http" else send)

    return wrapped


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
