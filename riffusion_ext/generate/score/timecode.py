"""Parse and format times: ``90``, ``1:30``, ``0:07.5``, ``1:02:03``."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import MAX_CHARACTERS, read_float, shown

__all__ = ["format_time", "number_text", "parse_time"]

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)\s*(?:s|sec|seconds?)?", re.IGNORECASE)


def parse_time(text: str) -> float:
    """Return the seconds of a time.

    Raises
    ------
    RiffusionError
        The text is not a time, or the time is not finite.
    """
    text = text.strip()
    match = _TIME.fullmatch(text) if len(text) <= 2 * MAX_CHARACTERS else None
    if match is None:
        raise RiffusionError(f"{shown(text)} is no time; write minutes:seconds as in 1:30, or seconds as in 90")
    hours, minutes, seconds = (read_float(part or "0") for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if not math.isfinite(total):
        raise RiffusionError(f"{shown(text)} is no finite time")
    return total


def format_time(seconds: float) -> str:
    """Format a time so that :func:`parse_time` returns exactly the same number: ``1:30``."""
    minutes = math.floor(seconds / 60)
    rest = seconds - 60 * minutes
    text = f"{minutes}:{'0' if rest < 10 else ''}{number_text(rest)}"
    return text if parse_time(text) == seconds else number_text(seconds)  # only few fractions survive the split


def number_text(value: float) -> str:
    """Return the shortest text that parses as the same number, without an exponent: 7, 0.35."""
    text = f"{Decimal(repr(float(value))):f}"
    return text.removesuffix(".0")
