"""Sound files piece after piece, so that a recording of hours needs no more memory than one of minutes.

::

    file --read_pieces--> AudioClip, AudioClip, ... --fit_pieces--> [C, n], [C, n], ...  at one rate
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip, check_form
from riffusion_ext.audio.formats import ffmpeg, soundfile_io
from riffusion_ext.audio.formats.wav import UnsupportedError, read_layout, read_wav
from riffusion_ext.audio.integrity.repair import Mender
from riffusion_ext.audio.integrity.truncation import doubt, judged
from riffusion_ext.audio.io import file_head
from riffusion_ext.audio.resampling import ratio, reach
from riffusion_ext.errors import AudioError
from riffusion_ext.files.regular import open_regular

__all__ = ["PIECE_SECONDS", "fit_pieces", "read_pieces"]

PIECE_SECONDS = 20
"""Length of a piece; shorter where the sound has many channels or a high rate."""

_PIECE_SAMPLES = 1 << 23  # of all channels


def read_pieces(path: str | PathLike[str]) -> Iterator[AudioClip]:
    """Read a sound file as consecutive pieces, the last one shorter.

    What can be read is what :func:`~riffusion_ext.audio.io.read_audio` reads, and the pieces side by side are what it
    returns, but for samples repaired at the very end of one. The notes of each are about all pieces up to it, those of
    the last one about the file as well.

    Raises
    ------
    AudioError
        The file is missing or cannot be read, or holds no samples; while reading on, that it is damaged further in.
    """
    path = Path(path)
    is_wav = file_head(path)[:4] == b"RIFF"
    readers: tuple[Callable[[Path, list[str]], Iterator[AudioClip]], ...] = (_sndfile_pieces, _ffmpeg_pieces)
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
        return _named(_judged(chain([first], pieces), path, complaints, filled=reader is not _ffmpeg_pieces), path)
    raise AudioError(f"{path} cannot be read: {'; '.join(reasons)}")


def piece_seconds(channels: int, sample_rate: int) -> int:
    """Return how long the pieces of a sound are, in whole seconds."""
    return min(PIECE_SECONDS, max(1, _PIECE_SAMPLES // (channels * sample_rate)))


def _judged(pieces: Iterator[AudioClip], path: Path, complaints: list[str], *, filled: bool) -> Iterator[AudioClip]:
    """Pass pieces on, the last one with the notes about the file; each waits for the next, or for the end."""
    seconds, held = 0.0, next(pieces)
    while True:
        seconds += held.duration
        try:
            following = next(pieces, None)
        except (AudioError, OSError):
            yield held
            raise
        if following is None:
            break
        yield held
        held = following
    held = replace(held, notes=(*held.notes, *map(doubt, complaints)))
    yield judged(held, path, seconds, filled=filled)


def _named(pieces: Iterator[AudioClip], path: Path) -> Iterator[AudioClip]:
    try:
        yield from pieces
    except (AudioError, OSError) as error:
        raise AudioError(f"{path} cannot be read to its end: {getattr(error, 'strerror', None) or error}") from error


def _wav_pieces(path: Path, _complaints: list[str]) -> Iterator[AudioClip]:
    mender = Mender()
    with open_regular(path) as file:
        layout = read_layout(file)
        check_form(layout.channels, layout.sample_rate)
        step = piece_seconds(layout.channels, layout.sample_rate)
        for start in range(0, math.ceil(layout.frames / layout.sample_rate), step):
            yield read_wav(file, start=start, duration=step, mender=mender)
    mender.finish()


def _sndfile_pieces(path: Path, _complaints: list[str]) -> Iterator[AudioClip]:
    mender, start = Mender(), 0
    with soundfile_io.opened(path) as file:
        check_form(file.channels, file.samplerate)
        step = piece_seconds(file.channels, file.samplerate) * file.samplerate
        while (samples := soundfile_io.read_frames(file, step)).shape[1]:
            yield mender.clip(samples, file.samplerate, start=start, last=False)
            start += samples.shape[1]
    mender.finish()


def _ffmpeg_pieces(path: Path, complaints: list[str]) -> Iterator[AudioClip]:
    mender, start = Mender(), 0
    with ffmpeg.opened(path, complaints=complaints) as (pipe, channels, sample_rate):
        check_form(channels, sample_rate)
        step = piece_seconds(channels, sample_rate) * sample_rate
        while True:
            raw = pipe.read(step * channels * 4)
            samples = np.frombuffer(raw[: len(raw) // (4 * channels) * 4 * channels], "<f4").reshape(-1, channels)
            if not len(samples):
                break
            yield mender.clip(samples.T.astype(np.float32, order="C"), sample_rate, start=start, last=False)
            start += len(samples)
    mender.finish()


def fit_pieces(pieces: Iterable[AudioClip], rate: int, channels: int) -> Iterator[npt.NDArray[np.float32]]:
    """Bring consecutive pieces of one sound to another rate and number of channels.

    Parameters
    ----------
    pieces
        All of one rate.
    rate
        In Hz.
    channels
        1 or 2.

    Yields
    ------
    np.ndarray [shape=(channels, n), dtype=float32]
        Side by side they are ``whole.to_channels(channels).resample(rate)``: each is resampled together with as much
        of its neighbours as the filter reaches.
    """
    held = np.zeros((channels, 0), np.float32)  # input that is still needed: context, then what is not yet given out
    context = 0  # samples of `held` that were given out before
    source_rate = rate
    for piece in pieces:
        source_rate = piece.sample_rate
        held = np.concatenate([held, piece.to_channels(channels).samples], axis=1)
        up, down = ratio(source_rate, rate)
        margin = reach(up, down)
        stop = (held.shape[1] - margin) // down * down
        if stop <= context:
            continue
        fitted = AudioClip(held[:, : stop + margin], source_rate).resample(rate).samples
        yield fitted[:, context // down * up : stop // down * up]
        kept = max(stop - margin, 0)
        held, context = held[:, kept:], stop - kept
    if held.shape[1] > context:
        up, down = ratio(source_rate, rate)
        yield AudioClip(held, source_rate).resample(rate).samples[:, context // down * up :]
