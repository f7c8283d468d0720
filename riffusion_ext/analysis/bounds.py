"""Bounds of the beat finder's settings. Standard library only."""

from __future__ import annotations

__all__ = ["BEAT_FINDER"]

BEAT_FINDER: dict[str, tuple[float, float]] = {
    "rhythm": (1, 64),
    "band_start": (0.0, 0.99),
    "band_length": (0.01, 1.0),
    "threshold": (0.01, 1.0),
    "ignore_range": (0.05, 4.0),
}
"""Minimum and maximum, by name."""
