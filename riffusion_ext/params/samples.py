"""Milliseconds that stand for a number of samples."""

from __future__ import annotations

import math

__all__ = ["milliseconds", "samples_of"]


def samples_of(milliseconds: float, sample_rate: int) -> int:
    """Convert a duration in ms to samples, rounded down as in the original library."""
    return int(milliseconds / 1000.0 * sample_rate)


def milliseconds(samples: int, sample_rate: int) -> float:
    """Return the shortest duration in ms that :func:`samples_of` converts to exactly that many samples.

    Rounding down may lose a sample: 512 samples at 22050 Hz are 23.2199... ms, which give 511.
    """
    duration = 1000.0 * samples / sample_rate
    while samples_of(duration, sample_rate) < samples:
        duration = math.nextafter(duration, math.inf)
    return int(duration) if duration.is_integer() else duration
