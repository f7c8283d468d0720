"""What a training set consists of, written down."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.names import bare_name, is_relative
from riffusion_ext.validation.numbers import shown
from riffusion_ext.validation.typed import read_fields

__all__ = ["Manifest", "SongEntry", "WindowEntry", "finite", "reason_text"]

_COLUMNS = (
    "file",
    "kept",
    "decided",
    "reasons",
    "song",
    "start",
    "duration",
    "caption",
    "level_db",
    "transition",
    "black",
    "sha256",
    "parameters",
)


@dataclass(frozen=True)
class SongEntry:
    """A song: its name below the collection, and what was measured. None where it could not be."""

    name: str
    sha256: str
    duration: float
    sample_rate: int
    channels: int
    loudness: float | None
    tempo: float | None
    key: str | None


@dataclass(frozen=True)
class WindowEntry:
    """A window: its image, where it comes from, and what was decided.

    Attributes
    ----------
    file
        Name of the image.
    song
        Name of the song.
    start, duration
        In seconds.
    kept
        Whether it is in the training set.
    decided
        Whether the user said so.
    reasons
        What speaks against it: ``kind``, a ``text`` with the value and the limit, and the ``other`` image that it
        is a duplicate of.
    caption
        As in the text beside the image.
    level_db, transition
        RMS level in dBFS; abruptness of the largest change, 0 to 1.
    black
        Magnitude of the image's black.
    """

    file: str
    song: str
    start: float
    duration: float
    kept: bool
    decided: bool
    reasons: tuple[dict[str, Any], ...]
    caption: str
    level_db: float
    transition: float
    black: float


@dataclass(frozen=True)
class Manifest:
    """All of a training set."""

    settings: dict[str, Any]
    songs: list[SongEntry] = field(default_factory=list)
    windows: list[WindowEntry] = field(default_factory=list)

    @property
    def kept(self) -> list[WindowEntry]:
        """Windows that are in the training set."""
        return [window for window in self.windows if window.kept]

    def counts(self) -> dict[str, int]:
        """Count the windows that were left out by the first reason of each, most frequent first."""
        reasons = Counter(
            window.reasons[0]["kind"] if window.reasons and not window.decided else "by hand"
            for window in self.windows
            if not window.kept
        )
        return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"format": 1, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """Return the manifest of :meth:`as_dict`.

        Raises
        ------
        RiffusionError
            It is damaged, or names an image or a song that would lie elsewhere.
        """
        try:
            settings = dict(values["settings"])
            songs = [SongEntry(**read_fields(SongEntry, song)) for song in values["songs"]]
            windows = [_window(window) for window in values["windows"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = str(error) if isinstance(error, RiffusionError) else f"{type(error).__name__}: {error}"
            raise RiffusionError(why) from None
        for name in (*(song.name for song in songs), *(window.song for window in windows)):
            if not is_relative(name):
                raise RiffusionError(f"a song must be named below its folder, got {shown(name)}")
        return cls(settings, songs, windows)

    def as_csv(self) -> str:
        """Return the windows as a table for spreadsheets, with the SHA-256 of the song and how it was cut."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        digests = {song.name: song.sha256 for song in self.songs}
        parameters = json.dumps(self.settings.get("slicing", {}), sort_keys=True, separators=(",", ":"))
        for window in self.windows:
            row: dict[str, Any] = asdict(window) | {"reasons": "; ".join(map(reason_text, window.reasons))}
            row |= {"sha256": digests.get(window.song, ""), "parameters": parameters}
            table.writerow([row[name] for name in _COLUMNS])
        return text.getvalue()


def _window(values: Mapping[str, Any]) -> WindowEntry:
    """Return a window that was written down, with everything in it checked."""
    window = WindowEntry(**{**read_fields(WindowEntry, values), "reasons": tuple(values["reasons"])})
    bare_name(window.file, "an image")
    if not window.file.lower().endswith(".png"):
        raise RiffusionError(f"an image must end in .png, got {shown(window.file)}")
    for reason in window.reasons:
        if not all(isinstance(reason.get(name, ""), str) for name in ("kind", "text", "other")):
            raise RiffusionError(f"the reasons against {window.file} must be texts")
        if not reason.keys() >= {"kind", "text"}:
            raise RiffusionError(f"a reason against {window.file} has no kind or no text")
        if reason.get("other"):
            bare_name(reason["other"], "an image")
    return window


def reason_text(reason: Mapping[str, Any]) -> str:
    """Return a reason as people read it, with the image that a duplicate is like."""
    return f"{reason['text']}: {reason['other']}" if reason.get("other") else str(reason["text"])


def finite(value: float, digits: int) -> float | None:
    """Return the value rounded; None for what JSON cannot hold."""
    return round(value, digits) if math.isfinite(value) else None
