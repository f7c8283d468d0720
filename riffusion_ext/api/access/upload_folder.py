"""gradio's folder for uploads: limited in size, and cleared of interrupted uploads.

::

    FOLDER/tmp1a2b3c      an upload in progress; gradio leaves it behind if it is interrupted or refused
    FOLDER/id/name        a completed upload; gradio keeps it until the program ends
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
"""Minimum age in seconds at which an upload may be removed."""

_RESERVED_BYTES = 1 << 30
"""Free bytes of the disk that are left to other programs."""

_CLOCK_ERROR_S = 1.0
"""Maximum delay of file times, in seconds."""


@dataclass(frozen=True, eq=False)
class Incoming:
    """An upload in progress: its start time and its maximum size."""

    started: float
    size: int


class UploadFolder:
    """The folder of uploads. Its methods access the disk: call them in a thread.

    Parameters
    ----------
    folder
        gradio's folder.
    max_bytes
        Maximum size of all uploads; less if the disk is nearly full.
    clock
        Returns the time in seconds since 1970, for tests.
    """

    def __init__(self, folder: Path, max_bytes: int, *, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._max_bytes, self._clock = folder, max_bytes, clock
        self._incoming: set[Incoming] = set()
        self._lock = threading.Lock()

    def admit(self, size: int) -> Incoming:
        """Reserve space for an upload of at most `size` bytes; old uploads are removed if necessary.

        Call :meth:`release` at its end.

        Raises
        ------
        ApiError
            There is no space, and all uploads are too new to be removed (503).
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
        """Give back the space of an upload. Remains of older ones at the top of the folder are removed."""
        with self._lock:
            self._incoming.discard(item)
            oldest = min((item.started for item in self._incoming), default=math.inf)
            for written, _, path in self._files(self._folder):
                if written < oldest - _CLOCK_ERROR_S and not path.name.startswith("."):  # the marker
                    with suppress(OSError):
                        path.unlink()

    def _completed(self) -> Iterator[tuple[float, int, Path]]:
        for folder, _, _ in os.walk(self._folder):
            if Path(folder) != self._folder:
                yield from self._files(Path(folder))

    def _files(self, folder: Path) -> Iterator[tuple[float, int, Path]]:
        """Yield modification time, size and path of each file directly in a folder."""
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode):
                        yield state.st_mtime, state.st_size, Path(entry.path)
