"""Threads that process the frames of an image, or the images of a batch, in parallel.

torch splits every operation over the cores and waits for the slowest one. An iteration consists of hundreds of short
operations, so the waiting costs more than it saves, and ten times more if another program occupies a core. Frames are
independent within an iteration: here each core processes its share of them through the whole iteration, and the cores
synchronise once at its end. This runs in threads of our own, each limited to one core; the threads of the host program,
a webui, keep their number of cores.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import torch

__all__ = ["SERIAL", "ThreadGroup", "run_on", "single_core_threads"]

_MAX_THREADS = 8
_MIN_FRAMES = 48

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class ThreadGroup:
    """A group of threads that share work."""

    def __init__(self, pool: Executor | None, size: int) -> None:
        self._pool, self.size = pool, size

    def shares(self, frames: int) -> list[tuple[int, int]]:
        """Split frames into ranges, one for each thread."""
        size = max(1, min(self.size, frames // _MIN_FRAMES))
        return list(pairwise(frames * i // size for i in range(size + 1)))

    def run(self, work: Callable[[int, int], None], shares: Sequence[tuple[int, int]]) -> None:
        """Call ``work(start, stop)`` for all ranges in parallel and wait for all; raises the first error."""
        self.map(lambda share: work(*share), shares)

    def map(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Call ``work(item)`` for all items in parallel, one per thread; raises the first error."""
        if self._pool is None:
            return [work(item) for item in items]
        pending = list(items)
        results: dict[int, _Result] = {}
        numbers = iter(range(len(pending)))  # next() is atomic, so each number is taken once

        def work_through(_: None) -> None:
            for number in numbers:
                results[number] = work(pending[number])

        futures = [self._pool.submit(_without_grad, work_through, None) for _ in range(min(self.size, len(pending)))]
        wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.done() and future.exception() for future in futures):
            deque(numbers, 0)  # drop what has not begun; running calls finish: they write to the caller's memory
        for future in futures:
            future.exception()
        for future in futures:
            future.result()
        return [results[number] for number in range(len(pending))]


SERIAL = ThreadGroup(None, 1)
"""Runs everything in the calling thread."""


def run_on(device: torch.device, work: Callable[[ThreadGroup], _Result]) -> _Result:
    """Call ``work(threads)`` in a thread of our own and wait for it.

    On a CPU the group has as many threads as torch may use in the calling thread. Calls are serialised, because they
    compete for the same cores. On a GPU, or inside another call, the work runs in the calling thread.
    """
    size = min(torch.get_num_threads(), _MAX_THREADS) if device.type == "cpu" else 1
    if size == 1 or threading.current_thread().name.startswith(_PREFIX):
        return work(SERIAL)
    leader, pool = _shared_threads()
    context = copy_context()  # the page's progress bar is stored in it
    future: Future[_Result] = leader.submit(lambda: context.run(_without_grad, work, ThreadGroup(pool, size)))
    return future.result()


_PREFIX = "riffusion-codec"
_LOCK = threading.Lock()


def _without_grad(work: Callable[[_Item], _Result], item: _Item) -> _Result:
    with torch.no_grad():  # the mode is per thread
        return work(item)


def _shared_threads() -> tuple[Executor, Executor]:
    with _LOCK:
        return _start_threads()


def _use_one_core() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # the first call in a thread copies the process-wide number, which is 1 now


@lru_cache(maxsize=1)
def _start_threads() -> tuple[Executor, Executor]:
    """Start the leading thread and the pool."""
    return single_core_threads(1), single_core_threads(min(_MAX_THREADS, os.cpu_count() or 1))


def single_core_threads(count: int) -> Executor:
    """Start threads limited to one core each: nested encoding and decoding is not parallelised further.

    For processing many files at once, one per thread.

    torch stores the number of cores per thread, and process-wide the number that new threads start with. One function
    sets both, so the second is restored at once, before another thread can start with it.
    """
    cores = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, _PREFIX, initializer=_use_one_core)
    ready = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(ready.wait)
    ready.wait()
    torch.set_num_threads(cores)
    return pool
