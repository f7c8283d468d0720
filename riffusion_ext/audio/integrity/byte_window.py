"""Random access to the bytes of a file without reading all of it into memory."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

__all__ = ["Window"]

_SIZE = 1 << 22


class Window:
    """Read a file at arbitrary positions through a buffer of the last region read.

    Parameters
    ----------
    file
        A seekable binary file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._start, self._data = 0, b""

    def read(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes from a position."""
        offset = position - self._start
        if offset < 0 or offset + count > len(self._data):
            self._file.seek(position)
            self._start, self._data, offset = position, self._file.read(max(count, _SIZE)), 0
        return self._data[offset : offset + count]

    def find(self, pattern: re.Pattern[bytes], position: int, stop: int, max_length: int) -> int:
        """Return the first match of a pattern of up to `max_length` bytes before `stop`; -1 if there is none."""
        while position < stop:
            self.read(position, max_length + 1)
            match = pattern.search(self._data, position - self._start)
            if match:
                found = self._start + match.start()
                return found if found < stop else -1
            end = self._start + len(self._data)
            if end >= self.size or end - max_length < position:
                return -1
            position = end - max_length + 1
        return -1
