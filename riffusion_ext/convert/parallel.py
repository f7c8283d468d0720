"""Many files at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["cores", "map_in_threads"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cores() -> int:
    """Return how many cores this process may use.

    The process's affinity counts and, where joblib is installed, the quota of its container.
    """
    try:
        from joblib import cpu_count
    except ImportError:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(cpu_count())


def map_in_threads(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    threads: int,
    *,
    start: Callable[[int], Executor] = ThreadPoolExecutor,
) -> Iterator[_Result]:
    """Call ``work(item)`` for all items, so many at once, and yield the results in the order of the items.

    Where the caller stops, at an error or at Ctrl-C, what has not begun is left out, and what has is finished.

    Parameters
    ----------
    work
        Must not raise, or the rest is left out.
    items
        What to work on.
    threads
        How many at once, 1 or more.
    start
        Starts so many threads.
    """
    pool = start(max(1, min(threads, len(items))))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
