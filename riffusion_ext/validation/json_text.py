"""JSON out of files and answers that anybody may have written. Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

__all__ = ["DEEPEST", "loads"]

DEEPEST = 64
"""Levels of objects and lists within each other. Ours have fewer than ten."""


def loads(text: str | bytes, *, finite: bool = True) -> Any:
    """Return what a JSON text says.

    Parameters
    ----------
    text
        The text.
    finite
        Whether numbers must be finite; else ``NaN`` and ``Infinity`` are numbers, as Python writes them.

    Raises
    ------
    ValueError
        It is no JSON, holds a number that is not finite and must be, or is nested deeper than :data:`DEEPEST` levels.
    """
    try:
        value = json.loads(text, parse_constant=_refused, parse_float=_finite) if finite else json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [item for holder in level for item in _children(holder) if isinstance(item, (dict, list))]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _finite(text: str) -> float:
    """Read a number; 1e999 is none."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not finite")
    return number


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
