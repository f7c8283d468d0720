"""How fast a song goes at each moment: how well its onsets agree with themselves later, and the best way through that.

::

    onsets --autocorrelation of 16 s, each 4 s--> [frames, lags] --combs, prior--> [frames, tempi] --path--> periods
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Tempo", "follow_tempo"]

SLOWEST, FASTEST = 40.0, 240.0
"""Beats a minute that are looked for."""

_TEMPI = np.geomspace(FASTEST, SLOWEST, 180)

# Most people tap along to most music near 120 a minute, seldom at half or twice that (Ellis 2007). Octaves.
_USUAL, _SPREAD = 120.0, 0.8
_PRIOR = np.exp(-0.5 * (np.log2(_TEMPI / _USUAL) / _SPREAD) ** 2)

_FRAME_S, _HOP_S = 16.0, 4.0
_CHUNK = 256
_LONGEST_LAG = 0.75
"""Share of a frame; at longer lags too little of it is left to compare."""

# A song is like itself one, two, three, four beats later, a whole bar the most.
_WHOLE = (1.0, 2.0, 3.0, 4.0)
_WEIGHTS = (1.0, 0.5, 0.5, 0.75)
_AT_MOST = 6.0
"""Times what it is one beat later, which the mean over all four may be: a beat that is not there is not the beat."""

# If it is like itself after all halves or all thirds of a period as well, the period is several beats: that tells a
# click of 200 a minute from one of 100.
_PARTS = ((0.5, 1.5, 2.5, 3.5), (1 / 3, 2 / 3, 4 / 3, 5 / 3))
_TOLERATED = 0.5
"""What the parts may have of the whole without being counted against it."""

# Along the path, a change of tempo by x costs _DRIFT * |ln x|, and never more than _JUMP: a score is at most 1.
_DRIFT, _JUMP = 3.0, 0.5
_COST = np.minimum(_DRIFT * np.abs(np.log(_TEMPI[:, None] / _TEMPI)), _JUMP)

_FAINT = 0.5
"""Power, the song's own around it being 1, under which a frame has too little to be compared with itself."""


class Tempo(NamedTuple):
    """The tempo of each frame, and how clear it is.

    Attributes
    ----------
    centres : np.ndarray [shape=(F,)]
        Column in the middle of each frame, rising.
    periods : np.ndarray [shape=(F,)]
        Columns from beat to beat.
    confidence
        0 to 1.
    """

    centres: npt.NDArray[np.float64]
    periods: npt.NDArray[np.float64]
    confidence: float

    def period_at(self, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the period of the frame nearest to each column."""
        borders = (self.centres[1:] + self.centres[:-1]) / 2
        periods: npt.NDArray[np.float64] = self.periods[np.searchsorted(borders, columns)]
        return periods


def follow_tempo(onset: npt.NDArray[np.float64], columns_per_second: float) -> Tempo:
    """Find the tempo at each moment.

    Parameters
    ----------
    onset : np.ndarray [shape=(T,)]
        Strength of onsets; mean 0 and power 1 where there are any, 0 where it is silent. A second or more.
    columns_per_second
        Columns of `onset` in a second.

    Returns
    -------
    Tempo
        One frame for each 4 s; a single one for less than 20 s.
    """
    size = min(len(onset), round(_FRAME_S * columns_per_second))
    starts = np.arange(0, len(onset) - size + 1, round(_HOP_S * columns_per_second))
    likeness, power = _autocorrelation(onset, starts, size)
    lags = 60 * columns_per_second / _TEMPI
    first = np.maximum(likeness @ _comb(lags, _WHOLE[:1], _WEIGHTS[:1], likeness.shape[1]), 0)
    whole = np.minimum(likeness @ _comb(lags, _WHOLE, _WEIGHTS, likeness.shape[1]), _AT_MOST * first)
    parts = np.max([_weakest(likeness, lags, multiples) for multiples in _PARTS], axis=0)
    score = np.maximum(whole - np.maximum(parts - _TOLERATED * whole, 0), 0) * _PRIOR
    path = _best_path(score)
    clarity = float(whole[np.arange(len(path)), path] @ power) / max(float(power.sum()), 1e-9)
    confidence = _confidence(clarity, size / columns_per_second)
    return Tempo(starts + size / 2, lags[path], confidence)


def _autocorrelation(
    onset: npt.NDArray[np.float64], starts: npt.NDArray[np.int64], size: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the correlation of each frame with itself later [frames, lags] and its power [frames].

    It is not biased towards short lags: what the lag leaves to compare is divided by its length.
    """
    longest = int(size * _LONGEST_LAG)
    n_fft = 1 << (size + longest).bit_length()
    left = 1 - np.arange(longest + 1) / size
    frames = np.lib.stride_tricks.sliding_window_view(onset, size)[starts]
    parts, power = [], []
    for first in range(0, len(starts), _CHUNK):
        chunk = frames[first : first + _CHUNK]
        chunk = chunk - chunk.mean(axis=1, keepdims=True)
        spectra = np.fft.rfft(chunk, n_fft)
        products = np.fft.irfft(spectra.real**2 + spectra.imag**2, n_fft)[:, : longest + 1]
        power.append(products[:, 0] / size)
        parts.append(products / left / np.maximum(products[:, :1], _FAINT * size))
    return np.concatenate(parts), np.concatenate(power)


def _weakest(
    likeness: npt.NDArray[np.float64], lags: npt.NDArray[np.float64], multiples: tuple[float, ...]
) -> npt.NDArray[np.float64]:
    """Lowest [frames, tempi] of an autocorrelation [frames, lags] at some multiples of each lag."""
    values = [likeness @ _comb(lags, (multiple,), (1.0,), likeness.shape[1]) for multiple in multiples]
    weakest: npt.NDArray[np.float64] = np.min(values, axis=0)
    return weakest


def _comb(
    lags: npt.NDArray[np.float64], multiples: tuple[float, ...], weights: tuple[float, ...], count: int
) -> npt.NDArray[np.float64]:
    """Matrix [count, tempi] that takes the weighted mean of an autocorrelation at multiples of each lag.

    Multiples beyond the autocorrelation are left out; a tempo whose very period is beyond it gets 0.
    """
    matrix = np.zeros((count, len(lags)))
    tempi = np.arange(len(lags))
    for multiple, weight in zip(multiples, weights, strict=True):
        inside = tempi[(multiple * lags < count - 1) & (lags < count - 1)]
        place = multiple * lags[inside]
        below = place.astype(np.int64)
        matrix[below, inside] += weight * (1 - (place - below))
        matrix[below + 1, inside] += weight * (place - below)
    return matrix / np.maximum(matrix.sum(axis=0), 1e-9)


def _best_path(score: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Tempo [frames] with the largest sum of scores [frames, tempi] less the cost of changes (Viterbi 1967)."""
    frames, tempi = score.shape
    origin = np.zeros((frames, tempi), np.int16)
    total = score[0]
    for frame in range(1, frames):
        reached = total[:, None] - _COST
        origin[frame] = reached.argmax(axis=0)
        total = reached[origin[frame], np.arange(tempi)] + score[frame]
    path = np.empty(frames, np.int64)
    path[-1] = total.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = origin[frame, path[frame]]
    return path


def _confidence(clarity: float, seconds: float) -> float:
    """Turn how well a song repeats itself beat by beat, in frames of so many seconds, into 0 to 1.

    Noise, too, repeats itself a little, the more the shorter it is: up to about 1.5 / seconds. Beyond that the scale is
    that of music: a clarity of 0.2 is a beat that one finds, 0.5 one that nobody misses, 0.9 a metronome.
    """
    chance = 1.5 / seconds
    return math.sqrt(max(min(clarity, 1.0) - chance, 0.0) / (1 - chance)) if chance < 1 else 0.0
