"""Read the segments of a damaged or chained file as one sound, with the interface of ``soundfile.SoundFile``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.formats.sound_file import SoundReader
from riffusion_ext.audio.formats.wav import BLOCK
from riffusion_ext.audio.integrity.splice import Splice
from riffusion_ext.audio.integrity.survey import Segment, Survey, survey_deep

__all__ = ["JoinedFile", "RecoveringFile", "seek_target"]

_Array = npt.NDArray[np.float32]
_UNKNOWN_FRAMES = 1 << 60
_MIN_SILENCE_LIMIT_S = 60
"""Longest silence that may replace missing sound, in s; longer if the file has more sound than that."""
_PREROLL = 16384
"""Frames to decode and discard before a position inside a segment."""


class JoinedFile:
    """Concatenate segments, converted to the rate and channels of the first.

    Parameters
    ----------
    soundfile
        The module.
    path
        The file.
    found
        Its survey.

    Attributes
    ----------
    frames, channels, samplerate, format, subtype
        As in ``soundfile.SoundFile``. Missing sound between segments is replaced by silence if its length is known.
    """

    format = subtype = "JOINED"

    def __init__(self, soundfile: ModuleType, path: Path, found: Survey) -> None:
        self._soundfile, self._path, self._found = soundfile, path, found
        self.samplerate, self.channels = found.segments[0].rate, found.segments[0].channels
        self._counts = [self._count(number) for number in range(len(found.segments))]
        self._silences = self._silence_before()
        found.silences.update(enumerate(self._silences))
        self.frames = sum(self._counts) + sum(self._silences)
        self._blocks: Iterator[_Array] = self._read_from(0)
        self._buffer = np.zeros((0, self.channels), np.float32)

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, frame: int) -> int:
        """Go to a frame."""
        self._blocks, self._buffer = self._read_from(frame), self._buffer[:0]
        return frame

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> _Array:
        """Read up to `frames` frames [n, channels]; fewer only at the end."""
        parts, count = [self._buffer], len(self._buffer)
        while count < frames and (block := next(self._blocks, None)) is not None:
            parts.append(block.T)
            count += block.shape[1]
        data = np.concatenate(parts)
        self._buffer = data[frames:]
        return data[:frames]

    def close(self) -> None:
        """Close the file."""
        self._blocks = iter(())

    def _count(self, number: int) -> int:
        """Return the length of a segment at the output rate, from its header or by decoding it."""
        if number not in self._found.counts:
            segment = self._found.segments[number]
            with self._open(segment) as file:
                count = file.frames if segment.end is None else _UNKNOWN_FRAMES
            if not 0 < count < _UNKNOWN_FRAMES:
                count = sum(block.shape[1] for block in self._decode(segment, 0))
            self._found.counts[number] = -(-count * self.samplerate // segment.rate)
        return self._found.counts[number]

    def _silence_before(self) -> list[int]:
        """Return the samples of silence before each segment."""
        silences, link, position = [], -1, 0
        for segment, count in zip(self._found.segments, self._counts, strict=True):
            silence = 0
            if segment.end is not None:
                position = position if segment.link == link else 0
                silence = max(segment.end - count - position, 0)
                position = segment.end
            link = segment.link
            silences.append(silence)
        max_silence = max(_MIN_SILENCE_LIMIT_S * self.samplerate, sum(self._counts))
        return silences if sum(silences) <= max_silence else [0] * len(silences)

    def _read_from(self, position: int) -> Iterator[_Array]:
        """Yield blocks [C, n] starting at a frame."""
        for segment, count, silence in zip(self._found.segments, self._counts, self._silences, strict=True):
            for size, blocks in ((silence, self._silence), (count, self._read_segment)):
                if position < size:
                    yield from _limit_frames(blocks(segment, position, size), size - position)
                position = max(position - size, 0)

    def _silence(self, segment: Segment, position: int, size: int) -> Iterator[_Array]:
        for start in range(position, size, BLOCK):
            yield np.zeros((self.channels, min(BLOCK, size - start)), np.float32)

    def _read_segment(self, segment: Segment, position: int, size: int) -> Iterator[_Array]:
        """Yield a segment starting at a frame, converted to the output rate and channels."""
        if (segment.rate, segment.channels) == (self.samplerate, self.channels):
            yield from self._decode(segment, position)
            return
        from riffusion_ext.audio.fit import fit_pieces

        pieces = (_to_channels(AudioClip(block, segment.rate), self.channels) for block in self._decode(segment, 0))
        for block in fit_pieces(pieces, self.samplerate, self.channels):
            yield block[:, position:]
            position = max(position - block.shape[1], 0)

    def _decode(self, segment: Segment, position: int) -> Iterator[_Array]:
        with self._open(segment) as file:
            start = seek_target(position, _PREROLL, segment.seekable_end) if file.seekable() else 0
            if start:
                file.seek(start)
            skipped = position - start
            while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
                yield np.ascontiguousarray(block[skipped:].T)
                skipped = max(skipped - len(block), 0)

    @contextmanager
    def _open(self, segment: Segment) -> Iterator[SoundReader]:
        with (
            closing(io.BufferedReader(Splice(self._path, segment.pieces))) as file,
            self._soundfile.SoundFile(file) as sound,
        ):
            yield sound


class RecoveringFile:
    """Read a file through soundfile; if decoding fails, continue with the intact segments after the damage.

    Parameters
    ----------
    file
        The open ``soundfile.SoundFile``.
    path
        Path of the file.
    soundfile
        The module.
    """

    def __init__(self, file: SoundReader, path: Path, soundfile: ModuleType) -> None:
        self._file, self._path, self._soundfile = file, path, soundfile
        self._position = 0

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self._file.frames

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._file.channels

    @property
    def samplerate(self) -> int:
        """Sample rate in Hz."""
        return self._file.samplerate

    @property
    def format(self) -> str:
        """Major format."""
        return self._file.format

    @property
    def subtype(self) -> str:
        """Sample format."""
        return self._file.subtype

    def seekable(self) -> bool:
        """Return whether the file can be read at any position."""
        return self._file.seekable()

    def seek(self, frame: int) -> int:
        """Go to a frame."""
        self._position = frame
        try:
            return int(self._file.seek(frame))
        except self._soundfile.SoundFileError as error:
            return self._recover(error)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> _Array:
        """Read up to `frames` frames [n, channels]."""
        try:
            data: _Array = self._file.read(frames, dtype=dtype, always_2d=always_2d)
        except self._soundfile.SoundFileError as error:
            self._recover(error)
            data = self._file.read(frames, dtype=dtype, always_2d=always_2d)
        self._position += len(data)
        return data

    def _recover(self, error: Exception) -> int:
        found = None if isinstance(self._file, JoinedFile) else survey_deep(self._path)
        if found is None:
            raise error
        self._file = JoinedFile(self._soundfile, self._path, found)
        return self._file.seek(self._position)


def seek_target(position: int, lead: int, seekable_end: int | None) -> int:
    """Return the frame to seek to: at least `lead` frames before `position`, and not beyond `seekable_end`."""
    return min(max(position - lead, 0), position if seekable_end is None else seekable_end)


def _to_channels(clip: AudioClip, channels: int) -> AudioClip:
    """Convert a clip to any number of channels, through stereo where a direct downmix does not exist."""
    if 2 < channels < clip.channels:
        clip = clip.to_channels(2)
    return clip.to_channels(channels)


def _limit_frames(blocks: Iterator[_Array], max_frames: int) -> Iterator[_Array]:
    """Yield blocks until a total number of frames is reached."""
    for block in blocks:
        if max_frames <= 0:
            return
        yield block[:, :max_frames]
        max_frames -= block.shape[1]
