"""How fast a song goes at each moment: what speaks for each tempo, and the best way through that.

::

    onsets, in all and by bands --16 s, each 4 s--> Likeness --metre.py--> features --weights--> [frames, tempi]
    --path--> periods; what the path scores against all its rivals --> confidence

The weights are those of a conditional logit model (McFadden 1974), which says of all tempi of a frame how probable each
is. How they were found is in ``bench/tempo_fit.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.metre import Periodicity, cross_rhythm, periodicity_of, tempo_features
from riffusion_ext.analysis.tempo_weights import WEIGHTS

__all__ = ["MIN_CONFIDENCE", "Tempo", "follow_tempo", "tempo_prior"]

MIN_TEMPO, MAX_TEMPO = 40.0, 240.0
"""Beats a minute that are looked for."""

MIN_CONFIDENCE = 0.3
"""Confidence from which on a tempo is told, and beats are cut at."""

_TEMPI = np.geomspace(MAX_TEMPO, MIN_TEMPO, 180)
_STEPS_PER_OCTAVE = (len(_TEMPI) - 1) / math.log2(MAX_TEMPO / MIN_TEMPO)

_FRAME_S, _HOP_S = 16.0, 4.0
_CHUNK = 32

# A song is like itself one, two, three, four beats later, a whole bar the most.
_BEAT_MULTIPLES = (1.0, 2.0, 3.0, 4.0)
_BEAT_WEIGHTS = (1.0, 0.5, 0.5, 0.75)

# Along the path, a change of tempo by x costs _DRIFT * |ln x|, and never more than _JUMP, in the logarithm of a chance.
_DRIFT, _JUMP = 48.0, 8.0
_COST = np.minimum(_DRIFT * np.abs(np.log(_TEMPI[:, None] / _TEMPI)), _JUMP)

_SAME_TEMPO = 0.06
"""Tempi so near to each other, in parts, are the same."""

_MIN_ODDS, _ODDS_EXPONENT = 19.0, 2.0
"""Odds of a tempo, by the model, from which on it is sure; and how soon they do not matter any more."""

_MIN_CLARITY = 0.4
"""How clearly a song repeats itself, below which orchestras have what looks like beats."""

_ABSENT, _PRESENT = 20.0, 0.3
"""How much it speaks against a beat that the song is less like itself one beat later than so much of what it can be."""

_CROSS_WEIGHT, _CROSS_FROM = 30.0, 0.1
"""How soon it makes a tempo doubtful that some band goes by two thirds or three halves of it."""

_USUAL_TEMPO, _FAR_OCTAVES = 120.0, (0.35, 0.7)
"""Most people tap along to most music near 120 a minute (Ellis 2007); octaves from there that are far, and very far."""


class Tempo(NamedTuple):
    """The tempo of each frame, and how clear it is.

    Attributes
    ----------
    centres : np.ndarray [shape=(F,)]
        Column in the middle of each frame, rising.
    periods : np.ndarray [shape=(F,)]
        Columns from beat to beat.
    confidence
        0 to 1: that there are beats, and that these are they.
    on_beats
        0 to 1: that there are beats, and that these are they, or half or twice as many.
    """

    centres: npt.NDArray[np.float64]
    periods: npt.NDArray[np.float64]
    confidence: float
    on_beats: float

    def period_at(self, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the period of the frame nearest to each column."""
        borders = (self.centres[1:] + self.centres[:-1]) / 2
        periods: npt.NDArray[np.float64] = self.periods[np.searchsorted(borders, columns)]
        return periods


def follow_tempo(bands: Sequence[npt.NDArray[np.float64]], columns_per_second: float) -> Tempo:
    """Find the tempo at each moment.

    Parameters
    ----------
    bands
        Strength of onsets [T] in all, and in low, middle and high bands; mean 0 and power 1 where there are any, 0
        where it is silent. A second or more.
    columns_per_second
        Columns of the onsets in a second.

    Returns
    -------
    Tempo
        One frame for each 4 s; a single one for less than 20 s.
    """
    columns = len(bands[0])
    size = min(columns, round(_FRAME_S * columns_per_second))
    starts = np.arange(0, columns - size + 1, round(_HOP_S * columns_per_second))
    lags = 60 * columns_per_second / _TEMPI
    scores, clarities, rivals, powers = [], [], [], []
    for first in range(0, len(starts), _CHUNK):
        periodicities = [periodicity_of(band, starts[first : first + _CHUNK], size) for band in bands]
        scores.append(_score(periodicities, lags))
        clarities.append(_beat_clarity(periodicities[0], lags))
        rivals.append(cross_rhythm(periodicities, lags))
        powers.append(periodicities[0].power)
    score, power = np.concatenate(scores), np.concatenate(powers)
    path = _best_path(score * np.minimum(power, 1)[:, None])
    here = np.arange(len(path))
    shares = power / max(float(power.sum()), 1e-9)
    clear = _confidence(float(np.concatenate(clarities)[here, path] @ shares), size / columns_per_second)
    clear *= min(1.0, (clear / _MIN_CLARITY) ** 2)
    doubt = math.exp(-_CROSS_WEIGHT * max(float(np.concatenate(rivals)[here, path] @ shares) - _CROSS_FROM, 0.0))
    odds, of_octaves = _odds(score, path, np.minimum(power, 1))
    confidence, on_beats = (min(clear, _from_odds(doubt * some)) for some in (odds, of_octaves))
    return Tempo(starts + size / 2, lags[path], confidence, on_beats)


def tempo_prior(tempi: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the features [P, 6] of the tempi as such: how far they are from the most usual one."""
    octaves = np.log2(tempi / _USUAL_TEMPO)
    beyond = [np.maximum(side * octaves - far, 0) for far in _FAR_OCTAVES for side in (-1, 1)]
    return np.stack([octaves, octaves**2, *beyond], axis=-1)


def _score(periodicities: Sequence[Periodicity], lags: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logarithm [frames, tempi] of each tempo's chance, but for a number that is the same for all of a frame."""
    score = np.zeros((len(periodicities[0].power), len(lags)))
    score += tempo_prior(_TEMPI) @ WEIGHTS[-6:]
    for weight, values in zip(WEIGHTS, tempo_features(periodicities, lags), strict=False):
        score += weight * values
    after_one = periodicities[0].at(lags)
    absent = np.maximum(_PRESENT - after_one / np.maximum(after_one.max(axis=1, keepdims=True), 1e-9), 0)
    return score - _ABSENT * absent


def _beat_clarity(periodicity: Periodicity, lags: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How like itself each frame is one to four beats later [frames, tempi]; lags that are too long are left out."""
    total, weights = np.zeros((len(periodicity.power), len(lags))), np.zeros(len(lags))
    for multiple, weight in zip(_BEAT_MULTIPLES, _BEAT_WEIGHTS, strict=True):
        inside = periodicity.within(multiple * lags)
        total += weight * inside * periodicity.at(multiple * lags)
        weights += weight * inside
    mean: npt.NDArray[np.float64] = total / np.maximum(weights, 1e-9)
    return mean


def _odds(
    score: npt.NDArray[np.float64], path: npt.NDArray[np.int64], power: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Odds of the path against all others that go beside it, so many times as fast; and of it and its octaves."""
    tempi = score.shape[1]
    padded = np.pad(score, ((0, 0), (tempi - 1, tempi - 1)), mode="edge")
    padded -= padded[np.arange(len(path)), path + tempi - 1][:, None]
    shifts = np.arange(1 - tempi, tempi)
    beside = padded[np.arange(len(path))[:, None], path[:, None] + tempi - 1 + shifts]
    inside = (path.min() + shifts >= 0) & (path.max() + shifts < tempi)
    mean = (beside * power[:, None]).sum(axis=0) / max(float(power.sum()), 1e-9)
    chance = np.where(inside, np.exp(np.minimum(mean, 50.0)), 0.0)
    octaves = shifts / _STEPS_PER_OCTAVE
    near = math.log2(1 + _SAME_TEMPO)
    same = np.abs(octaves) < near
    octave = np.abs(octaves - np.rint(octaves)) < near
    return tuple(float(chance[some].sum() / max(chance[~some].sum(), 1e-9)) for some in (same, octave))  # type: ignore[return-value]


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


def _from_odds(odds: float) -> float:
    """Turn odds into 0 to 1: :data:`MIN_CONFIDENCE` where they are just good enough for that."""
    return min(MIN_CONFIDENCE * (odds / _MIN_ODDS) ** _ODDS_EXPONENT, 1.0)
