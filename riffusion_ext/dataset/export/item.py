"""What is exported of each window of a training set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ExportItem"]


@dataclass(frozen=True)
class ExportItem:
    """An image of the training set.

    Attributes
    ----------
    image
        An existing PNG in the folder ``images``.
    caption
        One line.
    source
        The song it was cut from.
    start, duration
        The part of the song, in seconds.
    digest
        SHA-256 of the song as it was when the part was chosen; without one, its bytes are read.
    """

    image: Path
    caption: str
    source: Path
    start: float
    duration: float
    digest: str = ""
