"""The manifest of a training set: its settings, songs and windows."""

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

__all__ = ["Manifest", "SongEntry", "WindowEntry", "reason_text", "round_finite"]

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
    """A song: its path below the collection, and its measurements, None if unknown."""

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
    """A window: its image, its source, and whether it is kept.

    Attributes
    ----------
    file
        Name of the image.
    song
        Name of the song.
    start, duration
        Position in the song and length, in seconds.
    kept
        Whether it is in the training set.
    decided
        Whether the user decided that.
    reasons
        Reasons for rejection: ``kind``, a ``text`` with the value and the limit, and for duplicates the ``other``
        image.
    caption
        As in the text file beside the image.
    level_db, transition
        RMS level in dBFS; abruptness of the largest change, 0 to 1.
    black
        Mel magnitude that black stands for in the image.
    """

    file: str
    song: str
    start: float
    duration: float
    kept: bool
    decided: bool
    reasons: tuple[dict[str, Any], ...]  # read_fields checks by the text of the annotation
    caption: str
    level_db: float
    transition: float
    black: float


@dataclass(frozen=True)
class Manifest:
    """Settings, songs and windows of a training set."""

    settings: dict[str, object]
    songs: list[SongEntry] = field(default_factory=list)
    windows: list[WindowEntry] = field(default_factory=list)

    @property
    def kept(self) -> list[WindowEntry]:
        """Windows that are in the training set."""
        return [window for window in self.windows if window.kept]

    def counts(self) -> dict[str, int]:
        """Count rejected windows by their first reason, most frequent first; "by hand" for the user's decisions."""
        reasons = Counter(
            window.reasons[0]["kind"] if window.reasons and not window.decided else "by hand"
            for window in self.windows
            if not window.kept
        )
        return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))

    def as_dict(self) -> dict[str, object]:
        """Return the manifest as values for JSON."""
        return {"format": 1, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """Build a manifest from the values of :meth:`as_dict`.

        Raises
        ------
        RiffusionError
            The values are damaged, or name an image or a song outside its folder.
        """
        try:
            settings = dict(values["settings"])
            songs = [SongEntry(**read_fields(SongEntry, song)) for song in values["songs"]]
            windows = [_parse_window(window) for window in values["windows"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = str(error) if isinstance(error, RiffusionError) else f"{type(error).__name__}: {error}"
            raise RiffusionError(why) from None
        for name in (*(song.name for song in songs), *(window.song for window in windows)):
            if not is_relative(name):
                raise RiffusionError(f"a song must be named below its folder, got {shown(name)}")
        return cls(settings, songs, windows)

    def as_csv(self) -> str:
        """Return the windows as CSV, with the SHA-256 of the song and the slicing settings in each row."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        digests = {song.name: song.sha256 for song in self.songs}
        parameters = json.dumps(self.settings.get("slicing", {}), sort_keys=True, separators=(",", ":"))
        for window in self.windows:
            row: dict[str, object] = asdict(window) | {"reasons": "; ".join(map(reason_text, window.reasons))}
            row |= {"sha256": digests.get(window.song, ""), "parameters": parameters}
            table.writerow([row[name] for name in _COLUMNS])
        return text.getvalue()


def _parse_window(values: Mapping[str, Any]) -> WindowEntry:
    """Build a window from JSON values, and check all of them."""
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


def reason_text(reason: Mapping[str, object]) -> str:
    """Return the text of a reason; for a duplicate with the other image's name."""
    return f"{reason['text']}: {reason['other']}" if reason.get("other") else str(reason["text"])


def round_finite(value: float, digits: int) -> float | None:
    """Round a value; None for NaN and infinity, which JSON cannot hold."""
    return round(value, digits) if math.isfinite(value) else None
