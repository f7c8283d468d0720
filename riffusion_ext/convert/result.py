"""Results of processing a list of files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_failure

__all__ = ["Existing", "Progress", "Result", "check_existing", "explain"]

logger = logging.getLogger(__name__)

Existing = Literal["refuse", "overwrite", "skip"]
"""What to do with existing output files."""

Progress = Callable[[float], None]
"""Callback with the fraction done, 0 to 1."""


@dataclass(frozen=True)
class Result:
    """Result of processing one input."""

    source: Path
    outputs: tuple[Path, ...] = ()
    error: str = ""
    skipped: bool = False
    notes: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the output files exist, written now or before."""
        return not self.error

    @property
    def duration(self) -> float:
        """Duration in s according to :attr:`details`; 0.0 if it is not there."""
        value = self.details.get("duration")
        return value if isinstance(value, float) else 0.0


def explain(error: BaseException) -> str:
    """Format an error as one line: our own messages unchanged, others with their type."""
    logger.debug("failed", exc_info=error)
    if isinstance(error, RiffusionError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}".splitlines()[0]


def check_existing(source: Path, targets: Sequence[Path], existing: Existing) -> Result | None:
    """Return the result of an input that is skipped or refused because of existing files; None to process it."""
    there: list[Path] = []
    for target in targets:
        try:
            there += [target] if target.exists() else []
        except OSError as error:
            return Result(source, error=write_failure(target, error))
    if any(_same_file(source, target) for target in there):
        return Result(source, error=f"the result would replace its own source: {source}")
    if not there or existing == "overwrite":
        return None
    if existing == "skip":
        return Result(source, tuple(targets), skipped=True) if len(there) == len(targets) else None
    return Result(source, error=f"file exists: {there[0]}")


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
