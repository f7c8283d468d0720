r"""Find the pages of an Ogg file, and the gaps between them.

::

    | BOS | headers | page 2 | page 3 |  ...  | page 9 | page 10 EOS | BOS | headers | ...
     \______________ run _____________/ (gap)  \_______ run ________/
     \__________________________ link _____________________________/   \____ link ____

A link is a complete stream; a chained file has several, such as recordings of internet radio. Each page has a number, a
checksum and the time of its end. These show where pages are missing and how much sound is lost.

Source: RFC 3533; RFC 5334 and 7845 for the first packet of a stream.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from riffusion_ext.audio.formats.id3 import tag_size
from riffusion_ext.audio.integrity.byte_window import Window
from riffusion_ext.audio.integrity.splice import append_range

__all__ = ["OggLink", "OggRun", "walk"]

_BEGIN, _END = 0x02, 0x04
_CAPTURE = re.compile(rb"OggS\x00")
_BIT_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MAX_DAMAGED = 10_000
_NO_TIME = (1 << 64) - 1


@dataclass
class OggRun:
    """Consecutive pages of sound.

    Attributes
    ----------
    ranges
        Their offsets in the file, as (start, stop).
    first, last
        End of the first and of the last page, in samples of the link; None if no page has a time.
    seekable_end
        End of the page before the last, in samples.
    follows
        Whether nothing is missing before the first page.
    """

    ranges: list[tuple[int, int]] = field(default_factory=list)
    first: int | None = None
    last: int | None = None
    seekable_end: int = 0
    follows: bool = True


@dataclass
class OggLink:
    """One stream of sound.

    Attributes
    ----------
    rate, channels
        Sample rate in Hz, and number of channels.
    headers
        Offsets of the header pages, as (start, stop).
    runs
        More than one if pages are missing or damaged.
    ends
        Whether the page flagged as the last one is present.
    pages
        Number of pages with sound.
    """

    rate: int
    channels: int
    serial: int
    preskip: int  # samples dropped at the start, which the page times include
    header_packets: int
    headers: list[tuple[int, int]] = field(default_factory=list)
    runs: list[OggRun] = field(default_factory=list)
    ends: bool = False
    pages: int = 0
    number: int = -1  # of the last page seen
    start: int = 0  # of the link in the file
    stop: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is missing before its last page."""
        return len(self.runs) == 1 and self.runs[0].follows


class _Page(NamedTuple):
    start: int
    stop: int
    flags: int
    time: int
    serial: int
    number: int
    packets: int  # that end in it
    body: bytes


def _checksum(page: bytes) -> int:
    """Return the CRC-32 of polynomial 0x04C11DB7, highest bit first: zlib's, with reversed bits."""
    register = zlib.crc32((page[:22] + bytes(4) + page[26:]).translate(_BIT_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{register:032b}"[::-1], 2)


def _read_page(window: Window, position: int) -> _Page | None:
    """Read the page at a position; None if there is none, or if it is damaged or truncated."""
    head = window.read(position, 27 + 255)
    if len(head) < 27 or head[:5] != b"OggS\0":
        return None
    lacing = head[27 : 27 + head[26]]
    size = 27 + head[26] + sum(lacing)
    data = window.read(position, size)
    flags, time, serial, number, checksum = struct.unpack_from("<xBQIII", data, 4)
    if len(data) < size or checksum != _checksum(data):
        return None
    packets = len(lacing) - lacing.count(255)
    return _Page(position, position + size, flags, time, serial, number, packets, data[27 + len(lacing) :])


def _pages(window: Window) -> Iterator[_Page]:
    position, damaged = tag_size(window.read(0, 10)), 0
    while position < window.size:
        page = _read_page(window, position)
        if page is not None:
            yield page
            position = page.stop
        else:
            damaged += 1
            position = window.find(_CAPTURE, position + 1, window.size, 5)
            if position < 0 or damaged > _MAX_DAMAGED:
                return


def _parse_first_page(page: _Page) -> OggLink | None:
    """Return the link that starts with this page; None if it is not a sound stream."""
    body = page.body
    if body[:7] == b"\x01vorbis" and len(body) >= 16:
        return OggLink(int.from_bytes(body[12:16], "little"), body[11], page.serial, 0, 3)
    if body[:8] == b"OpusHead" and len(body) >= 12:
        return OggLink(48000, body[9], page.serial, int.from_bytes(body[10:12], "little"), 2)
    if body[:5] == b"\x7fFLAC" and len(body) >= 30:
        form = int.from_bytes(body[27:31], "big")
        return OggLink(form >> 12, (form >> 9 & 7) + 1, page.serial, 0, 1 + int.from_bytes(body[7:9], "big"))
    return None


def walk(window: Window) -> list[OggLink]:
    """Find the chained sound streams of an Ogg file; of multiplexed streams, only the first."""
    links: list[OggLink] = []
    link: OggLink | None = None
    previous_began = False  # whether the previous page began a stream
    for page in _pages(window):
        if page.flags & _BEGIN:
            if not previous_began:
                link = None
            previous_began = True
            if link is None:
                link = _parse_first_page(page)
                if link is not None:
                    link.start = page.start
                    links.append(link)
        else:
            previous_began = False
        if link is not None and page.serial == link.serial:
            _add_page(link, page)
    return [link for link in links if link.runs and link.rate and link.channels]


def _add_page(link: OggLink, page: _Page) -> None:
    follows = page.number == link.number + 1 & 0xFFFFFFFF or page.flags & _BEGIN
    link.number, link.stop, link.ends = page.number, page.stop, bool(page.flags & _END)
    if link.header_packets > 0:
        link.header_packets -= page.packets if follows else link.header_packets
        append_range(link.headers, page.start, page.stop)
        return
    if not link.runs or not follows:
        link.runs.append(OggRun(follows=bool(follows)))
    run = link.runs[-1]
    append_range(run.ranges, page.start, page.stop)
    link.pages += 1
    if page.time != _NO_TIME:
        time = max(page.time - link.preskip, 0)
        run.first = time if run.first is None else run.first
        run.seekable_end, run.last = run.last or 0, time
