"""Read and write WAV files with numpy only: strict when writing, tolerant when reading.

All WAV files are read here, whether or not soundfile is installed, so the result is the same. Codecs other than PCM
and float raise :class:`UnsupportedError`, which passes the file on to the other readers.

Source: Microsoft, "Multiple channel audio data and WAVE files" (2007); "RIFF MCI" (1991) for the INFO list;
"Multimedia Data Standards Update" (1994) for the ``smpl`` chunk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip, check_clip_format
from riffusion_ext.audio.formats.pcm import decode, quantize
from riffusion_ext.audio.formats.riff_chunks import chunks
from riffusion_ext.audio.integrity.repair import SampleRepairer
from riffusion_ext.audio.workload import check, read_workload
from riffusion_ext.errors import AudioError

__all__ = ["BLOCK", "UnsupportedError", "WavLayout", "read_layout", "read_wav", "sample_range", "write_wav"]

BLOCK = 65536
"""Frames processed at once."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""The bytes after the two of the format tag in KSDATAFORMAT_SUBTYPE_*."""

_MIDDLE_C = 60

_MAX_LISTS, _MAX_TAGS, _MAX_LIST_BYTES = 16, 1000, 1 << 20

_INFO_NAMES = {
    "title": b"INAM",
    "artist": b"IART",
    "album": b"IPRD",
    "comment": b"ICMT",
    "software": b"ISFT",
    "date": b"ICRD",
    "genre": b"IGNR",
}
_SPEAKERS = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x13F, 8: 0x63F}
"""Channel masks by number of channels: the channel orders of AudioClip.to_channels."""


class UnsupportedError(AudioError):
    """A reader does not support the file; another one may."""


@dataclass(frozen=True)
class WavLayout:
    """Header of a WAV file, with the offset of its samples."""

    channels: int
    sample_rate: int
    width: int
    """Bytes of one sample."""
    is_float: bool
    offset: int
    """Offset of the first sample in the file, in bytes."""
    frames: int
    tags: dict[str, str]


# --- reading ---------------------------------------------------------------------------------------------------------


def read_wav(
    file: BinaryIO, *, start: float = 0.0, duration: float | None = None, repairer: SampleRepairer | None = None
) -> AudioClip:
    """Read a WAV file: PCM of 8, 16, 24 or 32 bits, float of 32 or 64 bits, plain or WAVE_FORMAT_EXTENSIBLE.

    Parameters
    ----------
    file
        Seekable and binary.
    start, duration
        The part to read, in seconds; None reads to the end.
    repairer
        Shared by all pieces of a file that is read piece by piece.

    Raises
    ------
    UnsupportedError
        The file is not a WAV file, is unreadable, or has another codec.
    AudioError
        The part is outside the file, too many samples are invalid, or the channels or the rate are out of range.
    """
    layout = read_layout(file)
    check_clip_format(layout.channels, layout.sample_rate)
    first, count = sample_range(layout.frames, layout.sample_rate, start, duration)
    check(read_workload(layout.channels, count, layout.sample_rate))
    frame = layout.width * layout.channels
    samples = np.empty((layout.channels, count), np.float32)
    file.seek(layout.offset + first * frame)
    for done in range(0, count, BLOCK):
        block = min(BLOCK, count - done)
        data = file.read(block * frame)
        if len(data) < block * frame:
            raise AudioError("it became shorter while it was read")
        values = decode(data, width=layout.width, is_float=layout.is_float)
        samples[:, done : done + block] = values.reshape(block, layout.channels).T
    return (repairer or SampleRepairer()).clip(samples, layout.sample_rate, start=first, last=repairer is None)


def sample_range(frames: int, sample_rate: int, start: float, duration: float | None) -> tuple[int, int]:
    """Convert a part in seconds to (first sample, number of samples) of a sound `frames` long."""
    first = round(start * sample_rate)
    if first and first >= frames:
        raise AudioError(f"the start, {start:g} s, lies past the end of the sound at {frames / sample_rate:g} s")
    rest = frames - first
    return first, rest if duration is None else min(rest, round(duration * sample_rate))


def read_layout(file: BinaryIO) -> WavLayout:
    """Read the header and the tags of a WAV file.

    Programs that write to a pipe cannot fill in the length afterwards. They leave 0, 0xFFFFFFFF or another number
    beyond the end of the file; then the samples extend to the end of the file.

    Raises
    ------
    UnsupportedError
        The file is not a WAV file, is damaged, or has a codec other than PCM and float.
    AudioError
        The file has too many chunks, or is truncated while it is read.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise UnsupportedError("it is no WAV file")
    fmt, data = b"", None
    tags: dict[str, str] = {}
    lists = 0
    for name, body, size in chunks(file, 12, end):
        if name == b"data" and data is None:
            data = (body, _data_size(file, body, size, end))
            if data[1] != size:  # the data extends to the end of the file
                break
        elif name == b"fmt ":
            fmt = file.read(min(size, 40))
        elif name == b"LIST" and lists < _MAX_LISTS:
            tags |= _info_tags(file.read(min(size, end - body, _MAX_LIST_BYTES)))
            lists += 1
    if len(fmt) < 16 or data is None:
        raise UnsupportedError(f"the WAV file has no {'samples' if len(fmt) >= 16 else 'header'}, it may be cut off")
    channels, sample_rate, width, is_float = _parse_format(fmt)
    return WavLayout(channels, sample_rate, width, is_float, data[0], data[1] // (width * channels), tags)


def _data_size(file: BinaryIO, body: int, size: int, end: int) -> int:
    """Return the number of bytes of samples that the file really contains."""
    if size == 0:
        return 0 if _holds_chunks(file, body, end) else end - body
    return min(size, end - body)


def _holds_chunks(file: BinaryIO, position: int, end: int) -> bool:
    """Return whether the file consists of chunks, not samples, from a position to its end."""
    for name, body, size in chunks(file, position, end):
        if not all(0x20 <= byte < 0x7F for byte in name):
            return False
        position = body + size
    return end in (position, position + 1)  # perhaps with the padding byte of a chunk of odd size


def _parse_format(fmt: bytes) -> tuple[int, int, int, bool]:
    """Parse a ``fmt`` chunk: (channels, sample rate, bytes of a sample, whether it is a float)."""
    codec, channels, sample_rate, _, align, bits = struct.unpack("<HHIIHH", fmt[:16])
    if codec == _EXTENSIBLE and fmt[26:40] == _GUID_TAIL:
        (codec,) = struct.unpack("<H", fmt[24:26])
    if codec not in (_PCM, _FLOAT):
        raise UnsupportedError(f"the WAV file has the codec 0x{codec:04X}, which is neither PCM nor float")
    if not channels or not sample_rate:
        raise UnsupportedError(f"the header of the WAV file says {channels} channels at {sample_rate} Hz")
    # Samples are padded to whole bytes in the low bits (20 bits in 3 bytes), so only the container size matters.
    width = align // channels if align % channels == 0 else 0
    width = max(width, (bits + 7) // 8)
    if width not in ((4, 8) if codec == _FLOAT else (1, 2, 3, 4)):
        raise UnsupportedError(f"the WAV file has {'float' if codec == _FLOAT else 'PCM'} samples of {width} bytes")
    return channels, sample_rate, width, codec == _FLOAT


def _info_tags(body: bytes) -> dict[str, str]:
    """Parse the tags of a ``LIST`` chunk; {} for a list of another type."""
    if body[:4] != b"INFO":
        return {}
    names = {info: name for name, info in _INFO_NAMES.items()}
    tags: dict[str, str] = {}
    position = 4
    for _ in range(_MAX_TAGS):
        if position + 8 > len(body):
            break
        info, size = struct.unpack_from("<4sI", body, position)
        text = body[position + 8 : position + 8 + size].split(b"\0")[0]
        if info in names and text:
            try:
                tags[names[info]] = text.decode("utf-8")
            except UnicodeDecodeError:  # as written by older Windows programs
                tags[names[info]] = text.decode("cp1252", "replace")
        position += 8 + size + size % 2
    return tags


# --- writing ---------------------------------------------------------------------------------------------------------


def write_wav(
    file: BinaryIO, clip: AudioClip, *, subtype: str, tags: Mapping[str, str], loop: tuple[int, int] | None = None
) -> None:
    """Write a WAV file.

    Parameters
    ----------
    file
        Binary; written from front to back.
    subtype
        ``"pcm16"``, ``"pcm24"`` or ``"float"``.
    tags
        Values by name, written as the INFO list in UTF-8, which most programs expect.
    loop
        The loop of samplers, as (first sample, one past the last).

    Raises
    ------
    AudioError
        The sound does not fit into the 4 GiB of a WAV file.
    """
    channels, frames = clip.samples.shape
    width = {"pcm16": 2, "pcm24": 3, "float": 4}[subtype]
    size = width * channels * frames
    head = _fmt_chunk(clip, width, is_float=subtype == "float") + _info_chunk(tags) + _smpl_chunk(clip, loop)
    riff = 4 + len(head) + 8 + size + size % 2
    if riff >= 2**32:
        raise AudioError(f"{clip.duration / 60:.0f} minutes do not fit into the 4 GiB of a WAV file, FLAC has room")
    file.write(struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + head + struct.pack("<4sI", b"data", size))
    for start in range(0, frames, BLOCK):
        block = np.ascontiguousarray(clip.samples[:, start : start + BLOCK].T)
        file.write(_sample_bytes(block, subtype))
    file.write(b"\0" * (size % 2))


def _sample_bytes(block: npt.NDArray[np.float32], subtype: str) -> bytes:
    if subtype == "float":
        return block.astype("<f4").tobytes()
    if subtype == "pcm16":
        return quantize(block, 16).astype("<i2").tobytes()
    return quantize(block, 24).astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()


def _fmt_chunk(clip: AudioClip, width: int, *, is_float: bool) -> bytes:
    """Build the ``fmt`` chunk; up to two channels in the basic form that every program reads."""
    codec, align = _FLOAT if is_float else _PCM, width * clip.channels
    fields = (clip.channels, clip.sample_rate, clip.sample_rate * align, align, 8 * width)
    fact = struct.pack("<4sII", b"fact", 4, clip.samples.shape[1]) if is_float else b""
    if clip.channels > 2:
        extra = struct.pack("<HHIH", 22, 8 * width, _SPEAKERS[clip.channels], codec) + _GUID_TAIL
        return struct.pack("<4sIHHIIHH", b"fmt ", 40, _EXTENSIBLE, *fields) + extra + fact
    return struct.pack("<4sIHHIIHH", b"fmt ", 16, codec, *fields) + fact


def _info_chunk(tags: Mapping[str, str]) -> bytes:
    body = b"INFO"
    for name, text in tags.items():
        value = text.encode("utf-8") + b"\0"
        body += struct.pack("<4sI", _INFO_NAMES[name], len(value)) + value + b"\0" * (len(value) % 2)
    return struct.pack("<4sI", b"LIST", len(body)) + body if tags else b""


def _smpl_chunk(clip: AudioClip, loop: tuple[int, int] | None) -> bytes:
    """Build the ``smpl`` chunk with one endless forward loop; its end is the last sample, inclusive."""
    if loop is None:
        return b""
    period = round(1e9 / clip.sample_rate)  # nanoseconds
    sampler = struct.pack("<9I", 0, 0, period, _MIDDLE_C, 0, 0, 0, 1, 0)
    return struct.pack("<4sI", b"smpl", 60) + sampler + struct.pack("<6I", 0, 0, loop[0], loop[1] - 1, 0, 0)
