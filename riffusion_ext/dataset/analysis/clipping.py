"""Clipping detection: distinguish clipped samples from waveforms that are flat by themselves.

A clipped wave rises to the limit as if it would go on, and stops there: the last steps before the flat top are about
equal. A square or pulse wave jumps from one flat part to the next, a staircase climbs from step to step, and most of
their samples equal their neighbours at other levels, too. So a run of equal samples counts as clipped if

- the last two steps before it, or the first two after it, lead to it, the one beside it is no jump, and the wave is not
  constant in the next few samples either;
- over half the run's length beside it, the wave changes by more than a rounded top does;
- the surrounding samples below the limit are not constant, too.

The file's own limit is known only at its end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["REACH", "Cuts", "find_cuts"]

REACH = 256
"""Context samples before and after a block that are needed to judge its runs."""

_MIN_LEVEL = 0.05  # of full scale: runs at a lower level are due to rounding
_MIN_DROP, _MIN_DROP_QUANTA = 0.03, 5.0  # minimum change beside a flat top: fraction of the limit, quantization steps
_MIN_OVERSHOOT = 0.02  # of the limit, by which the wave would have exceeded it
# A wave that settles at its top has steps that grow by more on the way down, or are as small as this many grains.
_GROWTH, _MIN_STEPS = 2.5, 3.0
_PLATEAU_FROM, _PLATEAU_TO = (
    2,
    6,
)  # steps beside a flat top in which a constant wave may be a pulse
_STRAIGHT = 0.004  # of the limit: steps that differ by less are a straight line
_GRAIN_SAMPLES, _MAX_DEVIATION = (
    4096,
    0.1,
)  # to estimate the quantization step; largest deviation from its multiples
_BELOW_LIMIT = 0.9  # of the limit: samples above may be clipped themselves
# Fraction of samples below the limit that equal the one before, above which a wave is flat by itself.
_MAX_FLAT_SHARE = 0.15

_Array = npt.NDArray[np.float32]
_Places = npt.NDArray[np.int64]


class Cuts(NamedTuple):
    """Clipped samples, one entry for each column, channel and polarity that has any; arrays [N].

    Attributes
    ----------
    column
        Index of the column.
    side
        Twice the index of the channel, plus one for the negative polarity.
    share
        Fraction of the column's samples that are in flat tops.
    level
        Absolute value of the highest of them.
    """

    column: _Places
    side: _Places
    share: _Array
    level: _Array


def find_cuts(samples: _Array, edges: _Places) -> Cuts:
    """Find flat tops where a wave was clipped.

    Parameters
    ----------
    samples : np.ndarray [shape=(C, S)]
        Samples of the columns, and up to :data:`REACH` before and after them.
    edges : np.ndarray [shape=(n + 1,)]
        First sample of each column, and end of the last one.
    """
    found = [
        _find_side(sign * wave, edges, 2 * channel + (sign < 0))
        for channel, wave in enumerate(samples)
        for sign in (1, -1)
    ]
    return Cuts(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _find_side(wave: _Array, edges: _Places, side: int) -> Cuts:
    """Find the flat tops of one polarity in samples [S]."""
    same = wave[1:] == wave[:-1]
    first, last = _runs(same & (wave[1:] >= _MIN_LEVEL))
    cut = _is_cut(wave, first, last, _grain(wave, first))
    first, last = first[cut], last[cut]
    sizes = last - first + 1
    places = np.repeat(first, sizes) + np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = places[(places >= edges[0]) & (places < edges[-1])]
    columns = np.searchsorted(edges, places, side="right") - 1
    counts = np.bincount(columns, minlength=len(edges) - 1)
    level = np.zeros(len(counts), np.float32)
    np.maximum.at(level, columns, wave[places])
    clipped_columns = np.array(
        [n for n in np.flatnonzero(counts) if not _is_flat(wave, same, edges[n], edges[n + 1], level[n])], np.int64
    )
    share = (counts[clipped_columns] / np.diff(edges)[clipped_columns]).astype(np.float32)
    return Cuts(clipped_columns, np.full(len(clipped_columns), side), share, level[clipped_columns])


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[_Places, _Places]:
    """Return first and last samples of runs of three or more, from flags of samples that equal the one before."""
    places = np.flatnonzero(flags)  # few, in most music
    breaks = np.flatnonzero(np.diff(places) > 1)
    first = places[np.concatenate([[0], breaks + 1])[: len(places)]]
    last = places[np.concatenate([breaks, [len(places) - 1]])[-len(first) :]] + 1 if len(places) else places
    long = last - first >= 2
    return first[long], last[long]


def _grain(wave: _Array, first: _Places) -> float:
    """Estimate the quantization step of a wave from the samples around its first run; 0 if it is too fine."""
    if not len(first):
        return 0.0
    start = max(int(first[0]) - _GRAIN_SAMPLES // 2, 0)
    gaps = np.diff(np.sort(wave[start : start + _GRAIN_SAMPLES].astype(np.float64)))
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return 0.0
    times = gaps / gaps.min()
    # A tone with identical periods has few values, too, but they are not multiples of a common step.
    return float(gaps.min()) if float(np.abs(times - np.rint(times)).mean()) < _MAX_DEVIATION else 0.0


def _is_cut(wave: _Array, first: _Places, last: _Places, grain: float) -> npt.NDArray[np.bool_]:
    """Whether runs are clipped tops, judged from at least one side."""
    sizes = last - first + 1
    return _is_cut_from(wave, first, -1, sizes, grain) | _is_cut_from(wave, last, 1, sizes, grain)


def _is_cut_from(wave: _Array, edge: _Places, direction: int, sizes: _Places, grain: float) -> npt.NDArray[np.bool_]:
    """Whether runs are clipped tops, judged by the slope from their edges, backwards (-1) or forwards (1)."""
    limit = wave[edge]
    inside = (edge + 3 * direction >= 0) & (edge + 3 * direction < len(wave))

    def drop(samples: int | _Places) -> _Array:
        down: _Array = limit - wave[np.clip(edge + samples * direction, 0, len(wave) - 1)]
        return down

    one, two, three = drop(1), drop(2), drop(3)
    last, middle, early = one, two - one, three - two
    smooth = (last > 0) & (middle >= _MIN_STEPS * grain) & (middle > 0) & (early != 0)
    smooth &= (last <= np.maximum(middle, early)) & (early <= _GROWTH * middle)
    drops_enough = drop(np.minimum((sizes + 1) // 2, REACH)) >= np.maximum(_MIN_DROP * limit, _MIN_DROP_QUANTA * grain)
    # The flank of an interpolated pulse is a straight line, or very short, and leads to another flat part.
    side = wave[np.clip(edge[:, None] + direction * np.arange(2, _PLATEAU_TO + 3), 0, len(wave) - 1)]
    flat = (side[:, 1:] == side[:, :-1]) & (side[:, 1:] != limit[:, None])
    straight = np.abs(middle - early) <= _STRAIGHT * limit
    smooth &= ~(flat[:, :_PLATEAU_FROM].any(axis=1) | straight & flat.any(axis=1))
    found: npt.NDArray[np.bool_] = inside & smooth & drops_enough & (three / 3 * sizes / 4 >= _MIN_OVERSHOOT * limit)
    return found


def _is_flat(wave: _Array, same: npt.NDArray[np.bool_], start: int, stop: int, level: float) -> bool:
    """Whether a wave with tops at `level` is flat at other levels, too."""
    start = max(start, 1)
    below = np.abs(wave[start:stop]) < _BELOW_LIMIT * level
    return int((same[start - 1 : stop - 1] & below).sum()) > _MAX_FLAT_SHARE * int(below.sum())
