"""Parabolic interpolation of peaks between samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["vertex_offset"]


def vertex_offset(
    left: npt.ArrayLike, middle: npt.ArrayLike, right: npt.ArrayLike, *, min_bend: float = 0.0
) -> npt.NDArray[np.float64]:
    """Return the vertex of the parabola through three neighbouring samples, relative to the middle one.

    Parameters
    ----------
    left, middle, right : array_like [shape=(...)]
        Equally spaced samples.
    min_bend
        Curvature, ``2 * middle - left - right``, that a peak must exceed.

    Returns
    -------
    np.ndarray [shape=(...), float64]
        Offset in samples, -0.5 to 0.5 if the middle one is the highest; 0 if there is no peak.
    """
    left, middle, right = (np.asarray(sample, np.float64) for sample in (left, middle, right))
    bend = 2 * middle - left - right
    peak = bend > min_bend
    return np.asarray(np.where(peak, 0.5 * (right - left) / np.where(peak, bend, 1.0), 0.0))
