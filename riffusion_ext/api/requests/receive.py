"""Receive request bodies: limits on their rate, their number and their total size.

::

    enter --> pieces ... --> complete --> release
      |         |  waits while there is no memory, unless no other body could ever free some
      |         |  fails if the rate is too low for too long
      +-- if all places are taken, the slowest other body is evicted

A slow connection costs little, so there are many places, and the slowest body is evicted first. Everything here may be
called from several threads and event loops, as programs that embed the routes may have more than one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import Message, Receive

from riffusion_ext.api.errors import ApiError

__all__ = [
    "MAX_WAITING",
    "MIN_RATE",
    "TIMEOUT_S",
    "WINDOW_S",
    "DisconnectedError",
    "Transfer",
    "Transfers",
    "parse_content_length",
]

WINDOW_S = 20.0
"""Length of the intervals in seconds over which the rate of a body is measured."""

MIN_RATE = 1024.0
"""Minimum rate of a body, in bytes per second."""

TIMEOUT_S = 60.0
"""Maximum time in seconds that a body waits for a place, and for memory."""

MAX_WAITING = 512
"""Maximum number of bodies that wait for a place."""

_SLOW_RATE = 65536.0
"""Rate in bytes per second below which a body may be evicted in favour of others."""

_SETTLE_S = 1.0
_POLL_INTERVAL_S = 0.1


def parse_content_length(length: str) -> int:
    """Parse the header Content-Length; 0 if it is missing or invalid."""
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 16 else 0


class DisconnectedError(ApiError):
    """The client has disconnected."""

    def __init__(self) -> None:
        super().__init__(400, "the upload broke off")


def _refusal(status: int, text: str) -> ApiError:
    """Return an error for a body whose remainder will not be read."""
    return ApiError(status, text, {"Connection": "close"})


class Transfer:
    """A body that is being received. Created by :meth:`Transfers.enter`."""

    def __init__(self, transfers: Transfers, clock: Callable[[], float]) -> None:
        self._transfers, self._clock = transfers, clock
        self.size = 0
        self.receiving, self.waiting, self.evicted = True, False, False
        self.started = self._window_start = clock()
        self._window_bytes = 0

    def is_slow(self) -> bool:
        """Whether it may be evicted: its rate has been low for a while, and it is not waiting for us."""
        return (
            self.receiving
            and not self.waiting
            and self._clock() - self._window_start >= _SETTLE_S
            and self.rate() < _SLOW_RATE
        )

    def rate(self) -> float:
        """Rate in the present interval, in bytes per second."""
        return (self.size - self._window_bytes) / max(self._clock() - self._window_start, 1e-6)

    def release(self) -> None:
        """Give back the memory, once the body is no longer needed."""
        self._transfers.release(self)

    async def chunks(self, receive: Receive, *, max_bytes: int, content_length: int = 0) -> AsyncIterator[bytes]:
        """Yield the body in chunks.

        Raises
        ------
        ApiError
            The body is larger than `max_bytes` (413), too slow (408), or there is no memory for it (503).
        DisconnectedError
            The client has disconnected.
        """
        more = True
        while more:
            if max(self.size, content_length) > max_bytes:
                raise _refusal(413, f"the body is larger than the {max_bytes} bytes that are allowed")
            message = await self._next(receive)
            if message["type"] != "http.request":
                raise DisconnectedError
            chunk = message.get("body", b"")
            more = message.get("more_body", False) or self.size + len(chunk) > max_bytes
            if self.size + len(chunk) <= max_bytes:
                await self._grow(len(chunk))
                yield chunk
            else:
                content_length = self.size + len(chunk)
        self.receiving = False

    async def _next(self, receive: Receive) -> Message:
        pending = asyncio.ensure_future(receive())
        try:
            while not pending.done():
                await asyncio.wait({pending}, timeout=max(min(self._seconds_left(), _POLL_INTERVAL_S * 5), 0.001))
                if not pending.done():
                    self._check()
            message = pending.result()
            if message.get("more_body", False):
                self._check(len(message.get("body", b"")))
            return message
        finally:
            pending.cancel()

    def _seconds_left(self) -> float:
        """Seconds until the rate is checked next."""
        return self._window_start + WINDOW_S - self._clock()

    def _check(self, size: int = 0) -> None:
        """Raise an ApiError if the body is too slow, takes too long or was evicted; `size` bytes have just arrived."""
        now = self._clock()
        if self.evicted:
            raise _refusal(408, "the body came slowly while many others waited; try again later")
        if now - self.started > self._transfers.seconds:
            raise _refusal(408, f"the body took longer than the {self._transfers.seconds:g} s that are allowed")
        if now - self._window_start < WINDOW_S:
            return
        received = self.size + size - self._window_bytes
        if received < MIN_RATE * (now - self._window_start):
            minimum = f"at least {MIN_RATE:g} bytes a second are needed"
            raise _refusal(408, f"{received} bytes of the body came in {now - self._window_start:.2g} s; {minimum}")
        self._window_start, self._window_bytes = now, self.size + size

    async def _grow(self, size: int) -> None:
        started = self._clock()
        while not self._transfers.reserve(self, size):
            self.waiting = True
            if self._clock() - started >= TIMEOUT_S:
                raise _refusal(503, "many large requests are being worked on; try again later")
            await asyncio.sleep(_POLL_INTERVAL_S)
        waited = self._clock() - started
        self.started, self._window_start = self.started + waited, self._window_start + waited  # not the client's fault
        self.waiting = False


class Transfers:
    """All bodies of one kind that are being received or processed.

    Parameters
    ----------
    max_receiving
        Maximum number of bodies received at one time.
    max_bytes
        Maximum size of all bodies together.
    seconds
        Maximum time in seconds for receiving a body.
    clock
        Returns the time in seconds, for tests.
    """

    def __init__(
        self, max_receiving: int, max_bytes: int, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_receiving, self.max_bytes, self.seconds, self._clock = max_receiving, max_bytes, seconds, clock
        self.held = self._waiting = 0
        self._all: dict[Transfer, None] = {}
        self._lock = threading.Lock()

    @property
    def receiving(self) -> int:
        """Number of bodies being received."""
        with self._lock:
            return sum(item.receiving for item in self._all)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[Transfer]:
        """Take a place, waiting for one if necessary.

        Raises
        ------
        ApiError
            The wait timed out, or :data:`MAX_WAITING` others are waiting already (503).
        """
        transfer = self._try_enter() or await self._wait_to_enter()
        try:
            yield transfer
        finally:
            self.release(transfer)

    async def _wait_to_enter(self) -> Transfer:
        """Wait for a place."""
        busy = _refusal(503, f"{self.max_receiving} bodies are being received at present; try again later")
        with self._lock:
            if self._waiting >= MAX_WAITING:
                raise busy
            self._waiting += 1
        end = self._clock() + TIMEOUT_S
        try:
            while self._clock() < end:
                await asyncio.sleep(_POLL_INTERVAL_S)
                if (transfer := self._try_enter()) is not None:
                    return transfer
            raise busy
        finally:
            with self._lock:
                self._waiting -= 1

    def reserve(self, transfer: Transfer, size: int) -> bool:
        """Reserve `size` more bytes for a body; return whether that much memory is free.

        If all memory is held by incomplete bodies, the oldest gets it in any case: otherwise all would wait for each
        other.
        """
        with self._lock:
            if self.held + size > self.max_bytes:
                if not any(item.evicted and item.size for item in self._all):  # an evicted body takes a moment to leave
                    self._evict_slowest()
                if transfer is not next(iter(self._all)) or any(not item.receiving for item in self._all):
                    return False
            self.held += size
            transfer.size += size
            return True

    def release(self, transfer: Transfer) -> None:
        """Remove a body and free its memory; a second call does nothing."""
        with self._lock:
            if transfer in self._all:
                del self._all[transfer]
                self.held -= transfer.size

    def _try_enter(self) -> Transfer | None:
        with self._lock:
            receiving = [item for item in self._all if item.receiving and not item.evicted]
            if len(receiving) >= self.max_receiving and not self._evict_slowest():
                return None
            transfer = Transfer(self, self._clock)
            self._all[transfer] = None
            return transfer

    def _evict_slowest(self) -> bool:
        """Evict the slowest body; return whether there is one."""
        slow = [item for item in self._all if item.is_slow() and not item.evicted]
        if slow:
            min(slow, key=Transfer.rate).evicted = True
        return bool(slow)
