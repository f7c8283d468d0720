"""Parse and check numbers from untrusted texts and files: finite, of limited length, within a range.

Standard library only.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TypeVar

from riffusion_ext.errors import RiffusionError

__all__ = ["MAX_CHARACTERS", "in_range", "is_finite", "read_float", "read_int", "shown"]

MAX_CHARACTERS = 400
"""Maximum length of a number: enough for the smallest ``float`` written without an exponent."""

_MAX_SHOWN = 40
_MAX_INT = 2**63

_Number = TypeVar("_Number", int, float)


def read_float(text: str) -> float:
    """Parse a number.

    Raises
    ------
    RiffusionError
        The text is not a number, is not finite, or has more than :data:`MAX_CHARACTERS` characters.
    """
    text = text.strip()
    try:
        value = float(text) if len(text) <= MAX_CHARACTERS else math.inf
    except ValueError:
        raise RiffusionError(f"{shown(text)} is no number") from None
    if not math.isfinite(value):
        raise RiffusionError(f"{shown(text)} is no finite number")
    return value


def read_int(text: str) -> int:
    """Parse a whole number.

    Raises
    ------
    RiffusionError
        The text is not a whole number, or does not fit into 64 bits.
    """
    text = text.strip()
    try:
        value = int(text) if len(text) <= MAX_CHARACTERS else _MAX_INT
    except ValueError:
        raise RiffusionError(f"{shown(text)} is no whole number") from None
    if not -_MAX_INT < value < _MAX_INT:
        raise RiffusionError(f"{shown(text)} is too large")
    return value


def is_finite(value: object) -> bool:
    """Whether a value is a finite number that a ``float`` can hold; booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def in_range(
    name: str,
    value: _Number,
    low: float,
    high: float,
    *,
    whole: bool = False,
    unit: str = "",
    error: type[RiffusionError] = RiffusionError,
) -> _Number:
    """Check that a number lies within its range, and return it.

    Parameters
    ----------
    name
        What the number is, for the error message: "the tempo".
    value
        The value to check.
    low, high
        The range, including both ends.
    whole
        Whether the number must be an integer.
    unit
        Unit for the error message: "Hz".
    error
        Class of the error.

    Raises
    ------
    RiffusionError
        The value is not a number, not finite, not whole, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise error(f"{name} must be a {'whole ' * whole}number, got {shown(value)}")
    if not (is_finite(value) and low <= value <= high):
        raise error(f"{name} must lie between {low:g} and {high:g}{unit and ' '}{unit}, got {shown(value)}")
    return value


def shown(value: object) -> str:
    """Format a value for a message; the result is short for every value."""
    if isinstance(value, int) and abs(value) >= 10**_MAX_SHOWN:
        return f"a number of more than {_MAX_SHOWN} digits"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…")
    return type(value).__name__ if isinstance(value, (list, tuple, dict)) else repr(value)[:_MAX_SHOWN]
