"""Timing of methods and processes.

Methods alternate in one process, so that other load on the machine affects all of them, and are compared by their
medians. Wall clock time is measured with two threads, as on a small machine; processor time with one thread, which
hardly depends on other load.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

THREADS = 2
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Times:
    """Seconds of each run of a method."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def wall_median(self) -> float:
        """Median wall clock; NaN without a run."""
        return statistics.median(self.wall) if self.wall else float("nan")

    @property
    def cpu_median(self) -> float:
        """Median processor time of one thread; NaN without a run."""
        return statistics.median(self.cpu) if self.cpu else float("nan")

    def as_dict(self) -> dict[str, object]:
        """Return the times as JSON-serialisable data."""
        return {"wall_s": self.wall, "cpu_s": self.cpu, "wall_median": self.wall_median, "cpu_median": self.cpu_median}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Limit torch to `count` threads inside the ``with``."""
    import torch  # imported here: processes that time the import of torch use this module

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def interleaved(
    methods: Mapping[str, Callable[[int], object]], rounds: int, *, cpu_rounds: int | None = None
) -> dict[str, Times]:
    """Run the methods alternately; each is called with the number of the round.

    Parameters
    ----------
    methods
        Must be warmed up already.
    rounds
        Runs timed by the wall clock, with :data:`THREADS` threads.
    cpu_rounds
        Runs timed by processor time, with one thread. Default: a third of `rounds`, rounded up.
    """
    times = {name: Times() for name in methods}
    with threads(THREADS):
        for number in range(rounds):
            for name, method in methods.items():
                start = time.perf_counter()
                method(number)
                times[name].wall.append(time.perf_counter() - start)
    with threads(1):
        for number in range(-(-rounds // 3) if cpu_rounds is None else cpu_rounds):
            for name, method in methods.items():
                start = time.process_time()
                method(number)
                times[name].cpu.append(time.process_time() - start)
    return times


def confine(cores: int) -> None:
    """Limit this process and its children to `cores` cores, and torch to one thread.

    On systems without CPU affinity, only torch is limited.
    """
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def in_new_process(module: str, *arguments: str) -> Any:
    """Run a module of this package in a new interpreter; return the JSON of its last line of output.

    Raises
    ------
    RuntimeError
        The process failed; the message contains its last line.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(f"{module} {' '.join(arguments)}: {lines[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
