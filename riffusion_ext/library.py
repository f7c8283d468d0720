"""Clips by opaque id: what a page may ask for, without ever naming a file.

The ids travel through the browser (in webui's generation info); the paths stay here. A page can therefore only reach
clips that this program made and handed it.
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
"""Above the ids of clips, in every server of our pages."""


class FullError(RiffusionError):
    """There is no room now; there will be some in so many `seconds`."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


@dataclass(frozen=True)
class ClipRecord:
    """One sound file that was made, and what to say about it.

    Parameters
    ----------
    id
        Opaque; safe in a URL.
    path
        The sound file, absolute.
    title
        What the user reads first: the prompt, or that all clips are joined in this one.
    duration
        Seconds.
    seed
        Seed of the image; None for a joined clip.
    infotext
        webui's generation parameters of the image, the second key of the library; "" where there are none.
    download_name
        File name offered to a browser.
    image
        File name of the image, without its folder; "" where it was not saved, None for a clip of several images.
    temporary
        The file belongs to the library and is deleted when the record leaves it.
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
        """Where a page of ours fetches the file, relative to itself."""
        return f"{MEDIA.lstrip('/')}/{self.id}"


class Reservation:
    """Room promised to a piece of work, and what it has kept so far. Made by :meth:`ClipLibrary.reserve`."""

    def __init__(self, library: ClipLibrary, files: int, size: int) -> None:
        self._library = library
        self.files, self.size = files, size
        self.ids: list[str] = []

    def close(self) -> None:
        """Give back what was not used. What was kept can leave after the library's lifetime, from now on."""
        self._library._release(self, keep=True)

    def discard(self) -> None:
        """Give back everything: nobody will be told of what was kept."""
        self._library._release(self, keep=False)


class ClipLibrary:
    """The last clips made, by id and by infotext. Safe to use from several threads.

    Parameters
    ----------
    capacity
        Records kept; the least recently used ones leave first. At least 1.
    temporary_bytes
        Room for temporary files, in bytes; the oldest of them leave first, but the newest always stays.
    lifetime
        Seconds that a clip stays at least. With 0, there is always room for one more; otherwise what there is no room
        for is refused.
    clock
        Returns seconds, for tests.
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
        self._promised_files = self._promised_bytes = 0
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
        """Keep a clip and give it an id. A later clip of the same infotext is the one that infotext finds.

        Raises
        ------
        FullError
            There is no room, and none was promised by `reservation`.
        """
        id_ = secrets.token_urlsafe(12)
        path = Path(path).absolute()
        name = download_name or path.name
        record = ClipRecord(id_, path, title, duration, seed, infotext, name, image, temporary)
        size = _size_of(path) if temporary else 0
        with self._lock:
            # What was promised is used first; for what is more than that, there must be room as for anything else.
            files = min(reservation.files, 1) if reservation is not None else 0
            part = min(reservation.size, size) if reservation is not None else 0
            removed = self._evict(1 - files, size - part)
            if reservation is not None:
                reservation.files, reservation.size = reservation.files - files, reservation.size - part
                reservation.ids.append(id_)
            self._promised_files -= files
            self._promised_bytes -= part
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
        """Promise room for so many clips of so many bytes together. To be closed or abandoned.

        With `force`, also where there is none: for results that took so long to make that they are not to be lost.

        Raises
        ------
        FullError
            There is none: what is there is too young to leave.
        """
        with self._lock:
            removed = [] if force else self._evict(files, size)
            self._promised_files += files
            self._promised_bytes += size
        for old in removed:
            _delete_if_temporary(old)
        return Reservation(self, files, size)

    def get(self, id_: str) -> ClipRecord | None:
        """Return the record of an id, or None."""
        with self._lock:
            record = self._records.get(id_)
            if record is not None:
                self._records.move_to_end(id_)
            return record

    def find(self, infotext: str) -> ClipRecord | None:
        """Return the newest clip made from an image with exactly these generation parameters, or None."""
        with self._lock:
            id_ = self._by_infotext.get(infotext)
        return self.get(id_) if id_ else None

    def clear(self) -> None:
        """Forget everything; temporary files are deleted."""
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
        """Let the oldest go until there is room for so much more; returns them."""
        # Of what is not asked for, there may be too much already: what took long is kept in any case.
        files += len(self._records) + self._promised_files - self._capacity if files else 0
        size += self._bytes + self._promised_bytes - self._temporary_bytes if size else 0
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
        """Say when so many more files and bytes will be free; with what is being made now, not before its lifetime."""
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
            self._promised_files -= reservation.files
            self._promised_bytes -= reservation.size
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
        with contextlib.suppress(OSError):  # a file that is gone, or is being played on Windows, is no one's loss
            record.path.unlink()


LIBRARY = ClipLibrary()
"""The library of this process. It outlives webui's "Reload UI", so pages opened before keep their players."""
