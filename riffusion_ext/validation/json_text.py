"""Parse JSON from untrusted files and responses. Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

__all__ = ["MAX_DEPTH", "loads"]

MAX_DEPTH = 64
"""Maximum depth of nested objects and lists. Our own files have fewer than ten levels."""


def loads(text: str | bytes, *, finite: bool = True) -> Any:
    """Parse a JSON text.

    Parameters
    ----------
    text
        The text.
    finite
        Whether numbers must be finite. Otherwise ``NaN`` and ``Infinity`` are accepted, as Python writes them.

    Raises
    ------
    ValueError
        The text is not JSON, holds a non-finite number although `finite` is set, or is nested deeper than
        :data:`MAX_DEPTH` levels.
    """
    try:
        value = (
            json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_finite) if finite else json.loads(text)
        )
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for container in level for item in _children(container) if isinstance(item, (dict, list))]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _parse_finite(text: str) -> float:
    """Parse a number; 1e999 is refused."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not finite")
    return number


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
