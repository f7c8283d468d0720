"""Read sound files piece by piece, in memory that does not grow with their length.

::

    file --read_pieces--> AudioClip, AudioClip, ... --fit_pieces--> [C, n], [C, n], ...  at one rate
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from os import PathLike
from pathlib import Path

import numpy as np

from riffusion_ext.audio.clip import AudioClip, check_clip_format
from riffusion_ext.audio.formats import ffmpeg, soundfile_io
from riffusion_ext.audio.formats.wav import UnsupportedError, read_layout, read_wav
from riffusion_ext.audio.integrity.repair import SampleRepairer
from riffusion_ext.audio.integrity.truncation import add_file_notes, decoder_note
from riffusion_ext.audio.io import file_head
from riffusion_ext.errors import AudioError
from riffusion_ext.files.regular import open_regular

__all__ = ["PIECE_SECONDS", "read_pieces"]

PIECE_SECONDS = 20
"""Length of a piece; shorter for many channels or a high rate."""

_PIECE_SAMPLES = 1 << 23  # of all channels


def read_pieces(path: str | PathLike[str]) -> Iterator[AudioClip]:
    """Read a sound file as consecutive pieces; the last one is shorter.

    Reads the formats of :func:`~riffusion_ext.audio.io.read_audio`. Concatenated, the pieces equal its result, except
    for samples repaired at the very end of a piece. The notes of a piece cover all pieces up to it; those of the last
    one also cover the file.

    Raises
    ------
    AudioError
        The file is missing, cannot be read or holds no samples. Later pieces raise it if the file is damaged there.
    """
    path = Path(path)
    is_wav = file_head(path)[:4] == b"RIFF"
    readers: tuple[Callable[[Path, list[str]], Iterator[AudioClip]], ...] = (_soundfile_pieces, _ffmpeg_pieces)
    reasons: list[str] = []
    complaints: list[str] = []
    for reader in (_wav_pieces, *readers) if is_wav else readers:
        pieces = reader(path, complaints)
        try:
            first = next(pieces, None)
        except UnsupportedError as error:
            reasons.append(str(error))
            continue
        except (AudioError, OSError) as error:
            raise AudioError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if first is None:
            raise AudioError(f"{path} holds no sound: it has no samples")
        return _with_path_in_errors(
            _with_file_notes(chain([first], pieces), path, complaints, filled=reader is not _ffmpeg_pieces), path
        )
    raise AudioError(f"{path} cannot be read: {'; '.join(reasons)}")


def piece_seconds(channels: int, sample_rate: int) -> int:
    """Return the length of a piece, in whole seconds."""
    return min(PIECE_SECONDS, max(1, _PIECE_SAMPLES // (channels * sample_rate)))


def _with_file_notes(
    pieces: Iterator[AudioClip], path: Path, complaints: list[str], *, filled: bool
) -> Iterator[AudioClip]:
    """Yield the pieces, with notes about the file in the last one; looks one piece ahead."""
    seconds, current = 0.0, next(pieces)
    while True:
        seconds += current.duration
        try:
            following = next(pieces, None)
        except (AudioError, OSError):
            yield current
            raise
        if following is None:
            break
        yield current
        current = following
    current = replace(current, notes=(*current.notes, *map(decoder_note, complaints)))
    yield add_file_notes(current, path, seconds, filled=filled)


def _with_path_in_errors(pieces: Iterator[AudioClip], path: Path) -> Iterator[AudioClip]:
    try:
        yield from pieces
    except (AudioError, OSError) as error:
        raise AudioError(f"{path} cannot be read to its end: {getattr(error, 'strerror', None) or error}") from error


def _wav_pieces(path: Path, _complaints: list[str]) -> Iterator[AudioClip]:
    repairer = SampleRepairer()
    with open_regular(path) as file:
        layout = read_layout(file)
        check_clip_format(layout.channels, layout.sample_rate)
        step = piece_seconds(layout.channels, layout.sample_rate)
        for start in range(0, math.ceil(layout.frames / layout.sample_rate), step):
            yield read_wav(file, start=start, duration=step, repairer=repairer)
    repairer.finish()


def _soundfile_pieces(path: Path, _complaints: list[str]) -> Iterator[AudioClip]:
    repairer, start = SampleRepairer(), 0
    with soundfile_io.open_sound(path) as file:
        check_clip_format(file.channels, file.samplerate)
        step = piece_seconds(file.channels, file.samplerate) * file.samplerate
        while (samples := soundfile_io.read_frames(file, step)).shape[1]:
            yield repairer.clip(samples, file.samplerate, start=start, last=False)
            start += samples.shape[1]
    repairer.finish()


def _ffmpeg_pieces(path: Path, complaints: list[str]) -> Iterator[AudioClip]:
    repairer, start = SampleRepairer(), 0
    with ffmpeg.open_stream(path, complaints=complaints) as (pipe, channels, sample_rate):
        check_clip_format(channels, sample_rate)
        step = piece_seconds(channels, sample_rate) * sample_rate
        while True:
            raw = pipe.read(step * channels * 4)
            samples = np.frombuffer(raw[: len(raw) // (4 * channels) * 4 * channels], "<f4").reshape(-1, channels)
            if not len(samples):
                break
            yield repairer.clip(samples.T.astype(np.float32, order="C"), sample_rate, start=start, last=False)
            start += len(samples)
    repairer.finish()
