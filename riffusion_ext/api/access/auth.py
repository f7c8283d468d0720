"""Credentials and size limits of the routes.

:class:`Guard` wraps any ASGI application, which therefore never reads a byte of a refused request.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riffusion_ext.api.errors import ApiError, Refuse, refusal
from riffusion_ext.api.requests.receive import DisconnectedError, Transfers, parse_content_length
from riffusion_ext.errors import RiffusionError

__all__ = ["SEND_TIMEOUT_S", "Credentials", "Guard", "is_allowed", "parse_credential", "parse_credentials", "replay"]

SEND_TIMEOUT_S = 20.0
"""Seconds within which a client must accept the next chunk of a large response."""

_CHUNK_BYTES = 1 << 18
_MAX_TARGET = 1 << 13
_MAX_HEADERS = 1 << 16

Credentials = Mapping[str, str]
"""Passwords by user."""


def parse_credential(text: str) -> tuple[str, str]:
    """Parse ``user:password``. The user ends at the first colon; the password may contain anything.

    Raises
    ------
    RiffusionError
        One of them is missing. The message does not contain the text.
    """
    user, _, password = text.partition(":")
    if not user.strip() or not password.strip():
        raise RiffusionError("a credential looks like user:password, and neither may be empty")
    return user, password


def parse_credentials(text: str) -> dict[str, str]:
    """Parse ``user:password,user2:password2`` like the webui's --api-auth: no comma or colon in a password.

    Raises
    ------
    RiffusionError
        A part is not a credential, or the webui would parse it differently.
    """
    parts = text.split(",") if text else []
    if any(part.count(":") != 1 for part in parts):
        raise RiffusionError("credentials look like user:password,user2:password2, without other commas and colons")
    return dict(parse_credential(part) for part in parts)


def is_allowed(authorization: str, credentials: Credentials) -> bool:
    """Whether an Authorization header (HTTP Basic) names a user and the right password."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return False
    expected = credentials.get(user)
    # Compared even for unknown users, so that the time does not reveal which users exist.
    known = (expected if expected is not None else "").encode("utf-8", "surrogateescape")  # decoded like argv
    right = secrets.compare_digest(password.encode(), known)
    return bool(colon) and expected is not None and right


class Guard:
    """Middleware that requires a password and limits the size of requests.

    Parameters
    ----------
    app
        The application to protect.
    credentials
        Passwords by user. None or empty: no password is required.
    body_bytes
        Returns the maximum body size of a request, given its scope.
    bodies
        The bodies of all protected applications.
    streamed
        Whether the route of a request, given its scope, reads the body as a stream and limits it itself.
    refuse
        Builds the error response from a status, a sentence and headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        credentials: Credentials | None,
        body_bytes: Callable[[Scope], int],
        bodies: Transfers,
        streamed: Callable[[Scope], bool] = lambda scope: False,
        refuse: Refuse = refusal,
    ) -> None:
        self._app, self._credentials, self._body_bytes, self._bodies = app, credentials, body_bytes, bodies
        self._streamed, self._refuse = streamed, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        if len(scope.get("query_string", b"")) + len(scope["path"]) > _MAX_TARGET:
            await self._refuse(414, f"the address is longer than {_MAX_TARGET} characters")(scope, receive, send)
            return
        if sum(len(name) + len(value) for name, value in scope.get("headers", ())) > _MAX_HEADERS:
            await self._refuse(431, f"the headers have more than {_MAX_HEADERS} bytes")(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        if self._credentials and not is_allowed(headers.get(b"authorization", ""), self._credentials):
            reply = self._refuse(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})
            await reply(scope, receive, send)
            return
        if self._streamed(scope) or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, _in_chunks(send))
            return
        try:
            await self._forward_whole(headers.get(b"content-length", ""), scope, receive, send)
        except DisconnectedError:
            return
        except ApiError as error:  # raised while receiving the body, so no response has started
            reply = self._refuse(error.status, str(error), error.headers)
            await reply(scope, receive, send)

    async def _forward_whole(self, length: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive the whole body, up to the limit, and pass it on as one message."""
        content_length = parse_content_length(length)
        async with self._bodies.enter() as transfer:
            body = bytearray()
            async for chunk in transfer.chunks(
                receive, max_bytes=self._body_bytes(scope), content_length=content_length
            ):
                body += chunk
            receive_whole = replay(body, receive)
            del body

            async def send_released(message: Message) -> None:
                transfer.release()  # a client that reads slowly must not hold the space of its body
                await send(message)

            await self._app(scope, receive_whole, _in_chunks(send_released))


def _in_chunks(send: Send) -> Send:
    """Return a `send` that splits large responses into chunks, and stops if the client does not accept them."""
    broken = False

    async def send_chunks(message: Message) -> None:
        nonlocal broken
        body = message.get("body", b"")
        if len(body) <= _CHUNK_BYTES or broken:
            if not broken:  # otherwise the server closes the connection once the application returns
                await send(message)
            return
        for start in range(0, len(body), _CHUNK_BYTES):
            more = message.get("more_body", False) or start + _CHUNK_BYTES < len(body)
            chunk = {"type": message["type"], "body": body[start : start + _CHUNK_BYTES], "more_body": more}
            try:
                await asyncio.wait_for(send(chunk), SEND_TIMEOUT_S)
            except asyncio.TimeoutError:
                broken = True
                return

    return send_chunks


def replay(body: bytearray | bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields the whole body, without copying it, and then the client's further messages."""
    unread = [body]
    del body

    async def receive_body() -> Message:
        return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

    return receive_body
