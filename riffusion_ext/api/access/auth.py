"""What stands before the routes: who may come in, and how much may be brought along.

A wrapper for any ASGI application, so that nothing behind it reads a byte of what is refused.
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
"""Seconds in which a client must take the next part of a large reply."""

_CHUNK_BYTES = 1 << 18
_MAX_TARGET = 1 << 13
_MAX_HEADERS = 1 << 16

Credentials = Mapping[str, str]
"""Passwords by user."""


def parse_credential(text: str) -> tuple[str, str]:
    """Read ``user:password``. The first colon ends the user; the password may hold anything.

    Raises
    ------
    RiffusionError
        One of them is missing. The message does not repeat the text.
    """
    user, _, password = text.partition(":")
    if not user.strip() or not password.strip():
        raise RiffusionError("a credential looks like user:password, and neither may be empty")
    return user, password


def parse_credentials(text: str) -> dict[str, str]:
    """Read ``user:password,user2:password2``, as the webui's --api-auth takes it: no comma or colon in a password.

    Raises
    ------
    RiffusionError
        A part is no credential, or could be read in another way than the webui reads it.
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
    # Compared in any case, so that the time taken does not tell which users there are.
    known = (expected if expected is not None else "").encode("utf-8", "surrogateescape")  # as a terminal gives it
    right = secrets.compare_digest(password.encode(), known)
    return bool(colon) and expected is not None and right


class Guard:
    """An application behind a password and a limit of size.

    Parameters
    ----------
    app
        What is guarded.
    credentials
        None or empty: everybody may come in.
    body_bytes
        Returns the largest body of a request, by its scope.
    bodies
        Those of all guarded applications together.
    streamed
        Whether a request, by its scope, reads its own body bit by bit: then the limit is its own.
    refuse
        Makes the refusal, from status, sentence and headers.
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
        """Let a request through, or refuse it."""
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
        except ApiError as error:  # of receiving the body, so nothing was answered yet; what else comes, nobody reads
            reply = self._refuse(error.status, str(error), error.headers)
            await reply(scope, receive, send)

    async def _forward_whole(self, length: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Take in the body up to the limit, and hand it on as one."""
        content_length = parse_content_length(length)
        async with self._bodies.enter() as transfer:
            body = bytearray()
            async for chunk in transfer.pieces(
                receive, max_bytes=self._body_bytes(scope), content_length=content_length
            ):
                body += chunk
            receive_whole = replay(body, receive)
            del body

            async def send_released(message: Message) -> None:
                transfer.release()  # how slowly the reply is read is no matter of the body
                await send(message)

            await self._app(scope, receive_whole, _in_chunks(send_released))


def _in_chunks(send: Send) -> Send:
    """Return a send that gives a large reply away bit by bit, and breaks off where the client does not take it."""
    broken = False

    async def send_chunks(message: Message) -> None:
        nonlocal broken
        body = message.get("body", b"")
        if len(body) <= _CHUNK_BYTES or broken:
            if not broken:  # else the server closes the connection, once the application has returned
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
    """Return a receive that gives the whole body, not copied, and after it what comes from the client."""
    unread = [body]
    del body

    async def receive_body() -> Message:
        return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

    return receive_body
