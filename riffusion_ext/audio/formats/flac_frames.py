"""Find the frames of a FLAC file, and the gaps between them.

Decoders stop at the first damage. The frames after it may be intact, and each contains the number of its first sample.

Source: RFC 9639.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.formats.id3 import tag_size
from riffusion_ext.audio.integrity.byte_window import Window

__all__ = ["FlacFrame", "FlacLink", "head", "intact_frames", "silence", "walk"]

_STREAM, _FRAME = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22"), re.compile(rb"\xff[\xf8\xf9]")
_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
_MAX_FRAME_BYTES, _BATCH = 1 << 17, 256
"""Frames whose checksum is verified: largest size in bytes, and number at once. Nearly all are smaller than 32 kB."""
_MAX_BLOCKS = 1000
_LOOKAHEAD, _MAX_TRIES = 8, 10_000
_MAX_SILENCE = 60 * 44100  # largest gap in samples, in addition to the samples already found


class FlacFrame(NamedTuple):
    """Offsets of a frame in the file, its first sample, and its number of samples."""

    start: int
    stop: int
    first: int
    samples: int


@dataclass
class FlacLink:
    """One FLAC stream of a file. A file may contain several in sequence.

    Attributes
    ----------
    info
        The 34 bytes of its STREAMINFO.
    start
        Offset of the stream in the file.
    frames
        In ascending order.
    """

    info: bytes
    start: int
    frames: list[FlacFrame] = field(default_factory=list)

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return int.from_bytes(self.info[10:13], "big") >> 4

    @property
    def channels(self) -> int:
        """Number of channels."""
        return (self.info[12] >> 1 & 7) + 1

    @property
    def declared(self) -> int:
        """Number of samples in the header; 0 for unknown."""
        return int.from_bytes(self.info[13:18], "big") & (1 << 36) - 1

    @property
    def block(self) -> int:
        """Samples of every frame except the last; 0 for a variable block size."""
        low, high = int.from_bytes(self.info[:2], "big"), int.from_bytes(self.info[2:4], "big")
        return low if low == high else 0


def _crc_table(polynomial: int, bits: int) -> tuple[int, ...]:
    found = []
    for byte in range(256):
        register = byte << bits - 8
        for _ in range(8):
            register = (register << 1 ^ polynomial * (register >> bits - 1)) & (1 << bits) - 1
        found.append(register)
    return tuple(found)


_CRC8 = _crc_table(0x07, 8)
_CRC16_TABLE = _crc_table(0x8005, 16)
_CRC16 = np.array(_CRC16_TABLE, np.uint16)
_MIN_BATCH = 16


def _parse_header(data: bytes, link: FlacLink) -> tuple[int, int] | None:
    """Parse a frame header: (first sample, number of samples); None if it is not one."""
    if len(data) < 6 or data[3] & 1 or data[2] >> 4 == 0 or data[2] & 15 == 15 or data[3] >> 4 > 10:
        return None
    ones = 8 - (~data[4] & 0xFF).bit_length()  # UTF-8-like coded number, up to 36 bits
    if ones in (1, 8):
        return None
    length = max(ones, 1)
    number = data[4] & (0x7F >> ones)
    for byte in data[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    place = 4 + length
    code = data[2] >> 4
    if code in (6, 7):
        samples = int.from_bytes(data[place : place + code - 5], "big") + 1
        place += code - 5
    else:
        samples = _SIZES[code]
    place += {12: 1, 13: 2, 14: 2}.get(data[2] & 15, 0)
    register = 0
    for byte in data[:place]:
        register = _CRC8[register ^ byte]
    if len(data) <= place or register != data[place]:
        return None
    return (number if data[1] & 1 else number * (link.block or samples)), samples


def walk(window: Window) -> list[FlacLink]:
    """Find the streams of a FLAC file and their frames, without checking the contents of frames."""
    links: list[FlacLink] = []
    position = tag_size(window.read(0, 10))
    while 0 <= (position := window.find(_STREAM, position, window.size, 8)) <= window.size - 42:
        links.append(FlacLink(window.read(position + 8, 34), position))
        position = _metadata_end(window, position + 4)
    for link, end in zip(links, [*(link.start for link in links[1:]), window.size], strict=False):
        heads = _find_heads(window, link, end)
        stops = [*(start for start, _, _ in heads[1:]), end]
        link.frames = [FlacFrame(start, stop, first, n) for (start, first, n), stop in zip(heads, stops, strict=False)]
    return [link for link in links if link.frames and link.rate]


def _find_heads(window: Window, link: FlacLink, end: int) -> list[tuple[int, int, int]]:
    """Return (offset, first sample, samples) of each frame of a stream; [] after too many false sync codes."""
    heads: list[tuple[int, int, int]] = []
    tries, position = 0, _metadata_end(window, link.start + 4)
    while (position := window.find(_FRAME, position, end, 1)) >= 0:
        found = _parse_header(window.read(position, 16), link)
        if found is not None:
            heads.append((position, *found))
        position += 1
        tries += found is None
        if tries > _MAX_TRIES + window.size // 512:  # sound contains one in 30 kB
            return []
    return _drop_false_heads(heads)


def _drop_false_heads(heads: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Drop false frame headers, which sound contains about once in 10 MB.

    A header is kept if it continues the previous frame, or if one of the next few continues it.
    """
    found: list[tuple[int, int, int]] = []
    expected = 0
    for number, candidate in enumerate(heads):
        _, first, samples = candidate
        following = heads[number + 1 : number + 1 + _LOOKAHEAD]
        continued = any(after[1] == first + samples for after in following)
        if first == expected or (continued and expected < first <= 2 * expected + _MAX_SILENCE):
            found.append(candidate)
            expected = first + samples
    return found


def _metadata_end(window: Window, position: int) -> int:
    """Return the offset at which the metadata ends."""
    for _ in range(_MAX_BLOCKS):
        block = window.read(position, 4)
        if len(block) < 4:
            break
        position += 4 + int.from_bytes(block[1:], "big")
        if block[0] & 0x80:
            break
    return position


def head(link: FlacLink, samples: int) -> bytes:
    """Return the header of a stream with this number of samples."""
    form = int.from_bytes(link.info[10:18], "big") >> 36 << 36 | samples
    return b"fLaC\x80\x00\x00\x22" + link.info[:10] + form.to_bytes(8, "big") + bytes(16)  # no MD5


def silence(link: FlacLink, first: int, stop: int) -> bytes:
    """Return frames of silence from sample `first` to `stop`."""
    depth = ((link.info[12] & 1) << 4 | link.info[13] >> 4) + 1
    size = link.block or _SIZES[12]
    found = b""
    for start in range(first, stop, size):
        samples = min(size, stop - start)
        # Rate and depth as in STREAMINFO, number of samples in 16 bits, independent channels; each a constant 0.
        data = bytes((0xFF, 0xF8 | (not link.block), 0x70, link.channels - 1 << 4))
        data += _encode_number(start // size if link.block else start) + (samples - 1).to_bytes(2, "big")
        register = 0
        for byte in data:
            register = _CRC8[register ^ byte]
        data += bytes((register,)) + bytes(-(-link.channels * (8 + depth) // 8))
        found += data + int(_checksums(np.frombuffer(data, np.uint8)[None])[0]).to_bytes(2, "big")
    return found


def _encode_number(number: int) -> bytes:
    """Encode a number as in UTF-8, extended to 36 bits."""
    if number < 0x80:
        return bytes((number,))
    tail: list[int] = []
    while number >= 1 << 6 - len(tail):
        tail.insert(0, 0x80 | number & 0x3F)
        number >>= 6
    return bytes((0xFF << 7 - len(tail) & 0xFF | number, *tail))


def intact_frames(window: Window, frames: Sequence[FlacFrame]) -> list[bool]:
    """Return which frames are intact, by their checksums. Very long frames are assumed to be intact.

    Frames of similar length are checked in batches: leading zeros do not change a checksum.
    """
    found = [True] * len(frames)
    order = sorted(range(len(frames)), key=lambda number: frames[number].stop - frames[number].start)
    while order and frames[order[-1]].stop - frames[order[-1]].start > _MAX_FRAME_BYTES:
        order.pop()
    for start in range(0, len(order), _BATCH):
        numbers = sorted(order[start : start + _BATCH])
        batch = [window.read(frames[number].start, frames[number].stop - frames[number].start) for number in numbers]
        longest = max(map(len, batch))
        rows = np.frombuffer(b"".join(data.rjust(longest, b"\0") for data in batch), np.uint8)
        for number, register in zip(numbers, _checksums(rows.reshape(len(batch), longest)), strict=True):
            found[number] = not register
    return found


def _checksum(data: bytes) -> int:
    register = 0
    for byte in data:
        register = (register << 8 & 0xFFFF) ^ _CRC16_TABLE[register >> 8 ^ byte]
    return register


def _checksums(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Return the CRC-16 of each row; 0 if its last two bytes are the correct checksum."""
    if len(rows) <= _MIN_BATCH:  # faster one by one
        return np.array([_checksum(row.tobytes()) for row in rows], np.uint16)
    register = np.zeros(len(rows), np.uint16)
    for column in rows.T.copy():
        register = (register << np.uint16(8)) ^ _CRC16[(register >> np.uint16(8)) ^ column]
    return register
