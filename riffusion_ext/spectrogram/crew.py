"""Threads that share the frames of a picture.

torch splits every single operation over the cores and waits for the last one. An iteration is hundreds of short
operations, so that waiting costs more than it saves, and where another program wants a core it costs ten times more.
Frames are independent of each other within an iteration: here each core takes its share of them through the whole
iteration, and they meet once at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import torch

__all__ = ["SOLO", "Crew", "crew"]

_MOST = 8
_FEWEST_FRAMES = 48


class Crew:
    """A few threads, each with torch confined to one core."""

    def __init__(self, pool: ThreadPoolExecutor | None, size: int) -> None:
        self._pool, self._size = pool, size

    def shares(self, frames: int) -> list[tuple[int, int]]:
        """Cut that many frames into ranges, one for each thread."""
        size = max(1, min(self._size, frames // _FEWEST_FRAMES))
        bounds = [frames * i // size for i in range(size + 1)]
        return list(pairwise(bounds))

    def run(self, work: Callable[[int, int], None], shares: Sequence[tuple[int, int]]) -> None:
        """Call ``work(start, stop)`` for all ranges at once and wait; the first error is raised."""
        if self._pool is None:
            for share in shares:
                work(*share)
            return
        for future in [self._pool.submit(_unrecorded, work, *share) for share in shares]:
            future.result()


SOLO = Crew(None, 1)
"""The calling thread alone."""


def _unrecorded(work: Callable[[int, int], None], start: int, stop: int) -> None:
    with torch.no_grad():  # each thread has its own mode
        work(start, stop)


@contextmanager
def crew(device: torch.device) -> Iterator[Crew]:
    """Threads for as long as the block runs: as many as torch may use on a CPU, none for a GPU."""
    threads = torch.get_num_threads()
    size = min(threads, _MOST) if device.type == "cpu" else 1
    if size == 1:
        yield SOLO
        return
    with ThreadPoolExecutor(size, "riffusion", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        torch.set_num_threads(1)  # the caller's too: threads that wait for its operations would keep cores busy
        try:
            yield Crew(pool, size)
        finally:
            torch.set_num_threads(threads)
