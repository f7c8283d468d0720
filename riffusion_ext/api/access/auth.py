"""What stands before the routes: who may come in, and how much may be brought along.

A wrapper for any ASGI application, so that nothing behind it reads a byte of what is refused.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from riffusion_ext.api.errors import ApiError, refusal
from riffusion_ext.api.requests.asgi import Asgi, Message, Receive, Scope, Send
from riffusion_ext.api.requests.receive import GoneError, Transfers, promised_bytes
from riffusion_ext.errors import RiffusionError

__all__ = ["READING", "Credentials", "Guard", "is_allowed", "parse_credential", "parse_credentials", "replay"]

READING = 20.0
"""Seconds in which a client must take the next part of a large reply."""

_PIECE = 1 << 18
_TARGET = 1 << 13
_HEADERS = 1 << 16

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
    answer
        Makes the refusal, from status, sentence and headers.
    """

    def __init__(
        self,
        app: Asgi,
        *,
        credentials: Credentials | None,
        body_bytes: Callable[[Mapping[str, Any]], int],
        bodies: Transfers,
        streamed: Callable[[Mapping[str, Any]], bool] = lambda scope: False,
        answer: Callable[..., Any] = refusal,
    ) -> None:
        self._app, self._credentials, self._most, self._bodies = app, credentials, body_bytes, bodies
        self._streamed, self._answer = streamed, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        if len(scope.get("query_string", b"")) + len(scope["path"]) > _TARGET:
            await self._answer(414, f"the address is longer than {_TARGET} characters")(scope, receive, send)
            return
        if sum(len(name) + len(value) for name, value in scope.get("headers", ())) > _HEADERS:
            await self._answer(431, f"the headers have more than {_HEADERS} bytes")(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        if self._credentials and not is_allowed(headers.get(b"authorization", ""), self._credentials):
            reply = self._answer(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})
            await reply(scope, receive, send)
            return
        if self._streamed(scope) or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, _in_pieces(send))
            return
        try:
            await self._whole(headers.get(b"content-length", ""), scope, receive, send)
        except GoneError:
            return
        except ApiError as error:  # of receiving the body, so nothing was answered yet; what else comes, nobody reads
            reply = self._answer(error.status, str(error), error.headers)
            await reply(scope, receive, send)

    async def _whole(self, length: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Take in the body up to the limit, and hand it on as one."""
        promised = promised_bytes(length)
        async with self._bodies.enter() as transfer:
            body = bytearray()
            async for piece in transfer.pieces(receive, most=self._most(scope), promised=promised):
                body += piece
            whole = replay(body, receive)
            del body

            async def answer(message: Message) -> None:
                transfer.release()  # how slowly the reply is read is no matter of the body
                await send(message)

            await self._app(scope, whole, _in_pieces(answer))


def _in_pieces(send: Send) -> Send:
    """Return a send that gives a large reply away bit by bit, and breaks off where the client does not take it."""
    broken = False

    async def pieces(message: Message) -> None:
        nonlocal broken
        body = message.get("body", b"")
        if len(body) <= _PIECE or broken:
            if not broken:  # else the server closes the connection, once the application has returned
                await send(message)
            return
        for start in range(0, len(body), _PIECE):
            more = message.get("more_body", False) or start + _PIECE < len(body)
            part = {"type": message["type"], "body": body[start : start + _PIECE], "more_body": more}
            try:
                await asyncio.wait_for(send(part), READING)
            except asyncio.TimeoutError:
                broken = True
                return

    return pieces


def replay(body: bytearray | bytes, receive: Receive) -> Receive:
    """Return a receive that gives the whole body, not copied, and after it what comes from the client."""
    given = [body]
    del body

    async def take() -> Message:
        return {"type": "http.request", "body": given.pop(), "more_body": False} if given else await receive()

    return take
