"""Join ranges of a file and literal bytes into one seekable file."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.files.regular import open_regular

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Piece", "Splice", "append_range"]

Piece = bytes | tuple[int, int]
"""Literal bytes, or a range (start, stop) of the file."""


def append_range(parts: list[tuple[int, int]], start: int, stop: int) -> None:
    """Append a range to a list, merging it with the last one if they are adjacent."""
    if parts and parts[-1][1] == start:
        parts[-1] = (parts[-1][0], stop)
    else:
        parts.append((start, stop))


class Splice(io.RawIOBase):
    """Read-only file composed of pieces, without copying them.

    Parameters
    ----------
    path
        The file that the ranges refer to.
    pieces
        In order.
    """

    def __init__(self, path: Path, pieces: Iterable[Piece]) -> None:
        self._pieces = list(pieces)
        sizes = [len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in self._pieces]
        self._starts = [0, *accumulate(sizes)]
        self._position = 0
        self._file = open_regular(path)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer from the current piece only; return the number of bytes, 0 at the end."""
        number = bisect_right(self._starts, self._position) - 1
        if number >= len(self._pieces):
            return 0
        piece, skipped = self._pieces[number], self._position - self._starts[number]
        view = memoryview(buffer)
        size = min(view.nbytes, self._starts[number + 1] - self._position)
        if isinstance(piece, bytes):
            data = piece[skipped : skipped + size]
        else:
            self._file.seek(piece[0] + skipped)
            data = self._file.read(size)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
