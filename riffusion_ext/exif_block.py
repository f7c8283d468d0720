"""Insert Riffusion's EXIF tags into a finished JPEG or WebP file, and keep all else byte for byte.

Pillow and piexif rewrite the whole EXIF block, and lose or retype tags that they do not know, such as the text in which
webuis store an image's generation parameters. Here a new list of tags (IFD) is appended to the block, and only the
offset at which readers start is changed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

__all__ = ["with_tags"]

_ASCII, _LONG, _DOUBLE = 2, 4, 12
_EXIF = b"Exif\0\0"
_MAX_JPEG_BLOCK = 0xFFFF - 2


def with_tags(file: bytes, tags: Mapping[int, int | float | str]) -> bytes | None:
    """Add tags to the EXIF block of a file.

    Parameters
    ----------
    file
        Content of a JPEG or WebP file.
    tags
        Values by tag number; integers are written as LONG, floats as DOUBLE, texts as ASCII.

    Returns
    -------
    bytes or None
        The new file; None if the file has no EXIF block, or no space in it. No block is added: whoever writes none
        wants no metadata in images.
    """
    try:
        if file[:2] == b"\xff\xd8":
            return _update_jpeg(file, tags)
        if file[:4] == b"RIFF" and file[8:12] == b"WEBP":
            return _update_webp(file, tags)
    except (struct.error, IndexError):  # damaged
        return None
    return None


def _update_jpeg(file: bytes, tags: Mapping[int, int | float | str]) -> bytes | None:
    position = 2
    while file[position] == 0xFF and file[position + 1] != 0xDA:  # until the start of scan
        (size,) = struct.unpack_from(">H", file, position + 2)
        start, stop = position + 4, position + 2 + size
        if file[position + 1] == 0xE1 and file[start : start + 6] == _EXIF:
            block = _EXIF + _add_tags(file[start + 6 : stop], tags)
            if len(block) > _MAX_JPEG_BLOCK:
                return None
            return file[: position + 2] + struct.pack(">H", len(block) + 2) + block + file[stop:]
        position = stop
    return None


def _update_webp(file: bytes, tags: Mapping[int, int | float | str]) -> bytes | None:
    position = 12
    while position + 8 <= len(file):
        kind, size = file[position : position + 4], struct.unpack_from("<I", file, position + 4)[0]
        stop = position + 8 + size + size % 2
        if kind == b"EXIF":
            data = file[position + 8 : position + 8 + size]
            prefix = _EXIF if data.startswith(_EXIF) else b""
            block = prefix + _add_tags(data[len(prefix) :], tags)
            chunk = kind + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
            body = file[8:position] + chunk + file[stop:]
            return b"RIFF" + struct.pack("<I", len(body)) + body
        position = stop
    return None


def _add_tags(tiff: bytes, tags: Mapping[int, int | float | str]) -> bytes:
    """Append a new first IFD to a TIFF block: the old entries, with the given tags added or replaced."""
    order = "<" if tiff[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    old = [tiff[first + 2 + 12 * number : first + 14 + 12 * number] for number in range(count)]
    following = tiff[first + 2 + 12 * count : first + 6 + 12 * count]
    entries = {struct.unpack_from(f"{order}H", entry)[0]: entry for entry in old}
    tiff += b"\0" * (len(tiff) % 2)
    data = b""
    number = len({*entries, *tags})
    data_offset = len(tiff) + 2 + 12 * number + 4
    for tag, value in tags.items():
        if isinstance(value, int):
            entries[tag] = struct.pack(f"{order}HHII", tag, _LONG, 1, value)
            continue
        kind, count, content = _DOUBLE, 1, b""
        if isinstance(value, str):
            content = value.encode("ascii", "backslashreplace") + b"\0"
            kind, count = _ASCII, max(len(content), 5)  # up to 4 bytes would lie in the entry itself
            content = content.ljust(count + count % 2, b"\0")
        else:
            content = struct.pack(f"{order}d", value)
        entries[tag] = struct.pack(f"{order}HHII", tag, kind, count, data_offset + len(data))
        data += content
    listed = struct.pack(f"{order}H", number) + b"".join(entries[tag] for tag in sorted(entries)) + following
    return tiff[:4] + struct.pack(f"{order}I", len(tiff)) + tiff[8:] + listed + data
