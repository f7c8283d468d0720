"""What stands before the routes: who may come in, and how much may be brought along.

A wrapper for any ASGI application, so that nothing behind it reads a byte of what is refused.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from riffusion_ext.api.replies import refusal
from riffusion_ext.errors import RiffusionError

__all__ = [
    "PATIENCE",
    "Credentials",
    "Guard",
    "Weight",
    "is_allowed",
    "parse_credential",
    "parse_credentials",
    "replay",
]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PATIENCE = 30.0
"""Seconds in which something more of a body must come."""

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
    if not user or not password:
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


class Weight:
    """Bytes that are held at present, over all requests."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0


class Guard:
    """An application behind a password and a limit of size.

    Parameters
    ----------
    app
        What is guarded.
    credentials
        None or empty: everybody may come in.
    body_bytes
        Largest body of a request.
    weight
        Of the bodies of all guarded applications together.
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
        body_bytes: int,
        weight: Weight,
        streamed: Callable[[Mapping[str, Any]], bool] = lambda scope: False,
        answer: Callable[..., Any] = refusal,
    ) -> None:
        self._app, self._credentials, self._most, self._weight = app, credentials, body_bytes, weight
        self._streamed, self._answer = streamed, answer

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        if self._credentials and not is_allowed(headers.get(b"authorization", ""), self._credentials):
            reply = self._answer(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})
            await reply(scope, receive, send)
            return
        if self._streamed(scope) or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        await self._whole(headers.get(b"content-length", ""), scope, receive, send)

    async def _whole(self, length: str, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Take in the body up to the limit, and hand it on as one."""
        promised = int(length) if length.isascii() and length.isdecimal() and len(length) < 16 else 0
        body = bytearray()
        counted = 0
        try:
            more = True
            while more:
                if max(promised, len(body)) > self._most:
                    text = f"the body is larger than the {self._most} bytes that are allowed"
                    await self._answer(413, text)(scope, receive, send)
                    return
                if self._weight.held > self._weight.most:
                    text = "many large requests are being worked on; try again later"
                    await self._answer(503, text)(scope, receive, send)
                    return
                try:
                    message = await asyncio.wait_for(receive(), PATIENCE)
                except asyncio.TimeoutError:
                    text = f"nothing more of the body came for {PATIENCE:g} s"
                    await self._answer(408, text)(scope, receive, send)
                    return
                if message["type"] != "http.request":  # the client has gone
                    return
                body += message.get("body", b"")
                more = message.get("more_body", False) or len(body) > self._most
                self._weight.held += len(body) - counted
                counted = len(body)
            whole = {"type": "http.request", "body": bytes(body), "more_body": False}
            await self._app(scope, replay(whole, receive), send)
        finally:
            self._weight.held -= counted


def replay(message: Message, receive: Receive) -> Receive:
    """Return a receive that gives a message that was taken already, and after it what comes from the client."""
    given = False

    async def take() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return take
