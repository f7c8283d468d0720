"""Coarse levels of each window in bytes, to find the same recording at another offset."""

from __future__ import annotations

import numpy as np

__all__ = ["BANDS", "HOP", "decibels", "frames_of", "powers", "window_levels"]

_EDGES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 23, 27)
"""Edges of the groups of sketch bands. Bands above 6.2 kHz are left out, because low bit rates remove them."""
BANDS = len(_EDGES) - 1
"""Number of bands of the levels: 16."""
HOP = 8
"""Columns from a frame of the levels to the next. A frame covers twice as many."""
_STEPS = 2.0  # per decibel
_FLOOR_DB = -120.0
_POWERS = (10.0 ** ((np.arange(256) / _STEPS + _FLOOR_DB) / 10.0)).astype(np.float32)


def frames_of(columns: int) -> int:
    """Return the number of frames of a window with the given number of columns."""
    return -(-columns // HOP)


def window_levels(sketch: np.ndarray, first_columns: np.ndarray, columns: int) -> np.ndarray:
    """Compute the levels of the windows of one song.

    Parameters
    ----------
    sketch : np.ndarray [shape=(T, 32)]
        Sketch of the whole song, in dB.
    first_columns : np.ndarray [shape=(N,), int]
        First column of each window.
    columns
        Width of the windows.

    Returns
    -------
    np.ndarray [shape=(N, F, 16), uint8]
        Levels in steps of 0.5 dB from -120 dB, for frames of 16 columns with a hop of 8. Outside the song they are 0.
    """
    count, half = frames_of(columns), HOP // 2
    taper = np.hanning(2 * HOP + 2)[1:-1]
    taper = (taper / taper.sum()).astype(np.float32)
    levels = np.zeros((len(first_columns), count, BANDS), np.uint8)
    for window, first in zip(levels, np.asarray(first_columns).tolist(), strict=True):
        begin = first - half  # first frame, whose middle is half a hop into the window
        power = np.zeros(((count + 1) * HOP, BANDS), np.float32)
        inside = sketch[max(begin, 0) : begin + len(power), : _EDGES[-1]].astype(np.float32)
        inside = np.add.reduceat(10.0 ** (inside / 10.0), _EDGES[:-1], axis=1)
        power[max(-begin, 0) :][: len(inside)] = inside
        frames = np.lib.stride_tricks.sliding_window_view(power, 2 * HOP, axis=0)[::HOP] @ taper
        window[:] = np.clip(np.rint((10.0 * np.log10(np.maximum(frames, 1e-12)) - _FLOOR_DB) * _STEPS), 0, 255)
    return levels


def powers(levels: np.ndarray) -> np.ndarray:
    """Convert levels to power [float32]; full scale is about 1."""
    return _POWERS[levels]


def decibels(power: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Convert power to dB after adding a floor, so that light noise has no effect."""
    return np.asarray(10.0 * np.log10(power + np.maximum(ground, np.float32(1e-12))), np.float32)
