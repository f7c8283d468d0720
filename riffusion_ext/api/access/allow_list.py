"""An allow-list of host names and origins, for HTTP and WebSockets.

A page of another site runs in the user's own browser, so it can reach every server that the browser can reach. Two
headers identify its requests, and no page can forge them: Origin (or Sec-Fetch-Site), which the browser adds, and Host.
The second matters after DNS rebinding: the name of the other site then resolves to this machine, and the browser takes
that site and this server for the same origin.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riffusion_ext.api.errors import refusal
from riffusion_ext.errors import RiffusionError

logger = logging.getLogger(__name__)

__all__ = ["AllowList", "AllowListMiddleware", "header_values", "parse_host", "parse_origin", "with_headers"]

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_-][a-z0-9._-]{0,252})(?::([0-9]{1,5}))?", re.ASCII)
_LOOPBACK_NAMES = frozenset({"localhost"})
_MAX_ORIGIN = 300
_MAX_REPORTED = 20
_REPORTED: set[str] = set()
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def parse_host(text: str) -> tuple[str, int | None]:
    """Parse a Host header.

    Returns
    -------
    tuple
        Name or address in lower case, without brackets and trailing dot; port or None.

    Raises
    ------
    RiffusionError
        The text is not a host name.
    """
    match = _AUTHORITY.fullmatch(text.strip(" \t").lower())
    if match is None:
        raise RiffusionError(f"not a host name: {text[:100]!r}")
    name, port = match.groups()
    return name.strip("[]").removesuffix("."), int(port) if port else None


def parse_origin(text: str) -> tuple[str, str, int]:
    """Parse an Origin such as ``https://music.example:8443``.

    Returns
    -------
    tuple
        Scheme, host in the form of :func:`parse_host`, and port.

    Raises
    ------
    RiffusionError
        The text is not an origin, or is ``null``.
    """
    scheme, separator, authority = text.strip().lower().partition("://")
    if not separator or scheme not in _DEFAULT_PORTS:
        raise RiffusionError(f"an origin looks like https://music.example:8443, got {text[:100]!r}")
    name, port = parse_host(authority)
    return scheme, name, port if port is not None else _DEFAULT_PORTS[scheme]


def header_values(scope: Scope, name: str) -> list[str]:
    """Return the values of a header, in the order of the request."""
    expected = name.encode("ascii")
    return [value.decode("latin-1") for key, value in scope.get("headers", ()) if key.lower() == expected]


@dataclass(frozen=True)
class AllowList:
    """Hosts and origins whose requests are allowed.

    Parameters
    ----------
    hosts
        Names and addresses of the server. Loopback names and addresses are always allowed; ``"*"`` allows any.
    any_address
        Whether to allow every IP address as host: another site is called by a name, never by an address.
    any_host
        Whether to allow every host name. For servers with a password, which pages of other sites do not have.
    origins
        Origins of other sites whose pages may call the server, such as ``"https://music.example"``.
    origin_pattern
        Regular expression for further origins; it must match the whole origin.
    option
        Name of the option that allows a host, for error messages.

    Raises
    ------
    RiffusionError
        A name or an origin is invalid.
    """

    hosts: frozenset[str] = frozenset()
    any_address: bool = False
    any_host: bool = False
    origins: frozenset[str] = frozenset()
    origin_pattern: str = ""
    option: str = "--allow-host"
    _origins: frozenset[tuple[str, str, int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "any_host", self.any_host or "*" in self.hosts)
        object.__setattr__(self, "hosts", frozenset(parse_host(name)[0] for name in self.hosts if name != "*"))
        object.__setattr__(self, "_origins", frozenset(parse_origin(text) for text in self.origins))

    @classmethod
    def from_names(
        cls,
        hosts: Iterable[str],
        origins: Iterable[str] = (),
        *,
        any_host: bool = False,
        any_address: bool = False,
        origin_pattern: str = "",
        option: str = "--allow-host",
    ) -> AllowList:
        """Build a list that allows these hosts and origins, and the hosts of the origins."""
        origins = frozenset(origins)
        names = {parse_origin(text)[1] for text in origins}
        return cls(
            hosts=frozenset({*hosts, *names}),
            origins=origins,
            any_host=any_host,
            any_address=any_address,
            origin_pattern=origin_pattern,
            option=option,
        )

    def refusal_reason(self, scope: Scope) -> str:
        """Return one sentence why a request is refused; "" if it is allowed.

        Parameters
        ----------
        scope
            ASGI scope of type http or websocket.
        """
        hosts = header_values(scope, "host")
        try:
            if len(hosts) != 1:
                raise RiffusionError(f"a request must name one host, this one names {len(hosts)}")
            host = parse_host(hosts[0])
        except RiffusionError as error:
            return str(error)
        if not self._allows_host(host[0]):
            return f"this server does not answer to the name {host[0]!r}; {self.option} {host[0]} would allow it"
        origins = header_values(scope, "origin")
        if origins:
            if len(origins) == 1 and self._is_own_origin(origins[0], host):
                return ""
            return f"pages of {origins[0][:100]!r} may not call this server"
        return self._reason_by_site(scope, host)

    def allows_origin(self, origin: str) -> bool:
        """Whether the user has allowed pages of this origin, which is another site."""
        if len(origin) > _MAX_ORIGIN:
            return False
        try:
            parsed = parse_origin(origin)
        except RiffusionError:
            return False
        return parsed in self._origins or bool(self.origin_pattern and re.fullmatch(self.origin_pattern, origin))

    def _allows_host(self, name: str) -> bool:
        if self.any_host or name in self.hosts or name in _LOOPBACK_NAMES:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.any_address or address.is_loopback

    def _is_own_origin(self, origin: str, host: tuple[str, int | None]) -> bool:
        """Whether an origin is the server itself, by the host of this request, or an allowed origin."""
        try:
            scheme, name, port = parse_origin(origin)
        except RiffusionError:
            return False
        expected = host[1] if host[1] is not None else _DEFAULT_PORTS[scheme]  # behind a proxy, the scheme is not known
        return (name, port) == (host[0], expected) or self.allows_origin(origin)

    def _reason_by_site(self, scope: Scope, host: tuple[str, int | None]) -> str:
        """Check a request without an Origin: of a program, one of our pages, or a GET of another site."""
        site = header_values(scope, "sec-fetch-site")
        if not site or site[-1] in ("same-origin", "none"):
            return ""
        navigation = all(header_values(scope, name) == [value] for name, value in _NAVIGATION.items())
        if navigation and scope.get("method") in ("GET", "HEAD"):  # a link; its page cannot read the response
            return ""
        referers = header_values(scope, "referer")
        origin = "/".join(referers[0].split("/", 3)[:3]) if referers else ""
        return "" if self._is_own_origin(origin, host) else "pages of other sites may not call this server"


class AllowListMiddleware:
    """Middleware that refuses (403) requests whose host or origin is not allowed.

    Parameters
    ----------
    app
        The application to protect.
    allow_list
        Allowed hosts and origins.
    cross_origin
        Whether to add CORS headers for allowed origins. Leave it off if something else adds them.
    """

    def __init__(self, app: ASGIApp, allow_list: AllowList, *, cross_origin: bool = False) -> None:
        self._app, self._allow_list, self._cross_origin = app, allow_list, cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal_reason = self._allow_list.refusal_reason(scope)
        if refusal_reason:
            _report_once(refusal_reason)
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the client sees 403
            else:
                await refusal(403, refusal_reason)(scope, receive, send)
            return
        origin = "".join(header_values(scope, "origin"))
        if not (self._cross_origin and scope["type"] == "http" and self._allow_list.allows_origin(origin)):
            await self._app(scope, receive, send)
            return
        headers = _readable_by(origin)
        if scope["method"] == "OPTIONS" and header_values(scope, "access-control-request-method"):
            await send({"type": "http.response.start", "status": 204, "headers": [*headers, *_PREFLIGHT]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, with_headers(headers, send))


def _report_once(refusal_reason: str) -> None:
    """Log a refusal, as the user may have forgotten to allow a name; each only once, and not too many."""
    if refusal_reason not in _REPORTED and len(_REPORTED) < _MAX_REPORTED:
        _REPORTED.add(refusal_reason)
        logger.warning("Riffusion refused a request: %s", refusal_reason)


_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Range"),
    (b"access-control-max-age", b"600"),
)


def _readable_by(origin: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"Content-Range, Retry-After"),
        (b"vary", b"Origin"),
    ]


def with_headers(headers: Sequence[tuple[bytes, bytes]], send: Send, *, keep: bool = False) -> Send:
    """Return a `send` that adds headers to a response.

    Parameters
    ----------
    headers
        Names in lower case, and values.
    send
        ASGI `send` of the request.
    keep
        Whether headers that the response already has are kept instead of replaced.
    """

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            old = list(message.get("headers", ()))
            present = {name.lower() for name, _ in old}
            new = [item for item in headers if not (keep and item[0] in present)]
            replaced = {name for name, _ in new}
            message = {**message, "headers": [*(item for item in old if item[0].lower() not in replaced), *new]}
        await send(message)

    return send_with_headers
