"""Items of an export: one per window of a training set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ExportItem"]


@dataclass(frozen=True)
class ExportItem:
    """An image of the training set, with its caption and its part of the song.

    Attributes
    ----------
    image
        An existing PNG in the folder of images.
    caption
        One line.
    source
        File of the song.
    start, duration
        Part of the song, in seconds.
    digest
        SHA-256 of the song when it was sliced; if empty, it is computed from the file.
    """

    image: Path
    caption: str
    source: Path
    start: float
    duration: float
    digest: str = ""
