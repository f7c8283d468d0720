"""How far long work is, stage by stage: what is counted, and how long the rest of the stage will take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Stage", "Stages", "time_left"]

_MARKS_PER_STAGE = 10


@dataclass(frozen=True)
class Stage:
    """How far a stage is.

    Attributes
    ----------
    name
        What is being done: "exporting".
    unit
        What is counted, in the plural.
    done, total
        So many of so many.
    seconds
        Since the stage began, by the clock.
    """

    name: str
    unit: str
    done: int
    total: int
    seconds: float

    @property
    def share(self) -> float:
        """The part done, 0 to 1."""
        return self.done / self.total if self.total else 0.0

    @property
    def is_mark(self) -> bool:
        """Whether it is worth a line of its own: the beginning, and each tenth that is done."""
        return (
            not self.done
            or self.done * _MARKS_PER_STAGE // self.total > (self.done - 1) * _MARKS_PER_STAGE // self.total
        )

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest of this stage will take, if it goes on as before; None where nothing is known."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None

    @property
    def text(self) -> str:
        """How far it is, in words: ``exporting: 3 of 12 files, 0:31 min left``."""
        counted = f"{self.name}: {self.done} of {self.total} {self.unit}"
        remaining = time_left(self.seconds_left) if self.done < self.total else ""
        return f"{counted}, {remaining}" if remaining else counted


def time_left(seconds: float | None) -> str:
    """Write a time left, which is never none while something is left: ``0:01 min left``; empty for None."""
    if seconds is None:
        return ""
    minutes, remaining = divmod(max(math.ceil(seconds), 1), 60)
    return f"{minutes}:{remaining:02d} min left"


class Stages:
    """Tells of one stage after another.

    Parameters
    ----------
    on_stage
        Called at the beginning of each stage and after each step; None for nobody.
    """

    def __init__(self, on_stage: Callable[[Stage], object] | None) -> None:
        self._on_stage = on_stage or (lambda stage: None)

    def begin(self, name: str, unit: str, total: int) -> Callable[[int], None]:
        """Begin a stage; returns what is to be called with the number done."""
        began = time.perf_counter()

        def report(done: int) -> None:
            self._on_stage(Stage(name, unit, done, total, time.perf_counter() - began))

        report(0)
        return report

    def begin_parts(self, name: str, unit: str, total: int) -> Callable[[float], None]:
        """Begin a stage whose work says the part done, 0 to 1; returns what is to be called with it."""
        report, reported = self.begin(name, unit, total), 0

        def report_part(share: float) -> None:
            nonlocal reported
            done = min(int(share * total + 1e-9), total)
            if done != reported:
                reported = done
                report(done)

        return report_part
