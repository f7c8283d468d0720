"""What a training set shall be made of, as plain values that can be written down and compared."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.numbers import in_range, is_finite, shown
from riffusion_ext.validation.typed import read_fields

__all__ = [
    "ALIGNMENTS",
    "BOUNDS",
    "FORMATS",
    "LASTS",
    "REASONS",
    "SCALES",
    "STEMS",
    "WORK",
    "CaptionSettings",
    "CurateSettings",
    "DatasetSettings",
    "ExportSettings",
    "SliceSettings",
]

ALIGNMENTS = ("none", "beat", "bar")
LASTS = ("drop", "pad", "back")
SCALES = ("window", "song", "set")
FORMATS = ("dreambooth", "kohya", "diffusers", "audio")
"""What a training set can be written as."""
REASONS = ("intro", "ending", "silence", "transition", "duplicate", "clipping", "broken", "surplus")
"""Why windows are left out."""

STEMS = ("drums", "bass", "other", "vocals", "guitar", "piano")
"""What models of demucs take songs apart into; most have the first four."""

BOUNDS: dict[str, tuple[float, float]] = {
    "columns": (16, 16384),
    "overlap": (0.0, 0.9),
    "first": (0, 1000),
    "last": (0, 1000),
    "silence_db": (-120, 0),
    "transition": (0, 1),
    "duplicate": (0, 1),
    "clipping": (0, 1),
    "target": (1, 10_000_000),
    "kohya_repeats": (1, 10_000),
    "audio_rate": (8000, 192_000),
    "audio_seconds": (0.1, 600),
}
"""Least and greatest value of each number below."""

WORK = (0, math.inf)
"""Songs at once, windows with sound, and windows that are verified."""


@dataclass(frozen=True)
class SliceSettings:
    """How songs are cut and drawn. Together with a song's bytes these decide every pixel.

    Parameters
    ----------
    params
        Parameters of the images.
    columns
        Width of an image; 512 for riffusion-model-v1.
    overlap
        Share of a window that the next one repeats, 0 to 0.9.
    align
        Where windows may start: ``"none"``, one after the other from the song's beginning; ``"beat"`` or ``"bar"``, at
        the nearest beat or bar.
    last
        What becomes of the end that fills no whole window: ``"drop"``; ``"pad"``, filled up with silence; ``"back"``,
        the last window reaches back over the one before. A song shorter than a window is padded unless it is dropped.
    scale
        What black is: the loudest cell of each ``"window"``, of the ``"song"``, or of the whole ``"set"``.
    stems
        Cut these stems of each song instead of the whole, as in ``("drums", "vocals")``; needs demucs.
    stems_model
        Model that takes songs apart.

    Raises
    ------
    RiffusionError
        A value is not allowed.
    """

    params: SpectrogramParams = PRESETS["riffusion-v1"]
    columns: int = 512
    overlap: float = 0.0
    align: str = "none"
    last: str = "drop"
    scale: str = "window"
    stems: tuple[str, ...] = ()
    stems_model: str = "htdemucs"

    def __post_init__(self) -> None:
        _number("columns", self.columns)
        _number("overlap", self.overlap)
        _choice("align", self.align, ALIGNMENTS)
        _choice("last", self.last, LASTS)
        _choice("scale", self.scale, SCALES)
        for stem in self.stems:
            _choice("a stem", stem, STEMS)

    @property
    def step(self) -> int:
        """Columns from a window to the next."""
        return max(round(self.columns * (1.0 - self.overlap)), 1)

    @property
    def fingerprint(self) -> str:
        """Short text that differs whenever the images would."""
        return _digest(asdict(self))


@dataclass(frozen=True)
class CurateSettings:
    """Which windows are left out. None switches a check off.

    Parameters
    ----------
    first, last
        Windows to leave out at the beginning and the end of each song. A song that has no more than twice as many in
        all is left whole.
    silence_db
        Level in dBFS, -120 to 0, of what the image shows, under which a window is silence. So is one that consists of
        pauses for the most part.
    transition
        Largest likeness to a cut between two unrelated pieces, 0 to 1.
    duplicate
        Likeness from which two windows count as the same, 0 to 1. At the default the same sound from another file is
        found (compressed, louder or softer, up to 0.06 s earlier or later), and other notes by the same instruments
        are kept. In different songs it is found at any other moment, too: a window is left out for one that is the
        same recording and begins no more than 0.55 of a step earlier or later.
    clipping
        Largest share of clipped samples, 0 to 1.
    broken
        Leave out windows in which the sound drops out, or whose image an offset outshines.
    target
        How many windows to choose, as different from each other as can be, from all songs alike; None keeps all.

    Raises
    ------
    RiffusionError
        A value is out of range.
    """

    first: int = 1
    last: int = 1
    silence_db: float | None = -50.0
    transition: float | None = 0.5
    duplicate: float | None = 0.8
    clipping: float | None = 0.01
    broken: bool = True
    target: int | None = None

    def __post_init__(self) -> None:
        for name in ("first", "last", "silence_db", "transition", "duplicate", "clipping", "target"):
            value = getattr(self, name)
            if value is not None:
                _number(name, value)


@dataclass(frozen=True)
class CaptionSettings:
    """How windows are described.

    Parameters
    ----------
    template
        Text with names in braces, such as ``"{trigger}, {artist}, {genre}"``.
    trigger
        The word that shall call up what is learnt.
    replace
        (find, replacement) pairs, applied to every caption.
    """

    template: str = "{trigger}, {stem}, {artist}, {song_caption|title|file}, {genre}"
    trigger: str = ""
    replace: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ExportSettings:
    """What is written for which trainer.

    Parameters
    ----------
    formats
        Of ``"dreambooth"``, ``"kohya"``, ``"diffusers"`` and ``"audio"``.
    kohya_repeats, kohya_name
        The folder ``<repeats>_<name>``; without a name, ``music``.
    audio_rate
        Samples a second of the audio chunks, in Hz; None for that of each song.
    audio_seconds
        Length of the audio chunks; None for that of each image.
    """

    formats: tuple[str, ...] = ("dreambooth",)
    kohya_repeats: int = 10
    kohya_name: str = ""
    audio_rate: int | None = None
    audio_seconds: float | None = None


@dataclass(frozen=True)
class DatasetSettings:
    """All settings of a training set."""

    slicing: SliceSettings = field(default_factory=SliceSettings)
    curation: CurateSettings = field(default_factory=CurateSettings)
    captions: CaptionSettings = field(default_factory=CaptionSettings)
    export: ExportSettings = field(default_factory=ExportSettings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DatasetSettings:
        """Return the settings of :meth:`as_dict`; unknown names are left out, absent ones take their default.

        Raises
        ------
        RiffusionError
            A value is none that a setting can have.
        """
        try:
            return cls._from_dict(values)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            if isinstance(error, RiffusionError):
                raise
            raise RiffusionError(f"the settings of the training set cannot be read: {error}") from error

    @classmethod
    def _from_dict(cls, values: Mapping[str, Any]) -> DatasetSettings:
        slicing = _known(SliceSettings, values.get("slicing"))
        if "stems" in slicing:
            slicing["stems"] = tuple(map(str, slicing["stems"]))
        if isinstance(slicing.get("params"), Mapping):
            slicing["params"] = SpectrogramParams.from_mapping(slicing["params"])
        captions = _known(CaptionSettings, values.get("captions"))
        if "replace" in captions:
            captions["replace"] = tuple((str(find), str(put)) for find, put in captions["replace"])
        export = _known(ExportSettings, values.get("export"))
        if "formats" in export:
            export["formats"] = tuple(map(str, export["formats"]))
        return cls(
            SliceSettings(**slicing),
            CurateSettings(**_known(CurateSettings, values.get("curation"))),
            CaptionSettings(**captions),
            ExportSettings(**export),
        )


def _known(kind: Any, values: Any) -> dict[str, Any]:
    return read_fields(kind, values or {})


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _number(name: str, value: Any) -> None:
    if not is_finite(value):
        raise RiffusionError(f"{name} must be a number, got {shown(value)}")
    in_range(name, value, *BOUNDS[name])


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {shown(value)}")
