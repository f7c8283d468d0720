r"""Sample rate conversion, in memory independent of the terms of the ratio.

Two rates form a ratio of whole numbers, ``up / down``. Between common rates these are small (147 / 160), and a
polyphase filter with ``max(up, down)`` phases is computed once. Between rates without a common factor (44101 and
44100 Hz) there would be as many phases as samples in a second. Then the filter is tabulated at 512 positions from zero
crossing to zero crossing, and interpolated linearly::

    filter   |     .  |  .     |        table [P + 1, taps]: row p is the filter at p / P of a source sample
             |  .     |     .  |        output n lies at n * down / up of the source: its row p, and how far it is on
    table    0  1  2  3  4  5  6        the way to row p + 1, are computed exactly, with integers

Sources: R. E. Crochiere and L. R. Rabiner, "Multirate Digital Signal Processing" (1983) for the first; J. O. Smith and
P. Gossett, "A flexible sampling-rate conversion method", ICASSP 1984, for the second.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["HALF_LENGTH", "MAX_PHASES", "ratio", "reach", "resample", "resampled_length", "table_shape"]

HALF_LENGTH = 32
"""Zero crossings on each side of the filter."""

MAX_PHASES = 8192
"""Ratios with larger terms use the interpolated table instead of a polyphase filter."""

_CUTOFF, _BETA = 0.94, 8.0
"""Filter design: cutoff relative to the Nyquist frequency of the lower rate, and beta of the Kaiser window (80 dB)."""

_STEPS = 512
"""Rows of the table from zero crossing to zero crossing. The error of linear interpolation is below -100 dB."""

_BLOCK = 1 << 19
"""Products computed at once."""

_Array = npt.NDArray[np.float32]


def ratio(source_rate: int, rate: int) -> tuple[int, int]:
    """Return ``(up, down)``: ``rate / source_rate`` in lowest terms."""
    common = math.gcd(source_rate, rate)
    return rate // common, source_rate // common


def reach(up: int, down: int) -> int:
    """Return the reach of the filter on each side, in source samples: a multiple of `down`."""
    return 0 if up == down else math.ceil(HALF_LENGTH * max(up, down) / up / down + 1) * down


def resampled_length(samples: int, source_rate: int, rate: int) -> int:
    """Return the length after :func:`resample`: ``ceil(samples * rate / source_rate)``."""
    up, down = ratio(source_rate, rate)
    return -(-samples * up // down)


def resample(samples: _Array, source_rate: int, rate: int) -> _Array:
    """Resample a signal.

    Parameters
    ----------
    samples : np.ndarray [shape=(channels, time), dtype=float32]
        Treated as surrounded by silence.
    source_rate, rate
        In Hz.

    Returns
    -------
    np.ndarray [shape=(channels, ceil(time * rate / source_rate)), dtype=float32]
        Sample n is exactly at the time ``n / rate``. Frequencies up to 0.86 of the lower Nyquist frequency pass
        unchanged (19 kHz at 44.1 kHz); aliases are below -70 dB.
    """
    up, down = ratio(source_rate, rate)
    if up == down or not samples.shape[1]:
        return samples
    if max(up, down) > MAX_PHASES:
        return _resample_by_table(samples, up, down)
    from scipy.signal import resample_poly

    out = resample_poly(samples, up, down, axis=1, window=_filter(max(up, down)))
    return np.ascontiguousarray(out, np.float32)


@lru_cache(maxsize=4)
def _filter(phases: int) -> _Array:
    """Design the low-pass filter for :func:`scipy.signal.resample_poly`.

    scipy's default has 10 zero crossings on each side and is 2 dB down at 20 kHz for 44.1 kHz output: too dull for
    images that reach that high. 32 crossings and a Kaiser window of beta 8 (80 dB) leave 19 kHz unchanged.
    """
    from scipy.signal import firwin

    taps = firwin(2 * HALF_LENGTH * phases + 1, _CUTOFF / phases, window=("kaiser", _BETA))
    return np.asarray(taps, np.float32)


def _resample_by_table(samples: _Array, up: int, down: int) -> _Array:
    """Resample [C, n] by a ratio with large terms."""
    table = _table(up, down)
    rows, taps = table.shape[0] - 1, table.shape[1]
    half = taps // 2
    length = -(-samples.shape[1] * up // down)
    out = np.empty((samples.shape[0], length), np.float32)
    block = max(1, _BLOCK // taps)
    for start in range(0, length, block):
        place = np.arange(start, min(start + block, length), dtype=np.int64) * down
        first, rest = place // up, place % up
        row = rest * rows // up
        share = ((rest * rows % up) / up).astype(np.float32)
        weights = table[row]
        weights += (table[row + 1] - weights) * share[:, None]
        base = int(first[0]) - half + 1
        span = _span(samples, base, int(first[-1]) + half + 1)
        index = first - first[0]
        for channel, source in zip(out, span, strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(source, taps)[index]
            np.einsum("nt,nt->n", windows, weights, out=channel[start : start + len(index)])
    return out


def _span(samples: _Array, start: int, stop: int) -> _Array:
    """Return samples `start` to `stop` of [C, n], zero-padded outside."""
    length = samples.shape[1]
    inside = samples[:, min(max(start, 0), length) : min(max(stop, 0), length)]
    before = min(max(-start, 0), stop - start)
    return np.pad(inside, ((0, 0), (before, stop - start - before - inside.shape[1])))


def table_shape(up: int, down: int) -> tuple[int, int]:
    """Return the shape of the table for a ratio with large terms: rows and taps, at most about 50,000 in all."""
    step = up / max(up, down)
    return max(1, math.ceil(_STEPS * step)) + 1, 2 * (math.ceil(HALF_LENGTH / step) + 1)


@lru_cache(maxsize=4)
def _table(up: int, down: int) -> _Array:
    """Tabulate the filter [P + 1, taps] at p / P of the way from one source sample to the next.

    Tap k belongs to the source sample ``k - taps / 2 + 1`` after the one that precedes the output.
    """
    step = up / max(up, down)  # from source sample to source sample, in zero crossings
    table = np.empty(table_shape(up, down), np.float32)
    rows, half = table.shape[0] - 1, table.shape[1] // 2
    taps = np.arange(-half + 1, half + 1)
    for row in range(rows + 1):
        table[row] = _kernel((taps - row / rows) * step) * step
    return table


def _kernel(crossings: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Evaluate the filter at distances from its centre in zero crossings of the lower rate; its integral is 1."""
    inside = 1.0 - (crossings / HALF_LENGTH) ** 2
    window = np.where(inside >= 0, np.i0(_BETA * np.sqrt(np.maximum(inside, 0.0))), 0.0) / np.i0(_BETA)
    return _CUTOFF * np.sinc(_CUTOFF * crossings) * window
