"""Bodies that are on their way: how slowly one may come, how many at one time, and how much they hold together.

::

    enter --> pieces ... --> whole --> release
      |         |  waits while there is no room, unless nothing else could ever make some
      |         |  ends where too little came for too long
      +-- where all places are taken, the slowest of the others leaves

A connection that sends little costs little; so places are many, and who sends least has to go first. Everything here
is asked for by several threads and event loops, as programs that embed the routes may have them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.requests.asgi import Message, Receive

__all__ = ["PATIENCE", "RATE", "WAITING", "WINDOW", "GoneError", "Transfer", "Transfers", "promised_bytes"]

WINDOW = 20.0
"""Seconds over which the rate of a body is measured, again and again."""

RATE = 1024.0
"""Bytes a second that must come at least."""

PATIENCE = 60.0
"""Seconds that a body waits for a place, and for room."""

WAITING = 512
"""Bodies that wait for a place, at most."""

_SLOW = 65536.0
"""Bytes a second: who sends less makes way where there is no place or room for others."""

_SETTLED = 1.0
_LOOK_AGAIN = 0.1


def promised_bytes(length: str) -> int:
    """Return the size of a body by its header Content-Length; 0 where that does not tell."""
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 16 else 0


class GoneError(ApiError):
    """The client has hung up."""

    def __init__(self) -> None:
        super().__init__(400, "the upload broke off")


def _refused(status: int, text: str) -> ApiError:
    """Return a refusal of a body of which more may come, that nobody will read."""
    return ApiError(status, text, {"Connection": "close"})


class Transfer:
    """One body. Made by :meth:`Transfers.enter`."""

    def __init__(self, transfers: Transfers, clock: Callable[[], float]) -> None:
        self._transfers, self._clock = transfers, clock
        self.size = 0
        self.receiving, self.waiting, self.sent_away = True, False, False
        self.begun = self._mark = clock()
        self._marked = 0

    def is_slow(self) -> bool:
        """Whether it would have to make way for others: for a while, little has come, and not because of us."""
        return self.receiving and not self.waiting and self._clock() - self._mark >= _SETTLED and self.rate() < _SLOW

    def rate(self) -> float:
        """Bytes a second of late."""
        return (self.size - self._marked) / max(self._clock() - self._mark, 1e-6)

    def release(self) -> None:
        """Give back the room; to be called once the body is not needed any more."""
        self._transfers.release(self)

    async def pieces(self, receive: Receive, *, most: int, promised: int = 0) -> AsyncIterator[bytes]:
        """Give out the body bit by bit.

        Raises
        ------
        ApiError
            It is larger than `most` bytes (413), too slow (408), or there is no room for it (503).
        GoneError
            The client has hung up.
        """
        more = True
        while more:
            if max(self.size, promised) > most:
                raise _refused(413, f"the body is larger than the {most} bytes that are allowed")
            message = await self._next(receive)
            if message["type"] != "http.request":
                raise GoneError
            piece = message.get("body", b"")
            more = message.get("more_body", False) or self.size + len(piece) > most
            if self.size + len(piece) <= most:
                await self._grow(len(piece))
                yield piece
            else:
                promised = self.size + len(piece)
        self.receiving = False

    async def _next(self, receive: Receive) -> Message:
        coming = asyncio.ensure_future(receive())
        try:
            while not coming.done():
                await asyncio.wait({coming}, timeout=max(min(self._left(), _LOOK_AGAIN * 5), 0.001))
                if not coming.done():
                    self._check()
            message = coming.result()
            if message.get("more_body", False):
                self._check(len(message.get("body", b"")))
            return message
        finally:
            coming.cancel()

    def _left(self) -> float:
        """Seconds until the rate is looked at again."""
        return self._mark + WINDOW - self._clock()

    def _check(self, size: int = 0) -> None:
        """Raise an ApiError where it was too slow, takes too long or makes way for another; `size` has just come."""
        now = self._clock()
        if self.sent_away:
            raise _refused(408, "the body came slowly while many others waited; try again later")
        if now - self.begun > self._transfers.seconds:
            raise _refused(408, f"the body took longer than the {self._transfers.seconds:g} s that are allowed")
        if now - self._mark < WINDOW:
            return
        came = self.size + size - self._marked
        if came < RATE * (now - self._mark):
            least = f"at least {RATE:g} bytes a second are needed"
            raise _refused(408, f"{came} bytes of the body came in {now - self._mark:.2g} s; {least}")
        self._mark, self._marked = now, self.size + size

    async def _grow(self, size: int) -> None:
        begun = self._clock()
        while not self._transfers.take(self, size):
            self.waiting = True
            if self._clock() - begun >= PATIENCE:
                raise _refused(503, "many large requests are being worked on; try again later")
            await asyncio.sleep(_LOOK_AGAIN)
        waited = self._clock() - begun
        self.begun, self._mark = self.begun + waited, self._mark + waited  # not the client's fault
        self.waiting = False


class Transfers:
    """Bodies of one kind that are being received or worked on.

    Parameters
    ----------
    most
        Received at one time.
    room
        Bytes of all together.
    seconds
        How long one may take.
    clock
        Returns seconds, for tests.
    """

    def __init__(self, most: int, room: int, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.room, self.seconds, self._clock = most, room, seconds, clock
        self.held = self._waiting = 0
        self._all: dict[Transfer, None] = {}
        self._lock = threading.Lock()

    @property
    def receiving(self) -> int:
        """How many are being received."""
        with self._lock:
            return sum(item.receiving for item in self._all)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[Transfer]:
        """Take a place, waiting for one if need be.

        Raises
        ------
        ApiError
            There was none for long, or :data:`WAITING` others wait already (503).
        """
        transfer = self._admitted() or await self._awaited()
        try:
            yield transfer
        finally:
            self.release(transfer)

    async def _awaited(self) -> Transfer:
        """Wait for a place."""
        none = _refused(503, f"{self.most} bodies are being received at present; try again later")
        with self._lock:
            if self._waiting >= WAITING:
                raise none
            self._waiting += 1
        end = self._clock() + PATIENCE
        try:
            while self._clock() < end:
                await asyncio.sleep(_LOOK_AGAIN)
                if (transfer := self._admitted()) is not None:
                    return transfer
            raise none
        finally:
            with self._lock:
                self._waiting -= 1

    def take(self, transfer: Transfer, size: int) -> bool:
        """Let one have so much more room; returns whether there is that much.

        The oldest gets it in any case where all the room is held by halves of bodies, which else would all wait for
        each other.
        """
        with self._lock:
            if self.held + size > self.room:
                if not any(item.sent_away and item.size for item in self._all):  # it takes a moment to leave
                    self._make_way()
                if transfer is not next(iter(self._all)) or any(not item.receiving for item in self._all):
                    return False
            self.held += size
            transfer.size += size
            return True

    def release(self, transfer: Transfer) -> None:
        """Take one out of the books; again, nothing."""
        with self._lock:
            if transfer in self._all:
                del self._all[transfer]
                self.held -= transfer.size

    def _admitted(self) -> Transfer | None:
        with self._lock:
            receiving = [item for item in self._all if item.receiving and not item.sent_away]
            if len(receiving) >= self.most and not self._make_way():
                return None
            transfer = Transfer(self, self._clock)
            self._all[transfer] = None
            return transfer

    def _make_way(self) -> bool:
        """Send the slowest away; returns whether there is one."""
        slow = [item for item in self._all if item.is_slow() and not item.sent_away]
        if slow:
            min(slow, key=Transfer.rate).sent_away = True
        return bool(slow)
