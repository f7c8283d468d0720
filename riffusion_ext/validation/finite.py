"""Find values that JSON cannot hold before they are sent: non-finite numbers and objects of other types."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping

__all__ = ["find_json_error"]

_MAX_VISITED = 100_000


def find_json_error(value: object) -> str | None:
    """Return why a value cannot be written as JSON, which has no non-finite numbers; None if it can."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return _first_not_finite(value) or f"{type(error).__name__}: {str(error)[:200]}"
    return None


def _first_not_finite(value: object) -> str | None:
    """Describe the first non-finite number and its place in the value."""
    waiting: deque[tuple[str, object]] = deque([("", value)])
    for _ in range(_MAX_VISITED):
        if not waiting:
            break
        name, inner = waiting.popleft()
        if isinstance(inner, float) and not math.isfinite(inner):
            return f"{name or 'it'} is {inner}"
        if isinstance(inner, Mapping):
            waiting.extend((f"{name}.{key}" if name else str(key), item) for key, item in inner.items())
        elif isinstance(inner, (list, tuple)):
            waiting.extend((f"{name}.{number}" if name else str(number), item) for number, item in enumerate(inner))
    return None
