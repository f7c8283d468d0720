"""Wait for what another thread does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(what: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until something is true; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "this takes too long"
        time.sleep(0.01)
