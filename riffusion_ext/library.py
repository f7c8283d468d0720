"""Clips by opaque id, so that pages can fetch them without naming a file.

The ids travel through the browser (in webui's generation info); the paths stay here. A page can therefore only fetch
clips whose ids this program has given it.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from riffusion_ext.errors import RiffusionError

__all__ = ["LIBRARY", "MEDIA", "ClipLibrary", "ClipRecord", "FullError", "Reservation"]

MEDIA = "/riffusion/media"
"""URL prefix of the ids of clips, in every server of our pages."""


class FullError(RiffusionError):
    """There is no space at present; it is expected to be free in `seconds`."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


@dataclass(frozen=True)
class ClipRecord:
    """A stored file and its description.

    Parameters
    ----------
    id
        Opaque id, safe in a URL.
    path
        Absolute path of the file.
    title
        Title for the user: the prompt, or a note that all clips are joined in this one.
    duration
        Length in seconds.
    seed
        Seed of the image; None for a joined clip.
    infotext
        webui's generation parameters of the image, the second key of the library; "" if there are none.
    download_name
        File name offered to a browser.
    image
        File name of the image, without its folder; "" if it was not saved, None for a clip of several images.
    temporary
        Whether the library owns the file, and deletes it together with the record.
    """

    id: str
    path: Path
    title: str
    duration: float
    seed: int | None = None
    infotext: str = ""
    download_name: str = ""
    image: str | None = None
    temporary: bool = False

    @property
    def url(self) -> str:
        """URL of the file, relative to our pages."""
        return f"{MEDIA.lstrip('/')}/{self.id}"


class Reservation:
    """Space reserved for a job, and the files it has stored so far. Created by :meth:`ClipLibrary.reserve`."""

    def __init__(self, library: ClipLibrary, files: int, size: int) -> None:
        self._library = library
        self.files, self.size = files, size
        self.ids: list[str] = []

    def close(self) -> None:
        """Give back unused space. The lifetime of the stored files starts now."""
        self._library._release(self, keep=True)

    def discard(self) -> None:
        """Give back all space and remove the stored files."""
        self._library._release(self, keep=False)


class ClipLibrary:
    """The latest clips, by id and by infotext. Thread-safe.

    Parameters
    ----------
    capacity
        Maximum number of records, at least 1; the least recently used are removed first.
    temporary_bytes
        Maximum size of temporary files; the oldest are removed first, but the newest always stays.
    lifetime
        Minimum time in seconds for which a clip is kept. With 0, a new clip is always accepted; otherwise it is
        refused if there is no space.
    clock
        Returns the time in seconds, for tests.
    """

    def __init__(
        self,
        capacity: int = 2000,
        temporary_bytes: int = 1 << 30,
        *,
        lifetime: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; at least 1 is needed")
        self._capacity = capacity
        self._temporary_bytes = temporary_bytes
        self._lifetime, self._clock = lifetime, clock
        self._expires: dict[str, float] = {}
        self._reserved_files = self._reserved_bytes = 0
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._records: OrderedDict[str, ClipRecord] = OrderedDict()
        self._by_infotext: dict[str, str] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._records)

    def add(
        self,
        path: Path,
        *,
        title: str,
        duration: float,
        seed: int | None = None,
        infotext: str = "",
        download_name: str = "",
        image: str | None = None,
        temporary: bool = False,
        reservation: Reservation | None = None,
    ) -> ClipRecord:
        """Add a clip and give it an id. If several clips have the same infotext, :meth:`find` returns the latest.

        Raises
        ------
        FullError
            There is no space, and `reservation` has none left.
        """
        id_ = secrets.token_urlsafe(12)
        path = Path(path).absolute()
        name = download_name or path.name
        record = ClipRecord(id_, path, title, duration, seed, infotext, name, image, temporary)
        size = _size_of(path) if temporary else 0
        with self._lock:
            # Reserved space is used first; anything beyond it needs free space.
            files = min(reservation.files, 1) if reservation is not None else 0
            part = min(reservation.size, size) if reservation is not None else 0
            removed = self._evict(1 - files, size - part)
            if reservation is not None:
                reservation.files, reservation.size = reservation.files - files, reservation.size - part
                reservation.ids.append(id_)
            self._reserved_files -= files
            self._reserved_bytes -= part
            self._records[id_] = record
            if infotext:
                self._by_infotext[infotext] = id_
            if temporary:
                self._sizes[id_] = size
                self._bytes += size
            if self._lifetime:
                self._expires[id_] = math.inf if reservation is not None else self._clock() + self._lifetime
        for old in removed:
            _delete_if_temporary(old)
        return record

    def reserve(self, files: int, size: int, *, force: bool = False) -> Reservation:
        """Reserve space for a number of clips of `size` bytes in total. Close or discard the reservation at the end.

        With `force`, it is granted even if there is no space: for results that took too long to be lost.

        Raises
        ------
        FullError
            There is no space, and all clips are too new to be removed.
        """
        with self._lock:
            removed = [] if force else self._evict(files, size)
            self._reserved_files += files
            self._reserved_bytes += size
        for old in removed:
            _delete_if_temporary(old)
        return Reservation(self, files, size)

    def get(self, id_: str) -> ClipRecord | None:
        """Return the record with an id, or None."""
        with self._lock:
            record = self._records.get(id_)
            if record is not None:
                self._records.move_to_end(id_)
            return record

    def find(self, infotext: str) -> ClipRecord | None:
        """Return the latest clip made from an image with exactly these generation parameters, or None."""
        with self._lock:
            id_ = self._by_infotext.get(infotext)
        return self.get(id_) if id_ else None

    def clear(self) -> None:
        """Remove all records and delete the temporary files."""
        with self._lock:
            removed = list(self._records.values())
            self._records.clear()
            self._by_infotext.clear()
            self._sizes.clear()
            self._expires.clear()
            self._bytes = 0
        for old in removed:
            _delete_if_temporary(old)

    def _evict(self, files: int, size: int) -> list[ClipRecord]:
        """Remove the oldest records until there is space for so many files and bytes; return them."""
        # A limit that is not asked for may be exceeded already, by forced reservations.
        files += len(self._records) + self._reserved_files - self._capacity if files else 0
        size += self._bytes + self._reserved_bytes - self._temporary_bytes if size else 0
        if files <= 0 and size <= 0:
            return []
        now = self._clock()
        removed: list[str] = []
        for id_ in self._records:
            if files <= 0 and size <= 0:
                break
            file_size = self._sizes.get(id_, 0)
            if self._expires.get(id_, 0.0) <= now and (files > 0 or file_size):
                removed.append(id_)
                files, size = files - 1, size - file_size
        if self._lifetime and (files > 0 or size > 0):
            raise self._full_error(files, size, set(removed), now)
        return [self._drop(id_) for id_ in removed]

    def _full_error(self, files: int, size: int, removed: set[str], now: float) -> FullError:
        """Build the error that says when so much space will be free. Files of running jobs count a full lifetime."""
        free_at = now + self._lifetime
        for expires, id_ in sorted((expires, id_) for id_, expires in self._expires.items() if id_ not in removed):
            if files <= 0 and size <= 0:
                break
            files, size = files - 1, size - self._sizes.get(id_, 0)
            free_at = expires if math.isfinite(expires) else now + self._lifetime
        seconds = max(free_at - now, 1.0)
        return FullError(
            f"{len(self._records)} files of {self._bytes} bytes are kept, most of them younger than"
            f" {self._lifetime:g} s; try again in {math.ceil(seconds)} s",
            seconds,
        )

    def _release(self, reservation: Reservation, *, keep: bool) -> None:
        removed = []
        with self._lock:
            self._reserved_files -= reservation.files
            self._reserved_bytes -= reservation.size
            reservation.files = reservation.size = 0
            for id_ in filter(self._records.__contains__, reservation.ids):
                if not keep:
                    removed.append(self._drop(id_))
                elif self._lifetime:
                    self._expires[id_] = self._clock() + self._lifetime
            reservation.ids = []
        for old in removed:
            _delete_if_temporary(old)

    def _drop(self, id_: str) -> ClipRecord:
        record = self._records.pop(id_)
        self._bytes -= self._sizes.pop(id_, 0)
        self._expires.pop(id_, None)
        if self._by_infotext.get(record.infotext) == id_:
            del self._by_infotext[record.infotext]
        return record


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _delete_if_temporary(record: ClipRecord) -> None:
    if record.temporary:
        with contextlib.suppress(OSError):  # missing, or in use on Windows
            record.path.unlink()


LIBRARY = ClipLibrary()
"""The library of this process. It survives webui's "Reload UI", so the players of open pages keep working."""
