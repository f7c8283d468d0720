"""Clips by opaque id: what a page may ask for, without ever naming a file.

The ids travel through the browser (in webui's generation info); the paths stay here. A page can therefore only reach
clips that this program made and handed it.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

__all__ = ["LIBRARY", "MEDIA", "ClipLibrary", "ClipRecord"]

MEDIA = "/riffusion/media"
"""Above the ids of clips, in every server of our pages."""


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
        Seed of the picture; None for a joined clip.
    infotext
        webui's generation parameters of the picture, the second key of the library; "" where there are none.
    download_name
        File name offered to a browser.
    picture
        File name of the picture, without its folder; "" where it was not saved, None for a clip of several pictures.
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
    picture: str | None = None
    temporary: bool = False

    @property
    def url(self) -> str:
        """Where a page of ours fetches the file, relative to itself."""
        return f"{MEDIA.lstrip('/')}/{self.id}"


class ClipLibrary:
    """The last clips made, by id and by infotext. Safe to use from several threads.

    Parameters
    ----------
    capacity
        Records kept; the least recently used ones leave first. At least 1.
    temporary_bytes
        Room for temporary files, in bytes; the oldest of them leave first, but the newest always stays.
    """

    def __init__(self, capacity: int = 2000, temporary_bytes: int = 1 << 30) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; at least 1 is needed")
        self._capacity = capacity
        self._temporary_bytes = temporary_bytes
        self._sizes: dict[str, int] = {}
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
        picture: str | None = None,
        temporary: bool = False,
    ) -> ClipRecord:
        """Keep a clip and give it an id. A later clip of the same infotext is the one that infotext finds."""
        id_ = secrets.token_urlsafe(12)
        path = Path(path).absolute()
        name = download_name or path.name
        record = ClipRecord(id_, path, title, duration, seed, infotext, name, picture, temporary)
        with self._lock:
            self._records[id_] = record
            if infotext:
                self._by_infotext[infotext] = id_
            if temporary:
                self._sizes[id_] = _size_of(path)
            leaving = [self._drop(next(iter(self._records))) for _ in range(len(self._records) - self._capacity)]
            while len(self._sizes) > 1 and sum(self._sizes.values()) > self._temporary_bytes:
                leaving.append(self._drop(next(iter(self._sizes))))
        for old in leaving:
            _delete_if_temporary(old)
        return record

    def get(self, id_: str) -> ClipRecord | None:
        """Return the record of an id, or None."""
        with self._lock:
            record = self._records.get(id_)
            if record is not None:
                self._records.move_to_end(id_)
            return record

    def find(self, infotext: str) -> ClipRecord | None:
        """Return the newest clip made from a picture with exactly these generation parameters, or None."""
        with self._lock:
            id_ = self._by_infotext.get(infotext)
        return self.get(id_) if id_ else None

    def clear(self) -> None:
        """Forget everything; temporary files are deleted."""
        with self._lock:
            leaving = list(self._records.values())
            self._records.clear()
            self._by_infotext.clear()
            self._sizes.clear()
        for old in leaving:
            _delete_if_temporary(old)

    def _drop(self, id_: str) -> ClipRecord:
        record = self._records.pop(id_)
        self._sizes.pop(id_, None)
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
