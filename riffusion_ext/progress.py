"""Progress of long work in stages, with an estimate of the time left in a stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Stage", "Stages", "time_left"]

_MARKS_PER_STAGE = 10


@dataclass(frozen=True)
class Stage:
    """Progress of a stage.

    Attributes
    ----------
    name
        Name of the stage: "exporting".
    unit
        What is counted, in the plural.
    done, total
        Number of units done, and of all units.
    seconds
        Elapsed time since the stage began.
    """

    name: str
    unit: str
    done: int
    total: int
    seconds: float

    @property
    def share(self) -> float:
        """Share done, 0 to 1."""
        return self.done / self.total if self.total else 0.0

    @property
    def is_mark(self) -> bool:
        """Whether to log this progress: at the beginning, and after each tenth."""
        return (
            not self.done
            or self.done * _MARKS_PER_STAGE // self.total > (self.done - 1) * _MARKS_PER_STAGE // self.total
        )

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the end of the stage, at the present rate; None if nothing is done yet."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None

    @property
    def text(self) -> str:
        """Progress as text: ``exporting: 3 of 12 files, 0:31 min left``."""
        counted = f"{self.name}: {self.done} of {self.total} {self.unit}"
        remaining = time_left(self.seconds_left) if self.done < self.total else ""
        return f"{counted}, {remaining}" if remaining else counted


def time_left(seconds: float | None) -> str:
    """Format a remaining time, at least one second: ``0:01 min left``; empty for None."""
    if seconds is None:
        return ""
    minutes, remaining = divmod(max(math.ceil(seconds), 1), 60)
    return f"{minutes}:{remaining:02d} min left"


class Stages:
    """Reports the progress of consecutive stages.

    Parameters
    ----------
    on_stage
        Called at the beginning of each stage and after each step; may be None.
    """

    def __init__(self, on_stage: Callable[[Stage], object] | None) -> None:
        self._on_stage = on_stage or (lambda stage: None)

    def begin(self, name: str, unit: str, total: int) -> Callable[[int], None]:
        """Begin a stage; return a callback for the number of units done."""
        began = time.perf_counter()

        def report(done: int) -> None:
            self._on_stage(Stage(name, unit, done, total, time.perf_counter() - began))

        report(0)
        return report

    def begin_parts(self, name: str, unit: str, total: int) -> Callable[[float], None]:
        """Begin a stage; return a callback for the share done, 0 to 1."""
        report, reported = self.begin(name, unit, total), 0

        def report_part(share: float) -> None:
            nonlocal reported
            done = min(int(share * total + 1e-9), total)
            if done != reported:
                reported = done
                report(done)

        return report_part
