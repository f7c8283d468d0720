"""Level of a sound that has no end: nobody knows its peak, so it is brought to a loudness slowly, and never jumps."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.level import limit, limit_reach

__all__ = ["LOUDNESS_DB", "SLOPE_DB", "StreamLevel"]

LOUDNESS_DB = -16.0
"""RMS that is aimed at, in dBFS: room for the peaks of music, so that the limiter has little to do."""

SLOPE_DB = 0.5
"""The gain moves by at most so many dB in a second: a soft passage stays one."""

_SILENCE_DB = -70.0
"""Below that, relative to full scale as it comes in, there is nothing to be made louder."""
_GAIN_RANGE_DB = (-60.0, 40.0)

Samples = npt.NDArray[np.float32]


class StreamLevel:
    """Gain and limiter for a sound that comes in pieces.

    The first piece that is no silence decides the gain; from then on it follows the loudness, in a straight line in
    decibels within each piece. Peaks are held by :func:`~riffusion_ext.audio.level.limit`, exactly as if it had the
    whole before it: the last samples of a piece come out with the next one, when what follows them is known.

    Parameters
    ----------
    sample_rate
        In Hz.
    channels
        1 to 8.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._reach = limit_reach(sample_rate)
        self._gain_db: float | None = None
        self._buffer = np.zeros((channels, 0), np.float32)
        self._emitted = 0  # samples of `_kept` that are out already, and only context

    def add(self, samples: Samples, *, last: bool = False) -> Samples:
        """Take a piece [C, n] of any scale; returns what is final: in all, as many samples as came in."""
        if samples.shape[1]:
            samples = samples * self._gains(samples)
        buffer = np.concatenate([self._buffer, samples], axis=1)
        stop = buffer.shape[1] if last else max(buffer.shape[1] - self._reach, self._emitted)
        out = limit(AudioClip(buffer, self._rate)).samples[:, self._emitted : stop]
        keep = max(stop - self._reach, 0)
        self._buffer, self._emitted = buffer[:, keep:].copy(), stop - keep
        return out

    def _gains(self, samples: Samples) -> Samples:
        level = math.sqrt(float(np.square(samples, dtype=np.float64).mean()))
        level_db = 20 * math.log10(level) if level > 0 else -math.inf
        if level_db < _SILENCE_DB:
            gain = 0.0 if self._gain_db is None else self._gain_db
            return np.full(samples.shape[1], 10 ** (gain / 20), np.float32)
        target = min(max(LOUDNESS_DB - level_db, _GAIN_RANGE_DB[0]), _GAIN_RANGE_DB[1])
        before = target if self._gain_db is None else self._gain_db
        max_change = SLOPE_DB * samples.shape[1] / self._rate
        after = before + min(max(target - before, -max_change), max_change)
        self._gain_db = after
        line = before + (after - before) * np.arange(1, samples.shape[1] + 1) / samples.shape[1]
        return np.asarray(10 ** (line / 20), np.float32)
