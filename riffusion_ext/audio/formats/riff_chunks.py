"""Iterate over the chunks of a RIFF file, up to a limit."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from riffusion_ext.errors import AudioError

__all__ = ["MAX_CHUNKS", "chunks"]

MAX_CHUNKS = 10_000
"""Largest number of chunks. Files have about a dozen, or a few hundred if each marker is stored in its own chunk."""


def chunks(file: BinaryIO, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset of the body and size of each chunk, with the file positioned at the body.

    Parameters
    ----------
    file
        Seekable and binary.
    position
        Offset of the first chunk.
    end
        Size of the file.

    Raises
    ------
    AudioError
        There are more than :data:`MAX_CHUNKS` chunks, or the file was truncated meanwhile.
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
    """Return the offset of the next chunk. A padding byte follows chunks of odd size; some writers omit it."""
    if size % 2 == 0:
        return body + size
    file.seek(body + size)
    return body + size + (file.read(1) in (b"\0", b""))
