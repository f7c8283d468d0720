"""Process many files in parallel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["cores", "map_in_threads"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cores() -> int:
    """Return the number of cores that this process may use.

    Respects the CPU affinity and, if joblib is installed, the CPU quota of the container.
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
    """Call ``work(item)`` for all items in threads, and yield the results in the order of the items.

    If the caller stops early, by an error or Ctrl-C, running calls finish and the others are cancelled.

    Parameters
    ----------
    work
        Must not raise; an exception cancels the remaining items.
    items
        Items to process.
    threads
        Number of threads, 1 or more.
    start
        Creates an executor with this number of threads.
    """
    pool = start(max(1, min(threads, len(items))))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
