"""The folder into which gradio puts uploads: it has an end, and what did not become whole does not stay there.

::

    FOLDER/tmp1a2b3c      an upload that is being received; gradio forgets it where it breaks off or is refused
    FOLDER/id/name        one that is whole; gradio keeps it until the program ends
"""

from __future__ import annotations

import math
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from riffusion_ext.api.errors import ApiError

__all__ = ["MIN_AGE_S", "Incoming", "UploadFolder"]

MIN_AGE_S = 3600.0
"""Seconds that an upload stays at least."""

_RESERVED_BYTES = 1 << 30
"""Bytes of the disk that are left to others."""

_CLOCK_ERROR_S = 1.0
"""Seconds that the times of files may be behind."""


@dataclass(frozen=True, eq=False)
class Incoming:
    """An upload that is being received: since when, and how large it may become."""

    started: float
    size: int


class UploadFolder:
    """The folder of uploads. Its methods look at the disk; they are for threads.

    Parameters
    ----------
    folder
        gradio's.
    max_bytes
        Bytes that there is room for; less where the disk is nearly full.
    clock
        Returns seconds since 1970, for tests.
    """

    def __init__(self, folder: Path, max_bytes: int, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._max_bytes, self._clock = folder, max_bytes, clock
        self._incoming: set[Incoming] = set()
        self._lock = threading.Lock()

    def admit(self, size: int) -> Incoming:
        """Take an upload of at most so many bytes in; old ones leave where there is no room. To be ended by `release`.

        Raises
        ------
        ApiError
            There is no room, and what is there is young (503).
        """
        with self._lock:
            incoming = size + sum(item.size for item in self._incoming)
            completed = sorted(self._completed())
            used = sum(size for _, size, _ in completed)
            available = min(self._max_bytes, used + shutil.disk_usage(self._folder).free - _RESERVED_BYTES)
            now = self._clock()
            for written, size_of_file, path in completed:
                if used + incoming <= available or now - written < MIN_AGE_S:
                    break
                with suppress(OSError):
                    path.unlink()
                    used -= size_of_file
            if used + incoming > available:
                text = f"the uploads of the last hour have {used} bytes, there is room for {max(available, 0)}"
                raise ApiError(503, f"{text}; try again later", {"Connection": "close", "Retry-After": "60"})
            item = Incoming(now, size)
            self._incoming.add(item)
            return item

    def release(self, item: Incoming) -> None:
        """Take an upload out of the books. What older ones have left at the top of the folder is removed."""
        with self._lock:
            self._incoming.discard(item)
            oldest = min((item.started for item in self._incoming), default=math.inf)
            for written, _, path in self._files(self._folder):
                if written < oldest - _CLOCK_ERROR_S and not path.name.startswith("."):  # the mark of the folder itself
                    with suppress(OSError):
                        path.unlink()

    def _completed(self) -> Iterator[tuple[float, int, Path]]:
        for folder, _, _ in os.walk(self._folder):
            if Path(folder) != self._folder:
                yield from self._files(Path(folder))

    def _files(self, folder: Path) -> Iterator[tuple[float, int, Path]]:
        """When each file right in a folder was written, its bytes and its path."""
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode):
                        yield state.st_mtime, state.st_size, Path(entry.path)
