"""A file to look around in: any bytes of it, without reading it whole into memory."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

__all__ = ["Window"]

_SIZE = 1 << 22


class Window:
    """The bytes of a file by their position; those that were looked at last are kept.

    Parameters
    ----------
    file
        Seekable and binary.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._start, self._data = 0, b""

    def read(self, position: int, count: int) -> bytes:
        """Return up to so many bytes from a position on."""
        offset = position - self._start
        if offset < 0 or offset + count > len(self._data):
            self._file.seek(position)
            self._start, self._data, offset = position, self._file.read(max(count, _SIZE)), 0
        return self._data[offset : offset + count]

    def find(self, pattern: re.Pattern[bytes], position: int, stop: int, max_length: int) -> int:
        """Return where a pattern, which matches up to `longest` bytes, is found first; -1 where it is not."""
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
