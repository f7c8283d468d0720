"""HTTP client for the server of a webui, with one sentence for each kind of failure.

Failures at which another webui may succeed raise
:class:`~riffusion_ext.generate.backends.base.BackendUnavailableError`; requests that no webui would accept raise
:class:`~riffusion_ext.generate.backends.base.RefusedError`.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from riffusion_ext.addresses import Address, is_loopback
from riffusion_ext.generate.backends.base import BackendUnavailableError, RefusedError
from riffusion_ext.validation.json_text import loads

__all__ = ["NoAnswerError", "NoRouteError", "UnreachableError", "WebClient"]

ROOT = "/riffusion/v1"

_MAX_REPLY_BYTES = 256 << 20
_MAX_DETAIL_CHARS = 400
_REFUSED_STATUSES = (400, 413, 415, 422)


class UnreachableError(BackendUnavailableError):
    """No server can be reached at the address."""


class NoRouteError(BackendUnavailableError):
    """The server does not know the route or the object, or no longer."""


class NoAnswerError(BackendUnavailableError):
    """The server did not answer in time; it may answer later."""


class _NoRedirect(HTTPRedirectHandler):
    """Refuse redirects: a password is sent only to the address that it was given for."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


class WebClient:
    """HTTP client for one server.

    Parameters
    ----------
    address
        Address of the server.
    timeout
        Seconds to wait for an answer.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self.address, self.timeout = address, timeout
        # A proxy in the environment leads to the internet, not back to this machine.
        proxies = ProxyHandler({}) if is_loopback(address.host) else ProxyHandler()
        self._opener = build_opener(proxies, _NoRedirect)

    def json(
        self, path: str, body: Mapping[str, object] | None = None, *, timeout: float | None = None
    ) -> dict[str, object]:
        """Send GET, or POST with a JSON body, and return the JSON answer.

        Parameters
        ----------
        path
            Path below the root of our routes.
        body
            JSON body; None sends GET.
        timeout
            Seconds, if not the timeout of the client.

        Raises
        ------
        BackendUnavailableError, RefusedError
            The server does not answer, or refuses.
        """
        data = None if body is None else json.dumps(body).encode("ascii")
        return self._parsed(self._call(f"{ROOT}{path}", data, "application/json", timeout))

    def post_empty(self, path: str, *, timeout: float | None = None) -> dict[str, object]:
        """Send POST with an empty body, and return the JSON answer."""
        return self._parsed(self._call(f"{ROOT}{path}", b"", "application/json", timeout))

    def upload(self, path: str, file: bytes) -> dict[str, object]:
        """Send POST with a file, and return the JSON answer."""
        return self._parsed(self._call(f"{ROOT}{path}", file, "application/octet-stream"))

    def file(self, path: str) -> bytes:
        """Return a file of the server."""
        return self._call(f"{ROOT}{path}", None)

    def describe_server(self) -> str:
        """Return a sentence about a server that has none of our routes."""
        url, update = self.address.url, "install or update the extension there"
        if "there is no clip" in self._detail("/riffusion/media/0") or "log in on" in self._detail(
            "/riffusion/media/0"
        ):
            return f"the webui on {url} runs without --api: start it with that flag"
        if self._status("/sdapi/v1/samplers") in (200, 401):
            return f"the webui on {url} has no Riffusion extension, or an old one: {update}"
        if self._status("/config") in (200, 401):
            return f"the webui on {url} runs without --api, or has no Riffusion extension: {update}"
        return f"what answers on {url} is no webui"

    def _status(self, path: str) -> int:
        try:
            with self._open(path, None, "", None) as reply:
                return reply.status
        except HTTPError as error:
            return error.code
        except (OSError, HTTPException):
            return 0

    def _detail(self, path: str) -> str:
        try:
            with self._open(path, None, "", None):
                return ""
        except HTTPError as error:
            return _detail_of(error)
        except (OSError, HTTPException):
            return ""

    def _open(self, path: str, data: bytes | None, kind: str, timeout: float | None) -> HTTPResponse:
        headers = {"Accept": "*/*", "User-Agent": "riffusion-ext"}
        if data is not None:
            headers["Content-Type"] = kind
        if self.address.login:
            headers["Authorization"] = self.address.login
        request = Request(f"{self.address.url}{path}", data, headers)
        response: HTTPResponse = self._opener.open(request, timeout=self.timeout if timeout is None else timeout)
        return response

    def _call(self, path: str, data: bytes | None, kind: str = "", timeout: float | None = None) -> bytes:
        url = self.address.url
        try:
            with self._open(path, data, kind, timeout) as reply:
                return reply.read(_MAX_REPLY_BYTES)
        except HTTPError as error:
            raise self._refusal(error) from None
        except URLError as error:
            raise _connection_error(url, self.address.host, error.reason) from None
        except (OSError, HTTPException, ValueError) as error:
            raise _connection_error(url, self.address.host, error) from None

    def _refusal(self, error: HTTPError) -> BackendUnavailableError | RefusedError:
        url, status, text = self.address.url, error.code, _detail_of(error)
        if status in _REFUSED_STATUSES:
            return RefusedError(text or f"{url} refuses this ({status})")
        if status == 401:
            problem = "user or password are wrong" if self.address.login else "a user and a password are asked for"
            where = url.replace("://", "://user:password@", 1)
            return BackendUnavailableError(f"{problem} on {url}; they are given as in {where}")
        if status in (404, 405):
            return NoRouteError(f"{url}: {text}" if text else f"{url} does not know this")
        if 300 <= status < 400:
            return BackendUnavailableError(
                f"{url} leads elsewhere, give the address {error.headers.get('Location', '')[:200]}"
            )
        if status in (429, 503):
            return BackendUnavailableError(f"{url} is busy: {text}" if text else f"{url} is busy ({status})")
        return BackendUnavailableError(f"{url}: {text}" if text else f"{url} answers with an error ({status})")

    def _parsed(self, content: bytes) -> dict[str, object]:
        try:
            answer = loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BackendUnavailableError(f"what answers on {self.address.url} is no webui")
        return answer


def _detail_of(error: HTTPError) -> str:
    """Return the sentence of a refusal; "" for FastAPI's own "Not Found"."""
    try:
        detail = loads(error.read(1 << 16))["detail"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return ""
    text = detail if isinstance(detail, str) else ""
    return "" if text == "Not Found" else " ".join(text.split())[:_MAX_DETAIL_CHARS]


def _connection_error(url: str, host: str, error: object) -> BackendUnavailableError:
    """Return an error with a sentence about a call that got no answer."""
    if isinstance(error, ConnectionRefusedError):
        return UnreachableError(f"nothing listens on {url}")
    if isinstance(error, socket.gaierror):
        return UnreachableError(f"there is no machine called {host}")
    if isinstance(error, TimeoutError):
        return NoAnswerError(f"{url} does not answer")
    if isinstance(error, ssl.SSLCertVerificationError):
        why = "its certificate is not trusted; the environment variable SSL_CERT_FILE may name one that is"
        return UnreachableError(f"no secure connection to {url}: {why}")
    if isinstance(error, ssl.SSLError):
        return UnreachableError(f"no secure connection to {url}: it may be an http:// address")
    if isinstance(error, (ConnectionError, HTTPException)):
        return NoAnswerError(f"the connection to {url} broke off")
    return NoAnswerError(f"{url} cannot be reached: {getattr(error, 'strerror', None) or error}")
