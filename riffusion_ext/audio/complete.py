"""Is a sound file all there? Decoders play a file that breaks off as far as it goes, and say nothing.

Sources: RIFF WAVE (Microsoft 1991), RFC 3533 (Ogg: the last page has a flag), and the frame count that Xing's and
LAME's encoders write into the first frame of an MP3 file.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from riffusion_ext.audio.chunks import chunks
from riffusion_ext.errors import AudioError
from riffusion_ext.regular import open_regular

__all__ = ["breaks_off"]

_STREAMED = 0x7FFF0000  # sizes from here on are written by programs that cannot know the length
_TAIL = 1 << 17  # longer than two pages of Ogg can be
_END_OF_STREAM = 0x04
_SLACK = 0.2  # s: encoders count their own delay in, and whole frames


def breaks_off(path: Path, seconds: float) -> str:
    """Say so if a file ends before it should.

    Parameters
    ----------
    path
        A sound file that could be read.
    seconds
        How much sound was read from it.

    Returns
    -------
    str
        A sentence without a subject, or nothing. Nothing, too, where the format does not tell.
    """
    try:
        with open_regular(path) as file:
            head = file.read(12)
            if head[:4] == b"OggS":
                return "" if _ogg_ends(file) else f"breaks off after {seconds:.1f} s, and is used as far as it goes"
            promised = _promised_seconds(file, head)
    except (AudioError, OSError, struct.error):
        return ""
    if promised is None or seconds >= promised - _SLACK:
        return ""
    return f"breaks off after {seconds:.1f} of {promised:.1f} s, and is used as far as it goes"


def _promised_seconds(file: BinaryIO, head: bytes) -> float | None:
    """Return how long a WAV or MP3 file says it is, in seconds; None where it does not say.

    Parameters
    ----------
    file
        The file.
    head
        Its first 12 bytes.
    """
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _wav_seconds(file)
    return _mp3_seconds(file, head)


def _wav_seconds(file: BinaryIO) -> float | None:
    bytes_per_second = 0
    end = file.seek(0, os.SEEK_END)
    for name, _, size in chunks(file, 12, end):
        if name == b"fmt ":
            bytes_per_second = struct.unpack("<8xI", file.read(12))[0]
        if name == b"data":
            return size / bytes_per_second if bytes_per_second and 0 < size < _STREAMED else None
    return None


def _ogg_ends(file: BinaryIO) -> bool:
    """Whether the last page has the flag of the end, and is whole."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - _TAIL, 0))
    tail = file.read()
    place = tail.rfind(b"OggS")
    page = tail[place:] if place >= 0 else b""
    if len(page) < 27 or not page[5] & _END_OF_STREAM:
        return False
    lengths = page[27 : 27 + page[26]]
    return len(page) >= 27 + page[26] + sum(lengths)


def _mp3_seconds(file: BinaryIO, head: bytes) -> float | None:
    start = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        a, b, c, d = head[6:10]
        start = 10 + (a << 21 | b << 14 | c << 7 | d)
    file.seek(start)
    frame = file.read(256)
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:  # layer 3
        return None
    version, rate_index, is_mono = frame[1] >> 3 & 3, frame[2] >> 2 & 3, frame[3] >> 6 == 3
    if version == 1 or rate_index == 3:
        return None
    rate = (44100, 48000, 32000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    side = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}[version == 3, is_mono]
    tag, flags, frames = struct.unpack_from(">4sII", frame, 4 + side)
    if tag not in (b"Xing", b"Info") or not flags & 1:
        return None
    return float(frames * (1152 if version == 3 else 576) / rate)
