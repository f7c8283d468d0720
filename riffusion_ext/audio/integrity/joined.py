"""The stretches of a file as one sound, with the face of soundfile's own object."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.formats.wav import BLOCK
from riffusion_ext.audio.integrity.splice import Splice
from riffusion_ext.audio.integrity.survey import Segment, Survey, survey_deep

__all__ = ["JoinedFile", "RecoveringFile", "seek_target"]

_Array = npt.NDArray[np.float32]
_UNKNOWN_FRAMES = 1 << 60
_MIN_SILENCE_LIMIT_S = 60
"""Seconds of silence that stand for missing sound, at least; more where there is more sound."""
_PREROLL = 16384
"""Frames to read before those wanted from the middle of a stretch."""


class JoinedFile:
    """Stretches one after the other, all at the rate and with the channels of the first.

    Parameters
    ----------
    soundfile
        The module.
    path
        The file.
    found
        What it holds.

    Attributes
    ----------
    frames, channels, samplerate, format, subtype
        As of ``soundfile.SoundFile``. What is missing between stretches is silence, where it is known how much.
    """

    format = subtype = "JOINED"

    def __init__(self, soundfile: Any, path: Path, found: Survey) -> None:
        self._soundfile, self._path, self._found = soundfile, path, found
        self.samplerate, self.channels = found.segments[0].rate, found.segments[0].channels
        self._counts = [self._count(number) for number in range(len(found.segments))]
        self._silences = self._silence_before()
        found.silences.update(enumerate(self._silences))
        self.frames = sum(self._counts) + sum(self._silences)
        self._blocks: Iterator[_Array] = self._read_from(0)
        self._buffer = np.zeros((0, self.channels), np.float32)

    def seek(self, frame: int) -> int:
        """Go to a frame."""
        self._blocks, self._buffer = self._read_from(frame), self._buffer[:0]
        return frame

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> _Array:
        """Read up to so many frames [n, channels]; fewer at the end only."""
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
        """Return the samples of a stretch at our rate: as its decoder says, or by decoding it where that cannot be."""
        if number not in self._found.counts:
            segment = self._found.segments[number]
            with self._open(segment) as file:
                count = file.frames if segment.end is None else _UNKNOWN_FRAMES
            if not 0 < count < _UNKNOWN_FRAMES:
                count = sum(block.shape[1] for block in self._decode(segment, 0))
            self._found.counts[number] = -(-count * self.samplerate // segment.rate)
        return self._found.counts[number]

    def _silence_before(self) -> list[int]:
        """Return the silence before each stretch."""
        silences, link, position = [], -1, 0
        for segment, count in zip(self._found.segments, self._counts, strict=True):
            silence = 0
            if segment.end is not None:
                position = position if segment.link == link else 0
                silence = max(segment.end - count - position, 0)
                position = segment.end
            link = segment.link
            silences.append(silence)
        most = max(_MIN_SILENCE_LIMIT_S * self.samplerate, sum(self._counts))
        return silences if sum(silences) <= most else [0] * len(silences)

    def _read_from(self, position: int) -> Iterator[_Array]:
        """Yield blocks [C, n] from a frame on."""
        for segment, count, silence in zip(self._found.segments, self._counts, self._silences, strict=True):
            for size, blocks in ((silence, self._silence), (count, self._read_segment)):
                if position < size:
                    yield from _limit_frames(blocks(segment, position, size), size - position)
                position = max(position - size, 0)

    def _silence(self, segment: Segment, position: int, size: int) -> Iterator[_Array]:
        for start in range(position, size, BLOCK):
            yield np.zeros((self.channels, min(BLOCK, size - start)), np.float32)

    def _read_segment(self, segment: Segment, position: int, size: int) -> Iterator[_Array]:
        """Yield a stretch from a frame on, at our rate and with our channels."""
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
    def _open(self, segment: Segment) -> Iterator[Any]:
        with (
            closing(io.BufferedReader(Splice(self._path, segment.pieces))) as file,
            self._soundfile.SoundFile(file) as sound,
        ):
            yield sound


class RecoveringFile:
    """A file that soundfile reads; where its decoder gives up, the rest comes from what is whole behind the damage.

    Parameters
    ----------
    file
        soundfile's object.
    path
        Its file.
    soundfile
        The module.
    """

    def __init__(self, file: Any, path: Path, soundfile: Any) -> None:
        self._file, self._path, self._soundfile = file, path, soundfile
        self._position = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def seek(self, frame: int) -> int:
        """Go to a frame."""
        self._position = frame
        try:
            return int(self._file.seek(frame))
        except self._soundfile.SoundFileError as error:
            return self._recover(error)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> _Array:
        """Read up to so many frames [n, channels]."""
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
    """Return the frame to seek to, `lead` or more before the one that is wanted, where the decoder finds it."""
    return min(max(position - lead, 0), position if seekable_end is None else seekable_end)


def _to_channels(clip: AudioClip, channels: int) -> AudioClip:
    """Return a clip with so many channels, whatever it has."""
    if 2 < channels < clip.channels:
        clip = clip.to_channels(2)
    return clip.to_channels(channels)


def _limit_frames(blocks: Iterator[_Array], most: int) -> Iterator[_Array]:
    """Yield blocks up to so many frames."""
    for block in blocks:
        if most <= 0:
            return
        yield block[:, :most]
        most -= block.shape[1]
