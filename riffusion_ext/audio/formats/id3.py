"""Read and write the ID3v2 tags of MP3 files.

libsndfile writes UTF-8 but declares it as Latin-1, and stores the encoder's name in place of ours. So the tag is
written here, as ID3v2.4 in UTF-8. ID3v2.3 is also read.

Source: https://id3.org/id3v2.4.0-structure and https://id3.org/id3v2.4.0-frames
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

__all__ = ["build_tag", "read_tag", "tag_size"]

_FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "comment": b"COMM",
    "software": b"TSSE",
    "date": b"TDRC",
    "genre": b"TCON",
}
_NAMES = {frame: name for name, frame in _FRAMES.items()} | {b"TYER": "date"}  # TYER: the year, before version 2.4
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_UTF_8 = b"\x03"
_MAX_TAG_BYTES, _MAX_TEXT_BYTES, _MAX_FRAMES = 1 << 26, 1 << 20, 10_000
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_GROUPED, _COMPRESSED, _ENCRYPTED, _FRAME_UNSYNCHRONISED, _HAS_LENGTH = 0x40, 0x08, 0x04, 0x02, 0x01


def build_tag(tags: Mapping[str, str]) -> bytes:
    """Build an ID3v2.4 tag to put before the first frame of an MP3 file; b"" without tags."""
    frames = b""
    for name, text in tags.items():
        # A comment has a language and a description (players show the one with an empty description).
        body = _UTF_8 + (b"eng\0" if name == "comment" else b"") + text.encode("utf-8")
        frames += struct.pack(">4s4sH", _FRAMES[name], _to_synchsafe(len(body)), 0) + body
    return struct.pack(">3sBBB4s", b"ID3", 4, 0, 0, _to_synchsafe(len(frames))) + frames if tags else b""


def tag_size(head: bytes) -> int:
    """Return the size of the ID3v2 tag in bytes, from the first ten bytes of a file; 0 if it has none."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    return 10 + _from_synchsafe(head[6:10]) + (10 if head[5] & _FOOTER else 0)


def read_tag(file: BinaryIO) -> dict[str, str]:
    """Read the ID3v2.3 or 2.4 tag at the start of a file; {} if it is missing or damaged."""
    file.seek(0)
    head = file.read(10)
    size = tag_size(head)
    if not size or head[3] not in (3, 4):
        return {}
    tags: dict[str, str] = {}
    for frame, body in _frames(file.read(min(size - 10, _MAX_TAG_BYTES)), version=head[3], flags=head[5]):
        name = _NAMES.get(frame)
        if frame == b"COMM":
            # Of several comments, the one without a description is the real one; others belong to some program.
            description, text = _split_description(body[:1] + body[4:])
            name = None if description else name
        elif frame == b"TXXX":  # user-defined text: ffmpeg stores the comment of converted files here
            name, text = _split_description(body)
            name = name.lower() if name.lower() in _FRAMES else None
        else:
            text = _first_text(body)
        if name and text:
            tags.setdefault(name, text)
    return tags


def _frames(data: bytes, *, version: int, flags: int) -> Iterator[tuple[bytes, bytes]]:
    if flags & _UNSYNCHRONISED and version == 3:  # in version 4 each frame has its own flag
        data = data.replace(b"\xff\0", b"\xff")
    position = 0
    if flags & _EXTENDED:  # only in version 3, its size excludes the four bytes of the size field
        position = _from_synchsafe(data[:4]) if version == 4 else 4 + int.from_bytes(data[:4], "big")
    for _ in range(_MAX_FRAMES):
        if position + 10 > len(data) or not data[position]:
            return
        name, raw_size, flag = data[position : position + 4], data[position + 4 : position + 8], data[position + 9]
        size = _from_synchsafe(raw_size) if version == 4 else int.from_bytes(raw_size, "big")
        body = data[position + 10 : position + 10 + size]
        position += 10 + size
        if version == 3 and not flag:
            yield name, body
        elif version == 4 and not flag & (_COMPRESSED | _ENCRYPTED):
            body = body[1 if flag & _GROUPED else 0 :][4 if flag & _HAS_LENGTH else 0 :]
            yield name, body.replace(b"\xff\0", b"\xff") if flag & _FRAME_UNSYNCHRONISED else body


def _split_description(body: bytes) -> tuple[str, str]:
    """Return (description, text) of a frame that has both."""
    description, _, text = _decode_text(body).partition("\0")
    return description, text.lstrip("\ufeff").split("\0")[0]


def _first_text(body: bytes) -> str:
    return _decode_text(body).split("\0")[0]


def _decode_text(body: bytes) -> str:
    encoding = _ENCODINGS[body[0]] if body and body[0] < len(_ENCODINGS) else "latin-1"
    return body[1:_MAX_TEXT_BYTES].decode(encoding, "replace")


def _to_synchsafe(number: int) -> bytes:
    """Encode 28 bits in four bytes whose top bit is clear, so that no player mistakes them for an MPEG sync word."""
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _from_synchsafe(synchsafe: bytes) -> int:
    number = 0
    for byte in synchsafe:
        number = number << 7 | byte & 0x7F
    return number
