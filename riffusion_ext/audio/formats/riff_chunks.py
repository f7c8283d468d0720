"""The chunks of a RIFF file, one after the other, and no more of them than any program writes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from riffusion_ext.errors import AudioError

__all__ = ["MAX_CHUNKS", "chunks"]

MAX_CHUNKS = 10_000
"""Files have a dozen chunks, and a few hundred where a program keeps a marker in each of its own."""


def chunks(file: BinaryIO, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, first byte and size of each chunk; the file is left at that byte.

    Parameters
    ----------
    file
        Seekable and binary.
    position
        Of the first chunk.
    end
        Size of the file.

    Raises
    ------
    AudioError
        There are more than :data:`MAX_CHUNKS`, or the file has become shorter.
    """
    for _ in range(MAX_CHUNKS):
        if position + 8 > end:
            return
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            raise AudioError("it became shorter while it was read")
        name, size = struct.unpack("<4sI", head)
        body = position + 8
        yield name, body, size
        position = _next_chunk(file, body, size)
    if position + 8 <= end:
        raise AudioError(f"it has more than {MAX_CHUNKS} chunks")


def _next_chunk(file: BinaryIO, body: int, size: int) -> int:
    """Position of the next chunk. Chunks of odd size are followed by a zero, which some writers forget."""
    if size % 2 == 0:
        return body + size
    file.seek(body + size)
    return body + size + (file.read(1) in (b"\0", b""))
