"""Waiting for other threads, and a manual clock."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(what: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until a condition is true; fail after a number of seconds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "this takes too long"
        time.sleep(0.01)


class Clock:
    """A clock whose time is set by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now
