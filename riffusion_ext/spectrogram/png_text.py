"""Open PNG files whose text chunks are too large for Pillow.

Pillow rejects the whole image if a text exceeds 1 MiB, as written by programs that store a workflow in it, or if all
texts exceed 64 MiB. Here, larger chunks are removed before Pillow sees them, and are decompressed only as far as needed
to determine that.

Source: https://www.w3.org/TR/png-3/#11keywords
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from riffusion_ext.metadata import NOTES_KEY

__all__ = ["is_text_error", "open_without_large_texts"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT_BYTES, _MAX_TOTAL_BYTES = 1 << 20, 1 << 24
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_ERROR_PHRASES = ("data too large", "too much memory used in text chunks")


def is_text_error(error: BaseException) -> bool:
    """Return whether Pillow's error says that the texts of an image are too large."""
    return isinstance(error, ValueError) and any(phrase in str(error).lower() for phrase in _ERROR_PHRASES)


def open_without_large_texts(data: bytes) -> Image.Image:
    """Open a PNG file without text chunks that are too large; a note in its ``info`` lists them.

    Raises
    ------
    Exception
        As ``Image.open``.
    """
    kept, left_out, total = [data[: len(_SIGNATURE)]], [], 0
    for kind, body, chunk in _chunks(data):
        size = _text_size(kind, body) if kind in _TEXT_CHUNKS else 0
        if total + size > _MAX_TOTAL_BYTES:
            left_out.append(body.partition(b"\0")[0][:79].decode("latin-1"))
        else:
            total += size
            kept.append(chunk)
    image = Image.open(io.BytesIO(b"".join(kept)), formats=("PNG",))
    if left_out:
        shown = ", ".join(left_out[:4]) + (", ..." if len(left_out) > 4 else "")
        image.info[NOTES_KEY] = (f"texts of the image too large to be read were left out: {shown}",)
    return image


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield type, body and all bytes of each chunk; an incomplete chunk is passed on to Pillow unchanged."""
    place = len(_SIGNATURE)
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place) if place + 8 <= len(data) else (len(data), b"")
        stop = min(place + 12 + size, len(data))
        yield kind, data[place + 8 : min(place + 8 + size, len(data))], data[place:stop]
        place = stop


def _text_size(kind: bytes, body: bytes) -> int:
    """Return the decompressed size of a text; above the total limit if a compressed text is too large."""
    rest = body.partition(b"\0")[2]
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] != b"\1"):
        return len(rest)
    packed = rest[1:] if kind != b"iTXt" else rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    try:
        size = len(zlib.decompressobj().decompress(packed, _MAX_TEXT_BYTES + 1))
    except zlib.error:  # Pillow ignores it
        return 0
    return size if size <= _MAX_TEXT_BYTES else _MAX_TOTAL_BYTES + 1
