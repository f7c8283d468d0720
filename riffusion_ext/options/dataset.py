"""Options of training sets, and their conversion to settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from riffusion_ext.dataset.settings import (
    ALIGNMENTS,
    BOUNDS,
    COUNT_BOUNDS,
    END_MODES,
    FORMATS,
    SCALES,
    STEMS,
    CaptionSettings,
    CurateSettings,
    DatasetSettings,
    ExportSettings,
    SliceSettings,
)
from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.option import Option, by_id
from riffusion_ext.options.sound import CUSTOM, chosen_params, control
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.values import number, texts, whole

__all__ = ["DATASET", "OPTIONS", "RUN_OPTIONS", "RUN_OPTIONS_BY_ID", "page_values", "settings_of"]

_SLICE, _CURATE, _CAPTION, _EXPORT = SliceSettings(), CurateSettings(), CaptionSettings(), ExportSettings()

_PAGE = ("page",)
_COMMAND = ("command",)
_NO_API = ("page", "command")

OWN_RATE = "the song's own"
FORMAT_LABELS = {
    "Dreambooth extension": "dreambooth",
    "kohya (folder N_name)": "kohya",
    "diffusers (metadata.jsonl)": "diffusers",
    "sound chunks (WAV)": "audio",
}
"""Formats by their names on the page."""

SLICING_OPTIONS: tuple[Option, ...] = (
    Option(
        "columns",
        "Image width",
        "slider",
        _SLICE.columns,
        "width of an image; 512 are 5.11 s, with auffusion 1024 are 10.24 s",
        hint="512 are 5.11 s",
        bounds=BOUNDS["columns"],
        page_bounds=(128, 2048),
        step=64,
    ),
    Option(
        "overlap",
        "Overlap",
        "slider",
        _SLICE.overlap,
        "share of a window that the next one repeats, 0 to 0.9",
        hint="share of a window in the next",
        bounds=BOUNDS["overlap"],
        step=0.05,
    ),
    Option(
        "align",
        "Begin on",
        "dropdown",
        _SLICE.align,
        "where windows begin: one after the other, or on beats or bars",
        hint="beats or bars",
        choices=ALIGNMENTS,
    ),
    Option(
        "last",
        "End of a song",
        "dropdown",
        _SLICE.last,
        "an end too short for a window: drop it, pad it with silence, or start the last window earlier",
        hint="too short for a window",
        choices=END_MODES,
    ),
    Option(
        "scale",
        "Black is the loudest of each",
        "dropdown",
        _SLICE.scale,
        "black is the loudest point of each window, of each song or of the whole set",
        hint="",
        choices=SCALES,
    ),
    Option(
        "stems",
        "Stems instead of whole songs",
        "multiple",
        list(_SLICE.stems),
        "cut these stems instead of the whole song (needs demucs)",
        hint="separated by the package demucs",
        choices=STEMS,
        interfaces=_NO_API,
    ),
    Option("stems_model", "", "text", _SLICE.stems_model, "model of demucs", interfaces=_COMMAND),
    Option(
        "preset",
        "Spectrogram of the set",
        "dropdown",
        "riffusion-v1",
        "what the model was trained on",
        hint="",
        choices=(*PRESETS, CUSTOM),
        interfaces=_PAGE,
    ),
    Option(
        "custom",
        "Custom parameters of the set",
        "text",
        "",
        control("custom").help,
        interfaces=_PAGE,
    ),
)


def _check(id_: str, label: str) -> Option:
    return Option(f"check_{id_}", label, "checkbox", True, "whether to make this check", hint="", interfaces=_PAGE)


def _threshold(id_: str, label: str, help_: str, step: float, page_bounds: tuple[float, float] | None = None) -> Option:
    return Option(
        id_,
        label,
        "slider",
        getattr(_CURATE, id_),
        f"leave out {help_}",
        hint="",
        bounds=BOUNDS[id_],
        page_bounds=page_bounds,
        step=step,
        whole=False,
    )


CURATION_OPTIONS: tuple[Option, ...] = (
    _check("silence_db", "Check for silence"),
    _threshold("silence_db", "Silence below (dBFS)", "windows quieter than this, in dBFS", 1, (-90, -20)),
    _check("transition", "Check for cuts"),
    _threshold(
        "transition",
        "Cut between two pieces of music from (0 to 1)",
        "windows with a change that resembles a cut more than this, 0 to 1",
        0.01,
    ),
    _check("duplicate", "Check for repeats"),
    _threshold(
        "duplicate",
        "The same music again from (likeness, 0 to 1)",
        "windows that resemble another one at least this much, 0 to 1",
        0.01,
    ),
    _check("clipping", "Check for clipping"),
    _threshold(
        "clipping",
        "Clipped from (share of samples)",
        "windows with more than this share of clipped samples",
        0.001,
        (0.0, 0.2),
    ),
    Option(
        "broken",
        "Leave out windows with drop-outs or an offset",
        "checkbox",
        _CURATE.broken,
        "leave out windows with drop-outs or an offset",
        hint="",
        interfaces=("page", "api"),  # --keep-broken means the opposite
    ),
    Option(
        "first",
        "Leave out at the beginning of each song",
        "slider",
        _CURATE.first,
        "leave out the first N windows of each song",
        hint="",
        bounds=BOUNDS["first"],
        page_bounds=(0, 20),
        step=1,
    ),
    Option(
        "final",
        "Leave out at the end of each song",
        "slider",
        _CURATE.last,
        "leave out the last N windows of each song",
        hint="",
        bounds=BOUNDS["last"],
        page_bounds=(0, 20),
        step=1,
    ),
    Option(
        "target",
        "How many to keep",
        "slider",
        _CURATE.target,
        "number of windows to keep, chosen to be as different from each other as possible",
        hint="0 keeps all that pass",
        bounds=BOUNDS["target"],
        page_bounds=(0, 5000),
        page_default=0,
        step=10,
    ),
)

CAPTIONS: tuple[Option, ...] = (
    Option(
        "template",
        "Caption",
        "text",
        _CAPTION.template,
        "template of the captions; fields without a value are left out",
        hint="also {album}, {year}, {bpm}, {key}, {folder}, {tempo}, {measured_key}; empty fields are left out",
        max_length=2000,
        command_name="caption",
        api_name="caption",
        api_default=None,
        lines=(1, 2),
    ),
    Option(
        "trigger",
        "Trigger word",
        "text",
        _CAPTION.trigger,
        "word that triggers the style",
        hint="word that triggers the style",
        max_length=200,
    ),
)

EXPORT_OPTIONS: tuple[Option, ...] = (
    Option(
        "formats",
        "For which trainer",
        "multiple",
        list(_EXPORT.formats),
        "formats to write, by trainer",
        hint="",
        choices=FORMATS,
        command_name="format",
        page_default=["Dreambooth extension"],
    ),
    Option(
        "kohya_repeats",
        "kohya: repeats in the folder's name",
        "slider",
        _EXPORT.kohya_repeats,
        "kohya: number of repeats in the folder's name",
        hint="",
        bounds=BOUNDS["kohya_repeats"],
        page_bounds=(1, 100),
        step=1,
        interfaces=_NO_API,
        command_name="repeats",
    ),
    Option(
        "kohya_name",
        "kohya: name in the folder's name",
        "text",
        _EXPORT.kohya_name,
        "kohya: name in the folder's name, after the repeats (music)",
        hint="",
        interfaces=_NO_API,
        command_name="name",
        placeholder="music",
    ),
    Option(
        "audio_rate",
        "Sound chunks: sample rate",
        "number",
        _EXPORT.audio_rate,
        "audio: sample rate of the chunks in Hz (that of each song)",
        hint="",
        bounds=BOUNDS["audio_rate"],
        step=1,
        interfaces=_NO_API,
        page_default=OWN_RATE,
    ),
    Option(
        "audio_seconds",
        "Sound chunks: seconds",
        "slider",
        _EXPORT.audio_seconds,
        "audio: length of a chunk in seconds (that of a window)",
        hint="0: as long as the images are wide",
        bounds=BOUNDS["audio_seconds"],
        page_bounds=(0, 60),
        page_default=0,
        step=0.5,
        interfaces=_NO_API,
    ),
)

RUN_OPTIONS: tuple[Option, ...] = (
    Option(
        "jobs",
        "",
        "number",
        0,
        "number of songs to process at once (0: one for each core)",
        bounds=COUNT_BOUNDS,
        step=1,
        interfaces=_COMMAND,
    ),
    Option(
        "sounds",
        "",
        "number",
        60,
        "number of windows that the contact sheet can play, or all",
        bounds=COUNT_BOUNDS,
        step=1,
        interfaces=_COMMAND,
    ),
    Option(
        "verify",
        "",
        "number",
        8,
        "number of images to convert back to sound and compare with the songs",
        bounds=COUNT_BOUNDS,
        step=1,
        interfaces=_COMMAND,
    ),
)
"""Options of the command alone, which are no settings of the training set."""

RUN_OPTIONS_BY_ID = by_id(RUN_OPTIONS)

PAGE_RATES = (OWN_RATE, "16000", "22050", "32000", "44100", "48000")

OPTIONS = (*SLICING_OPTIONS, *CURATION_OPTIONS, *CAPTIONS, *EXPORT_OPTIONS)
"""Options of a training set."""

DATASET = by_id(OPTIONS)


def settings_of(values: Mapping[str, object]) -> DatasetSettings:
    """Convert values of the options to settings.

    Parameters
    ----------
    values
        Values by id; also ``params``, those of the images, and ``replace``, pairs of texts. A missing value takes its
        default; None switches a check off.

    Raises
    ------
    RiffusionError
        A value is not allowed.
    """

    def pick(*ids: str, **other: str) -> dict[str, Any]:
        names = {**{id_: id_ for id_ in ids}, **other}
        return {name: values[id_] for name, id_ in names.items() if id_ in values}

    return DatasetSettings(
        SliceSettings(**pick("params", "columns", "overlap", "align", "last", "scale", "stems", "stems_model")),
        CurateSettings(
            **pick("first", "silence_db", "transition", "duplicate", "clipping", "broken", "target", last="final")
        ),
        CaptionSettings(**pick("template", "trigger", "replace")),
        ExportSettings(**pick("formats", "kohya_repeats", "kohya_name", "audio_rate", "audio_seconds")),
    )


def page_values(fields: Mapping[str, object]) -> dict[str, object]:
    """Convert values of the page's components to values of the options.

    Raises
    ------
    RiffusionError
        A value is missing, or the custom parameters are invalid.
    """
    missing = [name.replace("_", " ") for name, value in fields.items() if value is None]
    if missing:
        raise RiffusionError(f"A value is missing: {', '.join(missing)}.")
    checks = {id_: fields[f"check_{id_}"] for id_ in ("silence_db", "transition", "duplicate", "clipping")}
    return {
        "params": chosen_params(str(fields["preset"]), str(fields["custom"])) or SpectrogramParams(),
        "columns": whole(fields["columns"]),
        "overlap": number(fields["overlap"]),
        **{id_: fields[id_] for id_ in ("align", "last", "scale")},
        "stems": texts(fields["stems"]),
        "first": whole(fields["first"]),
        "final": whole(fields["final"]),
        **{id_: number(fields[id_]) if enabled else None for id_, enabled in checks.items()},
        "broken": bool(fields["broken"]),
        "target": whole(fields["target"]) or None,
        "template": str(fields["template"]),
        "trigger": str(fields["trigger"]).strip(),
        "formats": tuple(FORMAT_LABELS[name] for name in texts(fields["formats"])),
        "kohya_repeats": whole(fields["kohya_repeats"]),
        "kohya_name": str(fields["kohya_name"]).strip(),
        "audio_rate": None if fields["audio_rate"] == OWN_RATE else whole(fields["audio_rate"]),
        "audio_seconds": number(fields["audio_seconds"]) or None,
    }
