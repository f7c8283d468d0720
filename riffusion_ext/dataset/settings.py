"""Settings of a training set: slicing, curation, captions and export."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.params.parameters import without_later_defaults
from riffusion_ext.validation.numbers import in_range, is_finite, shown
from riffusion_ext.validation.typed import read_fields

__all__ = [
    "ALIGNMENTS",
    "BOUNDS",
    "COUNT_BOUNDS",
    "END_MODES",
    "FORMATS",
    "REASONS",
    "SCALES",
    "STEMS",
    "CaptionSettings",
    "CurateSettings",
    "DatasetSettings",
    "ExportSettings",
    "SliceSettings",
]

ALIGNMENTS = ("none", "beat", "bar")
END_MODES = ("drop", "pad", "back")
SCALES = ("window", "song", "set")
FORMATS = ("dreambooth", "kohya", "diffusers", "audio")
"""Export formats of a training set."""
REASONS = ("intro", "ending", "silence", "transition", "duplicate", "clipping", "broken", "surplus")
"""Reasons for rejecting windows."""

STEMS = ("drums", "bass", "other", "vocals", "guitar", "piano")
"""Stems that demucs models separate; most models have the first four."""

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
"""Minimum and maximum of each numeric setting."""

COUNT_BOUNDS = (0, math.inf)
"""Bounds of counts: parallel songs, windows with sound, windows to verify."""


@dataclass(frozen=True)
class SliceSettings:
    """Settings for slicing songs into images. Together with a song's bytes they determine every pixel.

    Parameters
    ----------
    params
        Parameters of the images.
    columns
        Width of an image; 512 for riffusion-model-v1.
    overlap
        Fraction of a window that the next one repeats, 0 to 0.9.
    align
        Where windows may start: ``"none"``, back to back from the song's beginning; ``"beat"`` or ``"bar"``, at the
        nearest beat or bar.
    last
        How to treat the end that fills no whole window: ``"drop"`` it; ``"pad"`` it with silence; ``"back"``, let the
        last window overlap the one before. A song shorter than a window is padded unless it is dropped.
    scale
        Which magnitude is black: the loudest cell of each ``"window"``, of the ``"song"``, or of the whole ``"set"``.
    stems
        Slice these stems of each song instead of the whole, as in ``("drums", "vocals")``; needs demucs.
    stems_model
        Name of the demucs model.

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
        _check_number("columns", self.columns)
        _check_number("overlap", self.overlap)
        _check_choice("align", self.align, ALIGNMENTS)
        _check_choice("last", self.last, END_MODES)
        _check_choice("scale", self.scale, SCALES)
        for stem in self.stems:
            _check_choice("a stem", stem, STEMS)

    @property
    def step(self) -> int:
        """Columns from the start of a window to the start of the next."""
        return max(round(self.columns * (1.0 - self.overlap)), 1)

    @property
    def fingerprint(self) -> str:
        """Short hash of the settings, which changes whenever the images would."""
        return _digest(asdict(self, dict_factory=without_later_defaults))


@dataclass(frozen=True)
class CurateSettings:
    """Settings for rejecting windows. None turns a check off.

    Parameters
    ----------
    first, last
        Number of windows to reject at the beginning and the end of each song. A song that has at most twice as
        many in all keeps them.
    silence_db
        Level in dBFS of what the image shows, -120 to 0, below which a window counts as silence. So does a window that
        consists mostly of pauses.
    transition
        Maximum likeness to a cut between two unrelated pieces, 0 to 1.
    duplicate
        Similarity from which two windows count as the same, 0 to 1. At the default, the same sound from another file
        is found (compressed, louder or softer, up to 0.06 s earlier or later), and other notes by the same instruments
        are kept. In different songs it is found at any other moment, too: a window is rejected for one that is the
        same recording and begins no more than 0.55 of a step earlier or later.
    clipping
        Maximum fraction of clipped samples, 0 to 1.
    broken
        Reject windows in which the sound drops out, or in which a DC offset outweighs the rest of the image.
    target
        Number of windows to choose, as different from each other as possible and evenly from all songs; None keeps
        all.

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
                _check_number(name, value)


@dataclass(frozen=True)
class CaptionSettings:
    """Settings for captions.

    Parameters
    ----------
    template
        Text with names in braces, such as ``"{trigger}, {artist}, {genre}"``.
    trigger
        Word that triggers the trained style.
    replace
        Pairs (find, replacement), applied to every caption in order.
    """

    template: str = "{trigger}, {stem}, {artist}, {song_caption|title|file}, {genre}"
    trigger: str = ""
    replace: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ExportSettings:
    """Settings for export to trainers.

    Parameters
    ----------
    formats
        Of ``"dreambooth"``, ``"kohya"``, ``"diffusers"`` and ``"audio"``.
    kohya_repeats, kohya_name
        Parts of the folder name ``<repeats>_<name>``; an empty name means ``music``.
    audio_rate
        Sample rate of the audio chunks, in Hz; None for that of each song.
    audio_seconds
        Length of the audio chunks, in seconds; None for that of each image.
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

    def as_dict(self) -> dict[str, object]:
        """Return the settings as values for JSON."""
        return asdict(self, dict_factory=without_later_defaults)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> DatasetSettings:
        """Build settings from the values of :meth:`as_dict`; unknown names are ignored, missing ones get the default.

        Raises
        ------
        RiffusionError
            A value has the wrong type or is out of range.
        """
        try:
            return cls._from_dict(values)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            if isinstance(error, RiffusionError):
                raise
            raise RiffusionError(f"the settings of the training set cannot be read: {error}") from error

    @classmethod
    def _from_dict(cls, values: Mapping[str, object]) -> DatasetSettings:
        slicing = _known_values(SliceSettings, values.get("slicing"))
        if "stems" in slicing:
            slicing["stems"] = tuple(map(str, slicing["stems"]))
        if isinstance(slicing.get("params"), Mapping):
            slicing["params"] = SpectrogramParams.from_mapping(slicing["params"])
        captions = _known_values(CaptionSettings, values.get("captions"))
        if "replace" in captions:
            captions["replace"] = tuple((str(find), str(put)) for find, put in captions["replace"])
        export = _known_values(ExportSettings, values.get("export"))
        if "formats" in export:
            export["formats"] = tuple(map(str, export["formats"]))
        return cls(
            SliceSettings(**slicing),
            CurateSettings(**_known_values(CurateSettings, values.get("curation"))),
            CaptionSettings(**captions),
            ExportSettings(**export),
        )


def _known_values(kind: type[object], values: object) -> dict[str, Any]:
    return read_fields(kind, values or {})


def _digest(values: Mapping[str, object]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_number(name: str, value: float) -> None:
    if not is_finite(value):
        raise RiffusionError(f"{name} must be a number, got {shown(value)}")
    in_range(name, value, *BOUNDS[name])


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {shown(value)}")
