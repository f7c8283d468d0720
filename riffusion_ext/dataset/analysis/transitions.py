"""Abrupt transitions: moments at which a piece of music ends and an unrelated one continues.

Music changes all the time: drums, chords, sections. A cut is recognised because everything changes at one instant and
never returns. So the two sides of an instant are compared by seven measures::

    |<------------ contrast ----------->|<- 0.1 s ->|<------------ contrast ----------->|
                            |<- step -->|           |<- step -->|
                                  |fine>|           |<fine|
    ------------------------------------------t-------------------------------------------> time
                                  width of an analysis window

- *fine*, on all mel bands: how far the partials heard before have **fallen**, how far those heard after have **risen**,
  and how **unlike** the two patterns are. Held notes and reverberation survive a drum hit or a change of chord; nothing
  survives a cut.
- **fresh** and **gone**, on all mel bands: how little of what follows was heard in the half minute before, and of what
  came before is heard in the half minute after (:mod:`riffusion_ext.dataset.analysis.recall`). After a stop, a fill or
  a bar of another cymbal, the same band plays on.
- **step**, on the sketch: how far its bands move within 0.2 s.
- **contrast**, on the sketch: the distance between the 2.4 s on both sides, in units of their own spread.

Comparing the two sides of an instant follows Foote, "Automatic audio segmentation using a measure of audio novelty"
(ICME 2000); the contrast is Fisher's criterion (1936), band by band. The weights of the seven logarithms come from a
logistic regression on cuts between real songs. An instant counts less if the same happens again within 4 s, since
repetition is rhythm. docs/training-set-checks.md has the figures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from riffusion_ext.dataset.analysis.recall import Recall, partials

__all__ = [
    "STRIDE",
    "FineChange",
    "SpectralChange",
    "largest_transition",
    "transition_curve",
    "transition_odds",
    "transition_terms",
]

STRIDE = 4
"""Columns from a value of a curve to the next."""

_SOFT = 0.316  # added to magnitudes ** 0.25 relative to the loudest band: 40 dB below it hardly counts
_MAX_CHANGE_DB = 30.0  # changes of partials are clipped at this, in dB

_GAP = 5  # columns from an instant to its sides: half an analysis window
_STEP, _CONTRAST = 10, 240  # lengths of the sides, in columns
_LEVEL_COLUMNS, _FLOOR_COLUMNS = 10, 200  # columns to each side: for the level of silence; for the floor of the bands
_FLOOR_DB = -55.0  # floor of the bands, relative to the level around
_SPREAD = 2.0  # dB^2, added to the variance of a band, which may be 0
_SILENCE_DB, _LOPSIDED_DB = -65.0, 40.0  # a quieter side is silence: music stops or starts there
_PAUSE, _MAX_PAUSE = 25, 0.25  # columns to each side, to detect pauses; maximum fraction of a side in pauses
_EDGE = 2  # values to each side of silence that are affected by it

# Weights of the logarithms of fallen, risen, unlike, fresh, gone, step and contrast: a logistic regression on 91 songs
# from 13 sources, 312 cuts between them and 52 synthetic songs (bench/transition_fit.py repeats it). The bias is 1.1
# lower than the regression's, since cuts are rare.
_WEIGHTS = np.array([2.1, 1.0, 0.65, 5.3, 5.2, 0.86, 2.3])
_BIAS = -2.2
_LOG_FLOOR = 0.05
_REPEAT_WEIGHT, _REPEAT_FROM, _REPEAT_WITHIN = 0.35, 40, 400  # weight of a repetition 0.4 to 4 s away
_MIN_ODDS = -1.75  # log-odds up to which it is no repetition
_MAX_ODDS = 8.0  # log-odds are clipped at this

_MARGIN = 25  # columns at both ends of a window, 0.25 s, in which cuts are ignored


class FineChange(NamedTuple):
    """Change of the partials around every fourth column; arrays [ceil(T / 4)], float32.

    Attributes
    ----------
    fallen, risen
        Mean fall of the partials heard before, and mean rise of those heard after, in dB, 0 to 30.
    unlike
        1 minus the correlation of the two patterns of partials: 0 for equal, 1 for unrelated ones, at most 2.
    fresh, gone
        How little of the 2.4 s after was heard in the 30 s before, and of the 2.4 s before is heard in the 30 s after:
        0 for all of it, 1 for nothing (:class:`~riffusion_ext.dataset.analysis.recall.Recall`).
    """

    fallen: np.ndarray
    risen: np.ndarray
    unlike: np.ndarray
    fresh: np.ndarray
    gone: np.ndarray


class SpectralChange:
    """Measure the :class:`FineChange` of a song that is streamed in pieces."""

    def __init__(self) -> None:
        self._rest: np.ndarray | None = None
        self._blocks: np.ndarray | None = None  # the last ones, to compare the next ones with
        self._found: list[np.ndarray] = []
        self._recall = Recall()

    def add(self, mel: np.ndarray) -> None:
        """Add the next columns.

        Parameters
        ----------
        mel : np.ndarray [shape=(n, bands), non-negative]
            Mel magnitudes in any unit, of any number of columns.
        """
        mel = np.asarray(mel, np.float32)
        if self._rest is not None:
            mel = np.concatenate([self._rest, mel])
        whole = len(mel) // STRIDE * STRIDE
        self._rest = mel[whole:].copy()
        blocks = np.sqrt(np.sqrt(mel[:whole].reshape(-1, STRIDE, mel.shape[1]).mean(axis=1)))
        self._recall.add(blocks)
        if self._blocks is not None:
            blocks = np.concatenate([self._blocks, blocks])
        self._blocks = blocks[-3:].copy()
        if len(blocks) > 3:
            self._found.append(_compare(blocks[:-3], blocks[3:]))

    def finish(self) -> FineChange:
        """Return the change around columns 0, 4, 8 ... of all columns added; 0 where a side is missing."""
        rest = 0 if self._rest is None else len(self._rest)
        held = 0 if self._blocks is None else len(self._blocks)
        found = np.concatenate(self._found, axis=1) if self._found else np.zeros((3, 0), np.float32)
        values = np.zeros((5, found.shape[1] + held + (rest > 0)), np.float32)
        values[:3, 2 : 2 + found.shape[1]] = found
        recall = self._recall.finish()
        values[3:, : recall.shape[1]] = recall
        return FineChange(*values)


def _compare(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return fallen, risen and unlike [3, n] of pairs of spectra [n, bands], magnitudes ** 0.25."""
    loudest = np.maximum(before.max(axis=1), after.max(axis=1))[:, None] + 1e-9
    old, new = (80.0 * np.log10(side / loudest + _SOFT) for side in (before, after))
    old_partials, new_partials = partials(old), partials(new)
    fallen, risen = (
        (weight * np.clip(change, 0.0, _MAX_CHANGE_DB)).sum(axis=1) / (weight.sum(axis=1) + 1e-3)
        for weight, change in ((np.maximum(old_partials, 0.0), old - new), (np.maximum(new_partials, 0.0), new - old))
    )
    energy = (old_partials**2).sum(axis=1) * (new_partials**2).sum(axis=1)
    unlike = 1.0 - (old_partials * new_partials).sum(axis=1) / np.sqrt(energy + 1e-3)
    return np.stack([fallen, risen, unlike]).astype(np.float32)


def transition_curve(sketch: np.ndarray, change: FineChange) -> np.ndarray:
    """Return how much each fourth column looks like a cut between unrelated pieces.

    Parameters
    ----------
    sketch : np.ndarray [shape=(T, bands)]
        Levels in dB, of columns of 10 ms (:class:`~riffusion_ext.dataset.analysis.measure.SongMeasure`).
    change
        Change of the partials in the same columns.

    Returns
    -------
    np.ndarray [shape=(ceil(T / 4),), float32]
        0 for steady music, 1 for two unrelated fragments, independent of the overall level. Near 0 where the music
        stops or starts, or a quarter of a side is a pause, since every note is a large change from silence.
    """
    terms, sounding = transition_terms(sketch, change)
    odds = transition_odds(terms, sounding)
    return (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)


def transition_terms(sketch: np.ndarray, change: FineChange) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of the odds of a cut.

    Parameters
    ----------
    sketch, change
        As for :func:`transition_curve`.

    Returns
    -------
    terms : np.ndarray [shape=(ceil(T / 4), 7), float32]
        Logarithms of the seven measures: fallen, risen, unlike, fresh, gone, step, contrast.
    sounding : np.ndarray [shape=(ceil(T / 4),), bool]
        Whether there is music on both sides.
    """
    terms = np.zeros((len(change.fallen), 7), np.float32)
    sounding = np.ones(len(terms) + 2 * _EDGE, bool)
    for first in range(0, len(terms), 4096):
        part = slice(first, min(first + 4096, len(terms)))
        found, sounding[_EDGE:][part] = _terms(sketch, FineChange(*(values[part] for values in change)), first)
        terms[part] = np.log(found + _LOG_FLOOR)
    if len(terms):
        return terms, sliding_window_view(sounding, 2 * _EDGE + 1).all(axis=1)
    return terms, sounding[:0]


def transition_odds(
    terms: np.ndarray, sounding: np.ndarray, weights: np.ndarray | None = None, bias: float | None = None
) -> np.ndarray:
    """Return the log-odds [n] of a cut from the result of :func:`transition_terms`, optionally with other weights."""
    weights, bias = _WEIGHTS if weights is None else weights, _BIAS if bias is None else bias
    odds = (np.einsum("tk,k->t", terms, weights) + bias).clip(-_MAX_ODDS, _MAX_ODDS)
    odds[~sounding] = -_MAX_ODDS
    if len(odds):
        odds -= _REPEAT_WEIGHT * np.maximum(_largest_around(odds) - _MIN_ODDS, 0.0)
    return odds


def _terms(sketch: np.ndarray, change: FineChange, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the seven measures [n, 7] from value `first` on, and whether there is sound on both sides [n]."""
    reach = _GAP + _CONTRAST + max(_FLOOR_COLUMNS, _CONTRAST + _PAUSE)
    at = reach + STRIDE * np.arange(len(change.fallen))
    begin = STRIDE * first - reach
    rows = _mirror(np.arange(begin, begin + at[-1] + reach), len(sketch))
    power = 10.0 ** (sketch[rows].astype(np.float64) / 10.0)
    total = _running_sum(power.sum(axis=1))
    mean_power = _mean_around(total, _FLOOR_COLUMNS)
    levels = 10.0 * np.log10(power + 10.0 ** (_FLOOR_DB / 10.0) * mean_power[:, None] + 1e-12)
    sums, squares = _running_sum(levels), _running_sum(levels**2)

    before, after = _sides(sums, at, _STEP)
    step = np.maximum(np.maximum(after - before, 0.0).mean(axis=1), np.maximum(before - after, 0.0).mean(axis=1))
    before, after = _sides(sums, at, _CONTRAST)
    variance = sum(_sides(squares, at, _CONTRAST)) - before**2 - after**2
    contrast = np.sqrt(((after - before) ** 2 / (np.maximum(variance, 0.0) / 2 + _SPREAD)).mean(axis=1))
    near = 10.0 * np.log10(np.maximum(_sides(total, at, _LEVEL_COLUMNS), 1e-12))
    sounding = near.min(axis=0) > np.maximum(near.max(axis=0) - _LOPSIDED_DB, _SILENCE_DB)
    sounding &= np.maximum(*_sides(_running_sum(_in_pause(total)), at, _CONTRAST)) <= _MAX_PAUSE
    return np.stack([*change, step, contrast], axis=1), sounding


def _in_pause(total: np.ndarray) -> np.ndarray:
    """Return which columns are in pauses [n], from running sums of their power."""
    level = _mean_around(total, _PAUSE)
    loudest = sliding_window_view(np.pad(level, _CONTRAST), 2 * _CONTRAST + 1).max(axis=1)
    return level < np.maximum(loudest * 10.0 ** (-_LOPSIDED_DB / 10.0), 10.0 ** (_SILENCE_DB / 10.0))


def _mean_around(total: np.ndarray, reach: int) -> np.ndarray:
    """Return the mean [n] over each value and up to `reach` neighbours to each side, from running sums."""
    column = np.arange(len(total) - 1)
    low, high = np.maximum(column - reach, 0), np.minimum(column + reach + 1, len(column))
    return (total[high] - total[low]) / (high - low)


def _running_sum(values: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, 2 ... values: [n + 1, ...]."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])


def _sides(sums: np.ndarray, at: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of the columns before and after each instant, from running sums."""
    start, stop = at - _GAP, at + _GAP
    return (sums[start] - sums[start - length]) / length, (sums[stop + length] - sums[stop]) / length


def _mirror(index: np.ndarray, length: int) -> np.ndarray:
    """Reflect indices before the start and past the end back inside, as often as needed."""
    index = index % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def _largest_around(odds: np.ndarray) -> np.ndarray:
    """Return the largest value 0.4 to 4 s before or after each, excluding its own surroundings."""
    near, far = _REPEAT_FROM // STRIDE, _REPEAT_WITHIN // STRIDE
    runs = sliding_window_view(np.pad(odds, far, constant_values=-_MAX_ODDS), far - near + 1).max(axis=1)
    return np.maximum(runs[: len(odds)], runs[far + near :])


def largest_transition(curve: np.ndarray, first_columns: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the largest value of a curve inside each window.

    Parameters
    ----------
    curve : np.ndarray [shape=(ceil(T / 4),)]
        As :func:`transition_curve` returns it.
    first_columns : np.ndarray [shape=(N,), int]
        First column of each window.
    columns
        Width of the windows. The outermost 0.25 s and columns past the end of the song do not count.

    Returns
    -------
    tuple of np.ndarray [shape=(N,)]
        The values (0 if a window has no column that counts), and their columns in the song.
    """
    largest, where = np.zeros(len(first_columns), np.float32), np.array(first_columns, np.int64)
    for n, first in enumerate(first_columns):
        start = -(-(max(int(first), 0) + _MARGIN) // STRIDE)
        inside = curve[start : max(-(-(int(first) + columns - _MARGIN) // STRIDE), start)]
        if inside.size:
            best = int(inside.argmax())
            largest[n], where[n] = inside[best], (start + best) * STRIDE
    return largest, where
