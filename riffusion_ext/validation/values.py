"""Conversions of single values whose type depends on where they come from: pages, files, command line."""

from __future__ import annotations

from typing import SupportsFloat, SupportsInt

__all__ = ["number", "texts", "whole"]


def whole(value: object) -> int:
    """Convert a number or a text to an integer, as ``int`` does.

    Raises
    ------
    TypeError
        It is neither.
    ValueError
        The text is no integer.
    """
    if isinstance(value, (str, SupportsInt)):
        return int(value)
    raise TypeError(f"a number is needed, got {value!r}")


def number(value: object) -> float:
    """Convert a number or a text to a float, as ``float`` does.

    Raises
    ------
    TypeError
        It is neither.
    ValueError
        The text is no number.
    """
    if isinstance(value, (str, SupportsFloat)):
        return float(value)
    raise TypeError(f"a number is needed, got {value!r}")


def texts(value: object) -> tuple[str, ...]:
    """Convert a list of texts to a tuple; None, as of an empty choice, gives none.

    Raises
    ------
    TypeError
        It is no list.
    """
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return tuple(map(str, value))
    raise TypeError(f"a list is needed, got {value!r}")
