"""Threads that share the frames of an image, or the images of a batch.

torch splits every single operation over the cores and waits for the last one. An iteration is hundreds of short
operations, so that waiting costs more than it saves, and where another program wants a core it costs ten times more.
Frames are independent of each other within an iteration: here each core takes its share of them through the whole
iteration, and they meet once at its end. All of it happens in threads of our own, each confined to one core; the
threads of the program around us, a webui's, keep the number of cores they have.
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
    """A few threads to share work with."""

    def __init__(self, pool: Executor | None, size: int) -> None:
        self._pool, self.size = pool, size

    def shares(self, frames: int) -> list[tuple[int, int]]:
        """Cut that many frames into ranges, one for each thread."""
        size = max(1, min(self.size, frames // _MIN_FRAMES))
        return list(pairwise(frames * i // size for i in range(size + 1)))

    def run(self, work: Callable[[int, int], None], shares: Sequence[tuple[int, int]]) -> None:
        """Call ``work(start, stop)`` for all ranges at once and wait for all; the first error is raised."""
        self.map(lambda share: work(*share), shares)

    def map(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Call ``work(item)`` for all items, as many at once as there are threads; the first error is raised."""
        if self._pool is None:
            return [work(item) for item in items]
        pending = list(items)
        results: dict[int, _Result] = {}
        numbers = iter(range(len(pending)))  # each is taken once: the next one is a single step of the interpreter

        def work_through(_: None) -> None:
            for number in numbers:
                results[number] = work(pending[number])

        futures = [self._pool.submit(_without_grad, work_through, None) for _ in range(min(self.size, len(pending)))]
        wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.done() and future.exception() for future in futures):
            deque(numbers, 0)  # what has not begun; the others may finish: they write into what the caller holds
        for future in futures:
            future.exception()
        for future in futures:
            future.result()
        return [results[number] for number in range(len(pending))]


SERIAL = ThreadGroup(None, 1)
"""The calling thread alone."""


def run_on(device: torch.device, work: Callable[[ThreadGroup], _Result]) -> _Result:
    """Call ``work(crew)`` in a thread of ours and wait for it.

    On a CPU the crew has as many threads as torch may use in the calling thread, and one call goes on at a time: they
    want the same cores. On a GPU, or inside another call, the calling thread does the work alone.
    """
    size = min(torch.get_num_threads(), _MAX_THREADS) if device.type == "cpu" else 1
    if size == 1 or threading.current_thread().name.startswith(_PREFIX):
        return work(SERIAL)
    leader, pool = _shared_threads()
    context = copy_context()  # progress bars of a page find it there
    future: Future[_Result] = leader.submit(lambda: context.run(_without_grad, work, ThreadGroup(pool, size)))
    return future.result()


_PREFIX = "riffusion-crew"
_LOCK = threading.Lock()


def _without_grad(work: Callable[[_Item], _Result], item: _Item) -> _Result:
    with torch.no_grad():  # each thread has its own mode
        return work(item)


def _shared_threads() -> tuple[Executor, Executor]:
    with _LOCK:
        return _start_threads()


def _use_one_core() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread's first question makes it take over the process's number, which is 1 just now


@lru_cache(maxsize=1)
def _start_threads() -> tuple[Executor, Executor]:
    """Start the leader and the others, all at once."""
    return single_core_threads(1), single_core_threads(min(_MAX_THREADS, os.cpu_count() or 1))


def single_core_threads(count: int) -> Executor:
    """Start threads that keep to one core each: whatever they invert or encode, they do alone.

    For work on many files at once, where each has its own.

    torch keeps the number of cores for each thread, and for the process the number that new threads begin with. Both
    are set by the one function, so the second is put back at once, before any other thread can begin with it.
    """
    cores = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, _PREFIX, initializer=_use_one_core)
    ready = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(ready.wait)
    ready.wait()
    torch.set_num_threads(cores)
    return pool
