"""Storage for results: reserved before they are made, and kept long enough for clients to fetch them.

::

    job starts --> reserve, save, save, ... --> job ends --> lifetime --> the oldest are removed if space is needed
                   |<----------- none of its files is removed ----------->|

The reservations of a job are bound to its thread, so the job itself only saves files.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.requests.threads import in_thread
from riffusion_ext.library import ClipLibrary, ClipRecord, FullError, Reservation

T = TypeVar("T")

__all__ = ["UPLOAD_TIMEOUT_S", "ResultStore"]

UPLOAD_TIMEOUT_S = 20.0
"""Seconds that an upload waits for free storage before it is refused."""

_POLL_INTERVAL_S = 0.5


class ResultStore:
    """Stored files, by kind.

    Parameters
    ----------
    libraries
        Libraries by kind of file.
    files, size
        Capacity of each library, in files and in bytes.
    timeout_s
        Seconds that a long job waits for storage for its result.
    """

    def __init__(self, libraries: Mapping[str, ClipLibrary], files: int, size: int, timeout_s: float) -> None:
        self._libraries, self._files, self._size, self._timeout_s = libraries, files, size, timeout_s
        self._work = threading.local()

    @contextmanager
    def hold_results(self) -> Iterator[None]:
        """Keep the files that this thread saves until the block and their lifetime end; remove them on an error."""
        reservations: dict[str, list[Reservation]] = {kind: [] for kind in self._libraries}
        self._work.reservations = reservations
        try:
            yield
        except BaseException:
            for reservation in [reservation for items in reservations.values() for reservation in items]:
                reservation.discard()
            raise
        finally:
            self._work.reservations = None
            for reservation in [reservation for items in reservations.values() for reservation in items]:
                reservation.close()

    def check(self, kind: str, files: int, size: int) -> None:
        """Raise an ApiError if the files exceed the capacity."""
        if files > self._files:
            raise ApiError(413, f"this makes {files} {kind}, {self._files} are kept")
        if size > self._size:
            raise ApiError(413, f"this makes about {size} bytes of {kind}, {self._size} are kept")

    def reserve(self, kind: str, files: int, size: int, *, wait: bool = False) -> None:
        """Reserve storage for the job of this thread.

        Parameters
        ----------
        kind
            Kind of the files.
        files, size
            Maximum number of files, and of bytes of all together.
        wait
            Whether to wait until storage is free. After the timeout, it is granted in any case, one result at a time.

        Raises
        ------
        ApiError
            The files exceed the capacity.
        FullError
            There is no free storage at present, and `wait` is false.
        """
        self.check(kind, files, size)
        end = time.monotonic() + self._timeout_s
        while True:
            try:
                reservation = self._libraries[kind].reserve(files, size, force=wait and time.monotonic() >= end)
            except FullError:
                if not wait:
                    raise
                time.sleep(_POLL_INTERVAL_S)
            else:
                self._work.reservations[kind].append(reservation)
                return

    def save(
        self,
        kind: str,
        path: Path,
        *,
        title: str,
        duration: float = 0.0,
        seed: int | None = None,
        download_name: str = "",
    ) -> ClipRecord:
        """Store a file and give it an id; the store owns the file from then on.

        If there is no free storage, the file is removed and the error raised.
        """
        reservations = getattr(self._work, "reservations", None)
        try:
            if reservations is None:
                self.check(kind, 1, path.stat().st_size)
                reservation = None
            else:
                if not any(item.files for item in reservations[kind]):
                    self.reserve(kind, 1, path.stat().st_size, wait=True)
                reservation = next(item for item in reservations[kind] if item.files)
            return self._libraries[kind].add(
                path,
                temporary=True,
                reservation=reservation,
                title=title,
                duration=duration,
                seed=seed,
                download_name=download_name,
            )
        except Exception:
            with suppress(OSError):
                path.unlink()
            raise

    async def run_with_reservation(
        self, kind: str, size: int, work: Callable[[], T], run: Callable[[Callable[[], T]], Awaitable[T]]
    ) -> T:
        """Reserve storage for one file, waiting if necessary, and call `work`, which saves it, by `run` in a thread."""
        end = time.monotonic() + UPLOAD_TIMEOUT_S
        self.check(kind, 1, size)
        while True:
            try:
                reservation = await in_thread(self._libraries[kind].reserve, 1, size)
                break
            except FullError as error:
                if time.monotonic() + min(error.seconds, _POLL_INTERVAL_S) > end:
                    raise
                await asyncio.sleep(_POLL_INTERVAL_S)

        def run_work() -> T:
            with self.hold_results():
                self._work.reservations[kind].append(reservation)
                return work()

        try:
            return await run(run_work)
        except BaseException:
            reservation.close()  # also if it was cancelled before `work` started
            raise
