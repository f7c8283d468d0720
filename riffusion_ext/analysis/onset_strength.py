"""Onset strength of a song: the rise of its levels at each column."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.errors import AudioError

__all__ = [
    "RATES",
    "Sketch",
    "band_edges",
    "band_levels",
    "band_onsets",
    "check_rate",
    "check_sketch",
    "level_rise",
    "onset_strength",
]

Sketch = npt.NDArray[np.floating]

RATES = (10.0, 1000.0)
"""Minimum and maximum number of columns per second."""

_BLOCK = 8192

# Level of a band: 0 to 1 on a scale that is logarithmic down to 15 dB below the maximum of the 2 s before and after,
# and linear below. That maximum counts as at least 24 dB below the loudest band, and at least -80 dB: inaudible sound
# has no onsets.
_REACH_S = 2.0
_COMPRESSION = 30.0
_RANGE_DB, _FLOOR_DB = 24.0, -80.0

# The analysis window extends 50 ms to each side, so levels rise before the onset: fastest 10 ms before it for a sound
# that swells, 30 ms before it for a click.
_LOOKAHEAD_S = 0.02
_STEP_S = 0.01

# Bands, equidistant in mel, are weighted by their width on a scale that is logarithmic above 100 Hz, so that the few
# bands of drum and bass are not outweighed by the many of the cymbals.
_TOP_HZ, _CORNER_HZ = 10000.0, 100.0

_GROUPS_HZ = (180.0, 3000.0)


def onset_strength(sketch: Sketch, columns_per_second: float = 100.0) -> npt.NDArray[np.float32]:
    """Compute the onset strength of each column.

    Parameters
    ----------
    sketch : np.ndarray [shape=(T, B)]
        Levels of B bands in dB, 0 for a full-scale sine: lowest first, equidistant in mel from 0 to 10 kHz.
    columns_per_second
        Columns of `sketch` per second, 10 to 1000.

    Returns
    -------
    np.ndarray [shape=(T,), float32]
        Rise of the levels within 20 ms, 0 to 1, independent of the overall loudness of the song.

    Raises
    ------
    AudioError
        The sketch has the wrong shape or contains NaN or infinity, or the rate is out of range.
    """
    check_rate(columns_per_second)
    check_sketch(sketch)
    weights = np.diff(np.log(band_edges(sketch.shape[1]) + _CORNER_HZ))
    return level_rise(sketch, weights, columns_per_second)


def band_onsets(sketch: Sketch, columns_per_second: float = 100.0) -> npt.NDArray[np.float32]:
    """Compute the onset strength [T, 3] below 180 Hz, up to 3 kHz, and above: bass drum, snare, cymbals."""
    edges = band_edges(sketch.shape[1])
    middles = (edges[1:] + edges[:-1]) / 2
    group = np.searchsorted(_GROUPS_HZ, middles, side="right")
    weights = np.diff(np.log(edges + _CORNER_HZ))[:, None] * (group[:, None] == np.arange(len(_GROUPS_HZ) + 1))
    return level_rise(sketch, weights, columns_per_second)


def level_rise(sketch: Sketch, weights: npt.NDArray[np.floating], columns_per_second: float) -> npt.NDArray[np.float32]:
    """Return the weighted mean rise [T] of the levels of the first ``len(weights)`` bands, aligned to the onset.

    With weights [bands, groups], each column is a group of its own, and the rise is [T, groups].
    """
    weights = np.asarray(weights / np.maximum(weights.sum(axis=0), 1e-9), np.float32)
    step = max(1, round(_STEP_S * columns_per_second))
    ahead = round(_LOOKAHEAD_S * columns_per_second)
    out = np.empty((len(sketch), *weights.shape[1:]), np.float32)
    for start in range(0, len(sketch), _BLOCK):
        stop = min(start + _BLOCK, len(sketch))
        now, after, before = (
            np.clip(np.arange(start, stop) - ahead + shift, 0, len(sketch) - 1) for shift in (0, step, -step)
        )
        low, decibels, loudest = _read_levels(sketch, int(now[0]), int(now[-1]) + 1, len(weights), columns_per_second)
        scale = loudest[now - low]  # one for both, else a loud sound leaving the 2 s would look like an onset
        level = _compress(decibels[after - low] - scale) - _compress(decibels[before - low] - scale)
        # einsum, since the order of summation in BLAS depends on the number of threads.
        out[start:stop] = np.einsum("tb,b...->t...", np.maximum(level, 0), weights)
    return out


def band_levels(
    sketch: Sketch, start: int, stop: int, bands: int, columns_per_second: float
) -> npt.NDArray[np.float32]:
    """Return the levels [stop - start, bands], 0 to 1, of columns; each is independent of the range requested."""
    low, decibels, loudest = _read_levels(sketch, start, stop, bands, columns_per_second)
    inside = slice(start - low, stop - low)
    return _compress(decibels[inside] - loudest[inside])


def _read_levels(
    sketch: Sketch, start: int, stop: int, bands: int, columns_per_second: float
) -> tuple[int, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Read the columns from `start` to `stop`, and 2 s more before and after.

    Returns
    -------
    tuple
        Index of the first column read; levels in dB; and the maximum around each of them [columns, bands], which is
        valid from `start` to `stop`.
    """
    from scipy.ndimage import maximum_filter1d

    reach = round(_REACH_S * columns_per_second)
    low, high = max(0, start - reach), min(len(sketch), stop + reach)
    decibels = np.maximum(sketch[low:high].astype(np.float32), _FLOOR_DB - _RANGE_DB)
    if decibels.size and not math.isfinite(decibels.max()):
        raise AudioError("the levels of a sketch must be finite, got NaN or infinity")
    loudest = maximum_filter1d(decibels, 2 * reach + 1, axis=0, mode="nearest")
    floor = np.maximum(loudest.max(axis=1, keepdims=True) - _RANGE_DB, _FLOOR_DB)
    return low, decibels[:, :bands], np.maximum(loudest[:, :bands], floor)


def _compress(below: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Map levels in dB, 0 or less, to the scale of 0 to 1."""
    ratio = np.exp(below * np.float32(math.log(10) / 10))
    level: npt.NDArray[np.float32] = np.log1p(np.float32(_COMPRESSION) * ratio) / np.float32(math.log1p(_COMPRESSION))
    return level


def band_edges(bands: int) -> npt.NDArray[np.float64]:
    """Return the edges [bands + 1], in Hz, of bands equidistant in mel from 0 to 10 kHz."""
    edges: npt.NDArray[np.float64] = 700.0 * np.expm1(np.linspace(0, math.log1p(_TOP_HZ / 700.0), bands + 1))
    return edges


def check_rate(columns_per_second: float) -> None:
    """Raise an AudioError if the number of columns per second is out of range."""
    low, high = RATES
    if not low <= columns_per_second <= high:
        raise AudioError(f"there must be {low:g} to {high:g} columns in a second, got {columns_per_second:g}")


def check_sketch(sketch: Sketch) -> None:
    """Raise an AudioError if the sketch has the wrong shape."""
    if sketch.ndim != 2 or not sketch.shape[1]:
        raise AudioError(f"the sketch must be an array [columns, bands], got shape {sketch.shape}")
