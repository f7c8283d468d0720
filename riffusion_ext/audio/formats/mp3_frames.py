r"""Find and count the frames of an MP3 file, whose header may have a wrong length or none.

::

    | ID3v2 | Xing | frame | frame | ... | ID3v2 | Xing | frame | ... | ID3v1 |
              \____________ part _________/         \_____ part _____/

Each frame header determines the frame's size, and so the offset of the next one. A part ends where the format of the
frames changes or another Xing frame follows: concatenated files, or a recording of internet radio.

Source: ISO/IEC 11172-3 and 13818-3; http://gabriel.mp3-tech.org/mp3infotag.html for Xing and LAME frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from riffusion_ext.audio.formats.id3 import tag_size
from riffusion_ext.audio.integrity.byte_window import Window
from riffusion_ext.audio.integrity.splice import append_range

__all__ = ["FrameFormat", "MpegFile", "MpegPart", "Xing", "frame_size", "side_size", "walk"]

_RATES = ((11025, 12000, 8000), (), (22050, 24000, 16000), (44100, 48000, 32000))
_KBITS = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SYNC = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x00-\xef]", re.DOTALL)
_MAX_LEAD = 1 << 16
"""Bytes that may precede the first frame, in addition to tags."""
_MIN_RUN = 3
"""Consecutive frames that rule out a false sync."""
_MAX_FREE_BYTES = 1 << 13
_MAX_TAGS, _MAX_TRIES = 1000, 10_000


class FrameFormat(NamedTuple):
    """Format shared by all frames of a part."""

    version: int
    layer: int
    rate: int
    channels: int

    @property
    def samples(self) -> int:
        """Samples in a frame."""
        return 384 if self.layer == 1 else 1152 if self.layer == 2 or self.version == 3 else 576


class Xing(NamedTuple):
    """Contents of a Xing frame: number of frames and bytes (0 for unknown), and the LAME extension."""

    frames: int
    size: int
    lame: bytes


@dataclass
class MpegPart:
    """Consecutive frames of one format."""

    form: FrameFormat
    head: bytes
    """Header of its first frame."""
    xing: Xing | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Offsets (start, stop) of the frames, without the Xing frame."""
    frames: int = 0
    lead: int = 0
    """Bytes of the Xing frame."""


@dataclass
class MpegFile:
    """The frames found in an MP3 file.

    Attributes
    ----------
    parts
        At least one.
    damage
        Bytes between frames that are not frames: (seconds of sound before, number of bytes).
    cut
        Whether the last frame is incomplete.
    trailing
        Bytes after the last frame that are neither frames nor tags.
    """

    parts: list[MpegPart] = field(default_factory=list)
    damage: list[tuple[float, int]] = field(default_factory=list)
    cut: bool = False
    trailing: int = 0


@lru_cache(maxsize=4096)
def _parse_head(head: bytes) -> tuple[FrameFormat, int, int] | None:
    """Parse a frame header: format, bytes (0 for free format) and padding; None if it is not one."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer, kbits, rate = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or kbits == 15 or rate == 3:
        return None
    form = FrameFormat(version, layer, _RATES[version][rate], 1 if head[3] >> 6 == 3 else 2)
    padding = (head[2] >> 1 & 1) * (4 if layer == 1 else 1)
    if not kbits:
        return form, 0, padding
    bits = 1000 * _KBITS[version == 3, layer][kbits - 1]
    size = 12 * bits // form.rate * 4 if layer == 1 else form.samples // 8 * bits // form.rate
    return form, size + padding, padding


def frame_size(head: bytes) -> int:
    """Return the size of a frame in bytes, from its header; 0 for unknown."""
    found = _parse_head(head)
    return found[1] if found else 0


def side_size(form: FrameFormat) -> int:
    """Return the size of the side information of a layer 3 frame, after which a Xing tag stands."""
    if form.version == 3:
        return 17 if form.channels == 1 else 32
    return 9 if form.channels == 1 else 17


class _Walker:
    def __init__(self, window: Window) -> None:
        self.window = window
        self.tries = 0
        self.free: dict[FrameFormat, int] = {}  # size of a free-format frame, without padding

    def frame(self, position: int) -> tuple[FrameFormat, int] | None:
        found = _parse_head(self.window.read(position, 4))
        if found is None:
            return None
        form, size, padding = found
        if not size:
            if form not in self.free:
                self.free[form] = self._free_size(position, padding)
            size = self.free[form] and self.free[form] + padding
        return (form, size) if size else None

    def _free_size(self, position: int, padding: int) -> int:
        head = self.window.read(position, 4)
        pattern = re.compile(re.escape(head[:2]) + b"[" + bytes({head[2] & 0xFD, head[2] | 2}) + b"]", re.DOTALL)
        place = self.window.find(pattern, position + 24, position + _MAX_FREE_BYTES, 3)
        return place - position - padding if place > 0 else 0

    def starts_frame_run(self, position: int, count: int = _MIN_RUN) -> bool:
        """Return whether `count` frames of one format start here, or fewer up to the end."""
        form = None
        for number in range(count):
            found = self.frame(position)
            if found is None:
                return number > 1 and (position >= self.window.size or _is_tag(self.window.read(position, 12)))
            if form not in (None, found[0]):
                return number > 1
            form, position = found[0], position + found[1]
        return True

    def next(self, position: int, stop: int) -> int:
        """Return the offset of the next run of frames; -1 if there is none."""
        while (place := self.window.find(_SYNC, position, stop, 3)) >= 0:
            if self.starts_frame_run(place):
                return place
            position = place + 1
            self.tries += 1
            if self.tries > _MAX_TRIES + self.window.size // 512:  # noise contains one in 4 kB
                break
        return -1

    def walk(self) -> Iterator[tuple[int, int, FrameFormat | None, bool]]:
        """Yield (start, stop, format, flag) of frames and of other bytes.

        The format is None for bytes that are not frames; the flag then says whether they are tags. On a frame, the
        flag says that it is truncated.
        """
        position = self.skip_tags(0)
        first = self.next(position, min(position + _MAX_LEAD, self.window.size))
        if first < 0:
            return
        position, before = first, None
        while position < self.window.size:
            found = self.frame(position)
            if found is not None and found[0] != before and not self.starts_frame_run(position):
                found = None
            if found is None:
                after = self.skip_tags(position)
                if after == position:
                    after = self.next(position, self.window.size)
                    after = self.window.size if after < 0 else after
                    yield position, after, None, False
                else:
                    yield position, after, None, True
                position = after
                continue
            before, size = found
            stop = position + size
            if stop > self.window.size:
                yield position, self.window.size, before, True  # cut
                return
            if not self.is_followed(stop):
                resync = self.next(position + 4, stop)
                if resync >= 0:  # the frame lacks bytes
                    yield position, resync, None, False
                    position = resync
                    continue
            yield position, stop, before, False
            position = stop

    def is_followed(self, position: int) -> bool:
        return (
            position >= self.window.size or self.frame(position) is not None or _is_tag(self.window.read(position, 12))
        )

    def skip_tags(self, position: int) -> int:
        for _ in range(_MAX_TAGS):
            size = _any_tag_size(self.window, position)
            if not size:
                break
            position = min(position + size, self.window.size)
        return position


def _is_tag(head: bytes) -> bool:
    return head.startswith((b"ID3", b"APETAGEX", b"TAG", b"LYRICSBEGIN", bytes(4)))


def _any_tag_size(window: Window, position: int) -> int:
    """Return the size of the tag at a position; 0 if there is none. Zero padding counts as a tag."""
    head = window.read(position, 32)
    if head[:3] == b"ID3":
        return tag_size(head[:10])
    if head[:8] == b"APETAGEX":
        size = int.from_bytes(head[12:16], "little")
        return 32 + (size if head[23:24] and head[23] & 0x20 else 0)  # with a header, or the footer alone
    if head[:3] == b"TAG":
        return 227 if head[3:4] == b"+" else 128
    if head[:11] == b"LYRICSBEGIN":
        return window.size - position
    if head[:4] == bytes(4):
        place = window.find(re.compile(rb"[^\x00]"), position, window.size, 1)
        return (place if place >= 0 else window.size) - position
    return 0


def _read_xing(window: Window, start: int, stop: int, form: FrameFormat) -> Xing | None:
    if form.layer != 3:
        return None
    data = window.read(start, min(stop - start, 256))
    side = side_size(form)
    for place in (4 + side, 6 + side):
        if data[place : place + 4] in (b"Xing", b"Info"):
            flags = int.from_bytes(data[place + 4 : place + 8], "big")
            place += 8
            fields = []
            for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)):
                fields.append(int.from_bytes(data[place : place + 4], "big") if flags & bit else 0)
                place += size if flags & bit else 0
            return Xing(fields[0], fields[1], data[place : place + 24])
    return None


def walk(window: Window) -> MpegFile | None:
    """Find the frames of an MP3 file; None if there are none near its beginning.

    Supports layers 1 to 3 of all MPEG versions. Takes one step for each frame and for each sync code between frames.
    """
    found, seconds = MpegFile(), 0.0
    damaged: tuple[float, int] | None = None  # bytes that are not frames: damage, if frames follow
    for start, stop, form, special in _Walker(window).walk():
        if form is None:
            if not special:
                damaged = (damaged[0] if damaged else seconds, (damaged[1] if damaged else 0) + stop - start)
            continue
        if special:
            found.cut = True
            break
        if damaged is not None:
            found.damage.append(damaged)
            damaged = None
        part = found.parts[-1] if found.parts else None
        xing = _read_xing(window, start, stop, form)
        if part is None or form != part.form or xing is not None:
            part = MpegPart(form, window.read(start, 4), xing, lead=stop - start if xing else 0)
            found.parts.append(part)
        if xing is None:
            part.frames += 1
            append_range(part.ranges, start, stop)
            seconds += form.samples / form.rate
    found.trailing = damaged[1] if damaged else 0
    found.parts = [part for part in found.parts if part.frames]
    return found if found.parts else None
