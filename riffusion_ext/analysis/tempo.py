"""Tempo tracking: features of each candidate tempo in each frame, and the best path through them.

::

    onsets, overall and by band --16 s, every 4 s--> Periodicity --metre.py--> features --weights--> [frames, tempos]
    --path--> periods; score of the path against all its rivals --> confidence

The weights are those of a conditional logit model (McFadden 1974), which gives the probability of each tempo of a
frame. ``bench/tempo_fit.py`` fits them.
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
"""Range of tempos searched, in beats per minute."""

MIN_CONFIDENCE = 0.3
"""Minimum confidence for reporting a tempo, and for cutting at beats."""

_TEMPI = np.geomspace(MAX_TEMPO, MIN_TEMPO, 180)
_STEPS_PER_OCTAVE = (len(_TEMPI) - 1) / math.log2(MAX_TEMPO / MIN_TEMPO)

_FRAME_S, _HOP_S = 16.0, 4.0
_CHUNK = 32

# A song resembles itself one, two, three and four beats later, a whole bar most of all.
_BEAT_MULTIPLES = (1.0, 2.0, 3.0, 4.0)
_BEAT_WEIGHTS = (1.0, 0.5, 0.5, 0.75)

# Along the path, a change of tempo by a factor x costs _DRIFT * |ln x|, at most _JUMP, in log-probability.
_DRIFT, _JUMP = 48.0, 8.0
_COST = np.minimum(_DRIFT * np.abs(np.log(_TEMPI[:, None] / _TEMPI)), _JUMP)

_SAME_TEMPO = 0.06
"""Relative difference up to which two tempos are the same."""

_MIN_ODDS, _ODDS_EXPONENT = 19.0, 2.0
"""Odds of a tempo, by the model, that give :data:`MIN_CONFIDENCE`; exponent from odds to confidence."""

_MIN_CLARITY = 0.4
"""Clarity of repetition, below which orchestras show apparent beats."""

_ABSENT, _PRESENT = 20.0, 0.3
"""Penalty if the correlation one beat later is below a fraction of the frame's maximum; that fraction."""

_CROSS_WEIGHT, _CROSS_FROM = 30.0, 0.1
"""Rate at which a rhythm at two thirds or three halves of a tempo reduces its confidence; value where that begins."""

_USUAL_TEMPO, _FAR_OCTAVES = 120.0, (0.35, 0.7)
"""Most people tap to most music near 120 per minute (Ellis 2007); distances in octaves that are far, and very far."""


class Tempo(NamedTuple):
    """Tempo of each frame, and its confidence.

    Attributes
    ----------
    centres : np.ndarray [shape=(F,)]
        Centre column of each frame, ascending.
    periods : np.ndarray [shape=(F,)]
        Columns from beat to beat.
    confidence
        0 to 1: confidence that there are beats with these periods.
    on_beats
        0 to 1: the same, but half or twice the period counts as right, too.
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
    """Track the tempo over a song.

    Parameters
    ----------
    bands
        Onset strength [T] overall, and in low, middle and high bands, normalized to mean 0 and power 1; 0 in silence.
        At least one second.
    columns_per_second
        Columns of the onsets per second.

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
    clarity = _confidence(float(np.concatenate(clarities)[here, path] @ shares), size / columns_per_second)
    clarity *= min(1.0, (clarity / _MIN_CLARITY) ** 2)
    doubt = math.exp(-_CROSS_WEIGHT * max(float(np.concatenate(rivals)[here, path] @ shares) - _CROSS_FROM, 0.0))
    odds, octave_odds = _odds(score, path, np.minimum(power, 1))
    confidence, on_beats = (min(clarity, _from_odds(doubt * each)) for each in (odds, octave_odds))
    return Tempo(starts + size / 2, lags[path], confidence, on_beats)


def tempo_prior(tempos: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the features [P, 6] of the tempos alone: their distances from the most usual one."""
    octaves = np.log2(tempos / _USUAL_TEMPO)
    beyond = [np.maximum(side * octaves - far, 0) for far in _FAR_OCTAVES for side in (-1, 1)]
    return np.stack([octaves, octaves**2, *beyond], axis=-1)


def _score(periodicities: Sequence[Periodicity], lags: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the log-probability [frames, tempos] of each tempo, up to a constant per frame."""
    score = np.zeros((len(periodicities[0].power), len(lags)))
    score += tempo_prior(_TEMPI) @ WEIGHTS[-6:]
    for weight, values in zip(WEIGHTS, tempo_features(periodicities, lags), strict=False):
        score += weight * values
    after_one = periodicities[0].at(lags)
    absent = np.maximum(_PRESENT - after_one / np.maximum(after_one.max(axis=1, keepdims=True), 1e-9), 0)
    return score - _ABSENT * absent


def _beat_clarity(periodicity: Periodicity, lags: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean correlation one to four beats later [frames, tempos]; lags that are too long are left out."""
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
    """Return the odds of the path against all paths at a multiple of its tempo; and those of it and its octaves."""
    tempos = score.shape[1]
    padded = np.pad(score, ((0, 0), (tempos - 1, tempos - 1)), mode="edge")
    padded -= padded[np.arange(len(path)), path + tempos - 1][:, None]
    shifts = np.arange(1 - tempos, tempos)
    beside = padded[np.arange(len(path))[:, None], path[:, None] + tempos - 1 + shifts]
    inside = (path.min() + shifts >= 0) & (path.max() + shifts < tempos)
    mean = (beside * power[:, None]).sum(axis=0) / max(float(power.sum()), 1e-9)
    chance = np.where(inside, np.exp(np.minimum(mean, 50.0)), 0.0)
    octaves = shifts / _STEPS_PER_OCTAVE
    near = math.log2(1 + _SAME_TEMPO)
    same = np.abs(octaves) < near
    octave = np.abs(octaves - np.rint(octaves)) < near

    def odds(mask: npt.NDArray[np.bool_]) -> float:
        return float(chance[mask].sum() / max(chance[~mask].sum(), 1e-9))

    return odds(same), odds(octave)


def _best_path(score: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the path [frames] of largest score [frames, tempos] less the cost of changes (Viterbi 1967)."""
    frames, tempos = score.shape
    origin = np.zeros((frames, tempos), np.int16)
    total = score[0]
    for frame in range(1, frames):
        reached = total[:, None] - _COST
        origin[frame] = reached.argmax(axis=0)
        total = reached[origin[frame], np.arange(tempos)] + score[frame]
    path = np.empty(frames, np.int64)
    path[-1] = total.argmax()
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = origin[frame, path[frame]]
    return path


def _confidence(clarity: float, seconds: float) -> float:
    """Convert the clarity of repetition, in frames of the given number of seconds, to a confidence of 0 to 1.

    Noise also repeats itself a little, more so in short frames: up to about 1.5 / seconds. Beyond that, a clarity of
    0.2 is a beat that can be found, 0.5 one that nobody misses, 0.9 a metronome.
    """
    chance = 1.5 / seconds
    return math.sqrt(max(min(clarity, 1.0) - chance, 0.0) / (1 - chance)) if chance < 1 else 0.0


def _from_odds(odds: float) -> float:
    """Convert odds to a confidence of 0 to 1: :data:`MIN_CONFIDENCE` at odds of `_MIN_ODDS`."""
    return min(MIN_CONFIDENCE * (odds / _MIN_ODDS) ** _ODDS_EXPONENT, 1.0)
