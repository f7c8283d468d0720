"""Features of windows: level, pauses, damage, transitions, embedding and levels for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np

from riffusion_ext.dataset.analysis.levels import BANDS, window_levels
from riffusion_ext.dataset.analysis.measure import SongMeasure
from riffusion_ext.dataset.analysis.transitions import largest_transition, transition_curve

__all__ = ["EMBEDDING", "Features", "window_features"]

_SEGMENTS = 8
_EDGES = (0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 27)
"""Edges of the groups of sketch bands: finer in the range of notes. Bands above 6.2 kHz are left out, because low bit
rates remove them."""
EMBEDDING = _SEGMENTS * (len(_EDGES) - 1)
"""Dimensions of an embedding: 96."""
_RANGE_DB = 25.0  # below the mean level of the window, down to which levels count: light noise is lower
_FEATURELESS = 0.1  # dB standard deviation of the pooled levels, below which a window is silence

_FLOOR = 1e-6  # mean square of a column below which it is always silent: -60 dBFS
_QUIET = 1e-3  # the same relative to the window's mean: -30 dB
_PAUSE = 50  # minimum number of silent columns of a pause: half a second

_EMPTY = 1e-3  # mean square relative to the loudest 0.2 s of the window: -30 dB
# Columns over which the energy is averaged to find the loudest moment, and to find empty ones.
_LOUDEST_COLUMNS, _SMOOTH_COLUMNS = 20, 5
_MAX_TAIL = 50  # columns: sound at most this long before an empty stretch rang on from before the window
_RISE, _RISEN_LEVEL = 50, 0.03  # columns within which a burst comes to within 15 dB of the loudest

_DROPOUT = 3  # minimum length in columns; half a period of the lowest notes is shorter
_MAX_GAPS = 3  # more gaps in a window are its rhythm
_CONTEXT_COLUMNS = 3  # columns before and after a gap that must contain sound
_MIN_POWER = 1e-5  # mean square: -50 dBFS
_MIN_STOP = 20  # columns: a longer gap is a stop of the music, unless it begins abruptly
_ABRUPT_JUMP = 0.1  # minimum jump into an abrupt gap, relative to the level before
_COARSE_STEP, _MAX_OWN_STEPS = (
    1 / 1024,
    1.5,
)  # quantization step from which a jump may be the sound's own; up to so many steps


@dataclass(frozen=True, eq=False)
class Features:
    """Features of N windows. All arrays [N, ...].

    Attributes
    ----------
    level_db : float32
        Mean level in dBFS of what the image shows: mixed to its channels, without DC offset, within its frequency
        range; at least -120.
    file_db, mixed_db : float32
        The same for the file's own samples, and for those mixed to the channels of the image.
    quiet : float32
        Fraction of the columns in pauses: half a second or more in which each column is 30 dB below the mean of the
        window or below -60 dBFS.
    burst : float32
        Fraction of the columns in an empty stretch at the beginning, 30 dB below the loudest 0.2 s or below -60 dBFS,
        that ends in a burst: 0 if there is none, or if the sound after it rises slowly.
    transition : float32
        Likeness of the most abrupt change to a cut between unrelated pieces, 0 to 1.
    transition_at : float32
        Time of that change, in seconds from the start of the window.
    clipped : float32
        Fraction of clipped samples.
    dropout : float32
        Length of the longest gap in the sound, in seconds.
    rumble : float32
        Level of the loudest cell below 20 Hz, such as a DC offset, relative to the loudest of the other cells, in dB;
        negative in most music.
    embedding : float32 [shape=(N, 96)]
        Unit vectors. Their distance says how different two windows sound (0 for equal, 1.4 for unrelated ones),
        independent of their levels.
    levels : uint8 [shape=(N, F, 16)]
        Levels by frame and band, as from :func:`~riffusion_ext.dataset.analysis.levels.window_levels`, to find the
        same recording at another offset.
    """

    level_db: np.ndarray
    file_db: np.ndarray
    mixed_db: np.ndarray
    quiet: np.ndarray
    burst: np.ndarray
    transition: np.ndarray
    transition_at: np.ndarray
    clipped: np.ndarray
    dropout: np.ndarray
    rumble: np.ndarray
    embedding: np.ndarray
    levels: np.ndarray

    def __len__(self) -> int:
        return len(self.level_db)

    @classmethod
    def concatenate(cls, parts: Iterable[Features]) -> Features:
        """Concatenate the windows of several songs, in this order."""
        parts = list(parts)
        names = [f.name for f in fields(cls)]
        if not parts:
            empty = {name: np.zeros(0, np.float32) for name in names}
            empty |= {"embedding": np.zeros((0, EMBEDDING), np.float32), "levels": np.zeros((0, 0, BANDS), np.uint8)}
            return cls(**empty)
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name, for :func:`numpy.savez`."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Features:
        """Build features from arrays by name, as returned by :func:`numpy.load`."""
        return cls(**{f.name: arrays[f.name] for f in fields(cls)})


def window_features(measure: SongMeasure, first_columns: np.ndarray, columns: int) -> Features:
    """Compute the features of the windows of one song.

    Parameters
    ----------
    measure
        Measurements of the whole song.
    first_columns : np.ndarray [shape=(N,), int]
        First column of each window, 0 or more. Columns past the end of the song count as silence.
    columns
        Width of the windows.

    Returns
    -------
    Features
        In the order of `first_columns`.
    """
    first_columns = np.asarray(first_columns, np.int64)
    energy = np.maximum(_means(measure.energy, first_columns, columns), 1e-12)
    curve = transition_curve(measure.sketch, measure.change)
    transition, at = largest_transition(curve, first_columns, columns)
    gaps = _find_gaps(measure)
    windows = [(int(first), min(int(first) + columns, measure.columns)) for first in first_columns]
    return Features(
        level_db=_decibels(energy),
        file_db=_decibels(_means(measure.file_energy, first_columns, columns)),
        mixed_db=_decibels(_means(measure.mixed_energy, first_columns, columns)),
        quiet=_array(
            1.0 - _count_sounding(measure.energy[start:stop], mean) / columns
            for (start, stop), mean in zip(windows, energy, strict=True)
        ),
        burst=_array(_empty_before_burst(measure.energy[start:stop]) / columns for start, stop in windows),
        transition=transition,
        transition_at=((at - first_columns) * measure.column_seconds).astype(np.float32),
        clipped=_means(measure.clipped, first_columns, columns).astype(np.float32),
        dropout=_array(_longest_gap(gaps, start, stop) * measure.column_seconds for start, stop in windows),
        rumble=_array(_max_level(measure.low, *window) - _max_level(measure.sketch, *window) for window in windows),
        embedding=np.array(
            [_embedding(measure.sketch[start:stop], columns) for start, stop in windows], np.float32
        ).reshape(len(windows), EMBEDDING),
        levels=window_levels(measure.sketch, first_columns, columns),
    )


def _decibels(energy: np.ndarray) -> np.ndarray:
    return (10.0 * np.log10(np.maximum(energy, 1e-12))).astype(np.float32)


def _max_level(levels: np.ndarray, start: int, stop: int) -> float:
    return float(levels[start:stop].max(initial=-120.0))


def _array(values: Iterable[float]) -> np.ndarray:
    return np.fromiter(values, np.float32)


def _means(values: np.ndarray, first_columns: np.ndarray, columns: int) -> np.ndarray:
    """Return the means over windows [N] of values [T], which count as 0 past the end."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    start, stop = (np.minimum(edge, len(values)) for edge in (first_columns, first_columns + columns))
    return (total[stop] - total[start]) / columns


def _runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and stop of each run of true values [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return edges[::2], edges[1::2]


def _count_sounding(energy: np.ndarray, mean: float) -> int:
    """Count the columns of a window that are not in pauses."""
    start, stop = _runs(energy < max(_FLOOR, _QUIET * mean))
    lengths = stop - start
    return len(energy) - int(lengths[lengths >= _PAUSE].sum())


def _empty_before_burst(energy: np.ndarray) -> int:
    """Count the nearly silent columns of a window [T] before the music bursts out.

    Sound of less than half a second before them is the decay of what came before the window.
    """
    if len(energy) <= _LOUDEST_COLUMNS:
        return 0
    loudest = max(float(_smooth(energy, _LOUDEST_COLUMNS).max()), _FLOOR)
    start, stop = _runs(_smooth(energy, _SMOOTH_COLUMNS) < max(_FLOOR, _EMPTY * loudest))
    first = (start < _MAX_TAIL) & (stop < len(energy) - _SMOOTH_COLUMNS)
    if not first.any():
        return 0
    longest = int(np.where(first, stop - start, 0).argmax())
    rise = _smooth(energy, _SMOOTH_COLUMNS)[stop[longest] : stop[longest] + _RISE]
    return int(stop[longest] - start[longest]) if rise.max() > _RISEN_LEVEL * loudest else 0


def _smooth(energy: np.ndarray, width: int) -> np.ndarray:
    return np.convolve(energy.astype(np.float64), np.ones(width) / width, "same")


def _find_gaps(measure: SongMeasure) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and stop of dropouts: constant samples for a while, with loud sound right before and after.

    A pause is different, since music and rooms decay. So is a wave with corners, whose samples are equal for long, but
    not all of one value. A band that stops for a beat decays, too, though in milliseconds, and sound of few bits ends
    one quantization step from its resting value.
    """
    start, stop = _runs(measure.still)
    long = (stop - start >= _DROPOUT) & (start > _CONTEXT_COLUMNS) & (stop + _CONTEXT_COLUMNS < measure.columns)
    start, stop = start[long], stop[long]
    total = np.concatenate([[0.0], np.cumsum(measure.energy, dtype=np.float64)])
    # The columns at the edges are part sound, part gap.
    before = total[start - 1] - total[start - 1 - _CONTEXT_COLUMNS]
    after = total[stop + 1 + _CONTEXT_COLUMNS] - total[stop + 1]
    loud = np.minimum(before, after) >= _CONTEXT_COLUMNS * _MIN_POWER
    # The last step into a gap is in the column before, or in the first column of the gap.
    jump = np.where(measure.last_step[start] > 0, measure.last_step[start], measure.last_step[start - 1])
    grain = np.minimum.reduce([measure.min_step[start - back] for back in range(_CONTEXT_COLUMNS + 1)])
    own = (grain >= _COARSE_STEP) & (jump <= _MAX_OWN_STEPS * grain)
    decayed = (stop - start >= _MIN_STOP) & (jump <= _ABRUPT_JUMP * np.sqrt(before / _CONTEXT_COLUMNS))
    abrupt = loud & ~own & ~decayed
    return start[abrupt], stop[abrupt]


def _longest_gap(gaps: tuple[np.ndarray, np.ndarray], start: int, stop: int) -> int:
    """Return the length in columns of the longest gap in a window; 0 if there are so many that they are its rhythm."""
    inside = slice(*np.searchsorted(gaps[0], [start, stop]))
    lengths = np.minimum(gaps[1][inside], stop) - gaps[0][inside]
    return int(lengths.max()) if 0 < len(lengths) <= _MAX_GAPS else 0


def _embedding(sketch: np.ndarray, columns: int) -> np.ndarray:
    """Return the levels of 8 segments in 12 groups of bands, less their mean, as a unit vector."""
    power = np.full((columns, _EDGES[-1]), 1e-12)
    power[: len(sketch)] = 10.0 ** (sketch[:, : _EDGES[-1]].astype(np.float64) / 10.0)
    levels = 10.0 * np.log10(power + power.sum() / columns * 10.0 ** (-_RANGE_DB / 10.0))
    edges = np.round(np.linspace(0, columns, _SEGMENTS + 1)).astype(int)
    pooled = np.add.reduceat(np.add.reduceat(levels, edges[:-1], axis=0), _EDGES[:-1], axis=1)
    pooled /= np.diff(edges)[:, None] * np.diff(_EDGES)
    vector = (pooled - pooled.mean()).ravel()
    size = np.linalg.norm(vector)
    if size < _FEATURELESS * np.sqrt(EMBEDDING):
        vector, size = np.ones(EMBEDDING), np.sqrt(EMBEDDING)
    return (vector / size).astype(np.float32)
