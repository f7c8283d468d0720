r"""From one sample rate to another, in memory that does not grow with the numbers of the ratio.

Rates stand to each other as two whole numbers, ``up / down``. Between common rates these are small (147 / 160), and
the filter is sampled once at all the ``max(up, down)`` positions that samples take between each other. Between rates
without a common factor (44101 and 44100 Hz) there are as many positions as samples in a second. Then the filter is
kept at 512 positions from zero crossing to zero crossing, and read between them along straight lines::

    filter   |     .  |  .     |        table [P + 1, taps]: row p is the filter at p / P of a source sample
             |  .     |     .  |        output n lies at n * down / up of the source: its row p, and how far it is on
    table    0  1  2  3  4  5  6        the way to row p + 1, follow exactly from whole numbers

Sources: R. E. Crochiere and L. R. Rabiner, "Multirate Digital Signal Processing" (1983) for the first; J. O. Smith and
P. Gossett, "A flexible sampling-rate conversion method", ICASSP 1984, for the second.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["HALF_LENGTH", "MAX_PHASES", "ratio", "reach", "resampled", "resampled_length", "table_shape"]

HALF_LENGTH = 32
"""Zero crossings on each side of the filter."""

MAX_PHASES = 8192
"""Larger numbers of a ratio are not given a filter of their own."""

_CUTOFF, _BETA = 0.94, 8.0
"""Of the filter: its middle over half the lower rate, and the shape of its Kaiser window (80 dB)."""

_STEPS = 512
"""Rows of the table from zero crossing to zero crossing. A straight line between them is off by less than -100 dB."""

_BLOCK = 1 << 19
"""Products computed at once."""

_Array = npt.NDArray[np.float32]


def ratio(source_rate: int, rate: int) -> tuple[int, int]:
    """Return ``(up, down)``: ``rate / source_rate`` in lowest terms."""
    common = math.gcd(source_rate, rate)
    return rate // common, source_rate // common


def reach(up: int, down: int) -> int:
    """Return how far the filter reaches to each side: samples of the source, a multiple of `down`."""
    return 0 if up == down else math.ceil(HALF_LENGTH * max(up, down) / up / down + 1) * down


def resampled_length(samples: int, source_rate: int, rate: int) -> int:
    """Return how many samples :func:`resampled` makes of so many: ``ceil(samples * rate / source_rate)``."""
    up, down = ratio(source_rate, rate)
    return -(-samples * up // down)


def resampled(samples: _Array, source_rate: int, rate: int) -> _Array:
    """Resample samples.

    Parameters
    ----------
    samples : np.ndarray [shape=(channels, time), dtype=float32]
        Silence lies around them.
    source_rate, rate
        In Hz.

    Returns
    -------
    np.ndarray [shape=(channels, ceil(time * rate / source_rate)), dtype=float32]
        Sample n stands at the time ``n / rate``, exactly. Frequencies up to 0.86 of the lower rate's half pass
        unchanged (19 kHz at 44.1 kHz); what would fold back is held under -70 dB.
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
    """Low-pass filter for :func:`scipy.signal.resample_poly`.

    scipy's own has 10 zero crossings on each side and is 2 dB down at 20 kHz when it makes 44.1 kHz; too dull for
    images that reach up there. 32 crossings and a Kaiser window of beta 8 (80 dB) keep 19 kHz untouched.
    """
    from scipy.signal import firwin

    taps = firwin(2 * HALF_LENGTH * phases + 1, _CUTOFF / phases, window=("kaiser", _BETA))
    return np.asarray(taps, np.float32)


def _resample_by_table(samples: _Array, up: int, down: int) -> _Array:
    """Resample [C, n] by a ratio whose numbers are large."""
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
    """Cut samples `start` to `stop` out of [C, n], with zeros where there are none."""
    length = samples.shape[1]
    inside = samples[:, min(max(start, 0), length) : min(max(stop, 0), length)]
    before = min(max(-start, 0), stop - start)
    return np.pad(inside, ((0, 0), (before, stop - start - before - inside.shape[1])))


def table_shape(up: int, down: int) -> tuple[int, int]:
    """Return the shape of the table for a ratio of large numbers: rows and taps, about 50,000 products at most."""
    step = up / max(up, down)
    return max(1, math.ceil(_STEPS * step)) + 1, 2 * (math.ceil(HALF_LENGTH / step) + 1)


@lru_cache(maxsize=4)
def _table(up: int, down: int) -> _Array:
    """Filter [P + 1, taps] seen from p / P of the way from a source sample to the next.

    Tap k belongs to the source sample that lies ``k - taps / 2 + 1`` behind the one before the output.
    """
    step = up / max(up, down)  # from source sample to source sample, in zero crossings
    table = np.empty(table_shape(up, down), np.float32)
    rows, half = table.shape[0] - 1, table.shape[1] // 2
    taps = np.arange(-half + 1, half + 1)
    for row in range(rows + 1):
        table[row] = _kernel((taps - row / rows) * step) * step
    return table


def _kernel(crossings: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the filter by zero crossings of the lower rate from its middle; its integral is 1."""
    inside = 1.0 - (crossings / HALF_LENGTH) ** 2
    window = np.where(inside >= 0, np.i0(_BETA * np.sqrt(np.maximum(inside, 0.0))), 0.0) / np.i0(_BETA)
    return _CUTOFF * np.sinc(_CUTOFF * crossings) * window
