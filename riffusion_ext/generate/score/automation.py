"""Curves over time, and their text form: ``0.3``, or ``0:00 0.2, 0:30 0.4, 1:00 0.2``."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.timecode import format_time, number_text, parse_time
from riffusion_ext.validation.numbers import in_range, read_float, shown

__all__ = ["Curve", "parse_curve"]


@dataclass(frozen=True)
class Curve:
    """Piecewise linear curve, constant before the first point and after the last.

    Parameters
    ----------
    points
        (seconds, value), at least one, times rising.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        times = [time for time, _ in self.points]
        if not times:
            raise RiffusionError("a curve needs at least one value")
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise RiffusionError(f"the times of a curve must rise, got {', '.join(map(format_time, times))}")

    @classmethod
    def constant(cls, value: float) -> Curve:
        """Return a constant curve."""
        return cls(((0.0, value),))

    @property
    def fixed(self) -> bool:
        """Whether the curve is constant."""
        return len({value for _, value in self.points}) == 1

    def at(self, seconds: float) -> float:
        """Return the value at a time in seconds."""
        return float(self.over(np.asarray(seconds, np.float64)))

    def over(self, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the values at times [N] in seconds."""
        times, values = zip(*self.points, strict=True)
        return np.interp(seconds, times, values)

    def text(self) -> str:
        """Write the curve so that :func:`parse_curve` reads it back."""
        if len(self.points) == 1:
            return number_text(self.points[0][1])
        return ", ".join(f"{format_time(time)} {number_text(value)}" for time, value in self.points)


def parse_curve(text: str, *, name: str, low: float, high: float) -> Curve:
    """Parse a curve.

    Parameters
    ----------
    text
        One number, or times and values separated by commas.
    name
        Name of the quantity, for messages: "the denoising strength".
    low, high
        Range of the values.

    Raises
    ------
    RiffusionError
        The text is not a curve, or a value is out of range.
    """
    points = [_point(part, name) for part in re.split(r"[,;\n]", text) if part.strip()]
    if not points:
        raise RiffusionError(f"{name} is empty; write a number, or times and numbers as in: 0:00 0.2, 0:30 0.4")
    if len(points) > 1 and any(time is None for time, _ in points):
        raise RiffusionError(f"{name} has several values, so each needs its time, as in: 0:00 0.2, 0:30 0.4")
    for _, value in points:
        in_range(name, value, low, high)
    return Curve(tuple((time or 0.0, value) for time, value in points))


def _point(part: str, name: str) -> tuple[float | None, float]:
    words = part.split()
    try:
        time = parse_time(words[0]) if len(words) == 2 else None
    except RiffusionError as error:
        raise RiffusionError(f"{name}: {error}") from None
    if len(words) <= 2:
        with suppress(RiffusionError):
            return time, read_float(words[-1])
    raise RiffusionError(f"{name}: {shown(part.strip())} is not understood; write a number, or a time and a number")
