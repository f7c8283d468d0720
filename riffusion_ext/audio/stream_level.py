"""Automatic gain for an endless sound: its peak is unknown, so the gain follows the loudness slowly."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.level import limit, limit_reach

__all__ = ["LOUDNESS_DB", "SLOPE_DB", "StreamLevel"]

LOUDNESS_DB = -16.0
"""Target RMS in dBFS: leaves headroom for the peaks of music, so that the limiter has little to do."""

SLOPE_DB = 0.5
"""Largest change of the gain, in dB per second: soft passages stay soft."""

_SILENCE_DB = -70.0
"""Input below this level, in dBFS, leaves the gain unchanged."""
_GAIN_RANGE_DB = (-60.0, 40.0)

Samples = npt.NDArray[np.float32]


class StreamLevel:
    """Apply gain and a limiter to a sound given piece by piece.

    The first piece that is not silent sets the gain. From then on the gain follows the loudness, linear in decibels
    within each piece. Peaks are limited exactly as by :func:`~riffusion_ext.audio.level.limit` on the whole sound: the
    last samples of a piece are returned with the next one, when the samples after them are known.

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
        self._emitted = 0  # samples of `_buffer` already returned; they are only context

    def add(self, samples: Samples, *, last: bool = False) -> Samples:
        """Add a piece [C, n] of any scale; return the samples that are final, in all as many as were added."""
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
