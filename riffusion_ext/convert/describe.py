"""Describe an image or a sound file, as data and as rows of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

from riffusion_ext.files.kinds import SOUND_SUFFIXES, suffix_of
from riffusion_ext.params.bounds import LATER_FIELDS

__all__ = ["ImageFacts", "SoundFacts", "describe", "rows"]

_RECORDS = {
    "exif": "recorded in the image (EXIF)",
    "text": "recorded in the image (PNG text)",
    "none": "not recorded; these are riffusion-v1's",
}

_MADE_BY = {
    "source": "made from",
    "engine": "engine",
    "level": "level",
    "high_frequencies": "high frequencies",
    "max_value": "max value",
}


class ImageFacts(TypedDict):
    """Properties and metadata of an image."""

    kind: Literal["picture"]
    width: int
    height: int
    mode: str
    params: Mapping[str, Any]
    max_value: float | None
    record: str
    duration: float
    notes: list[str]
    tags: Mapping[str, object]


class SoundFacts(TypedDict):
    """Properties and metadata of a sound file."""

    kind: Literal["sound"]
    duration: float
    sample_rate: int
    channels: int
    peak: float
    notes: tuple[str, ...]
    made_by: Mapping[str, object] | None
    tags: Mapping[str, object]


def describe(path: Path) -> ImageFacts | SoundFacts:
    """Return the properties and the metadata of an image or a sound file.

    Raises
    ------
    RiffusionError
        The file is neither an image nor a sound file.
    """
    return _describe_sound(path) if suffix_of(path) in SOUND_SUFFIXES else _describe_image(path)


def _describe_image(path: Path) -> ImageFacts:
    from riffusion_ext.metadata import exif_dump, read_record
    from riffusion_ext.params.parameters import recorded_fields
    from riffusion_ext.spectrogram.codec import read_image
    from riffusion_ext.spectrogram.source import unrecorded_size

    image = read_image(path)
    record = read_record(image)
    params = recorded_fields(record.params)
    notes = list(record.notes)
    if record.source == "none" and image.height != record.params.num_frequencies:
        notes.append(unrecorded_size(image.width, image.height, record.params.num_frequencies))
        params["num_frequencies"] = image.height  # each row is read as a mel band
    return {
        "kind": "picture",
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "params": params,
        "max_value": record.max_value,
        "record": record.source,
        "duration": record.params.samples_of_columns(image.width) / record.params.sample_rate,
        "notes": list(notes),
        "tags": exif_dump(image),
    }


def _describe_sound(path: Path) -> SoundFacts:
    from riffusion_ext.audio.io import read_tags
    from riffusion_ext.audio.stream import read_pieces
    from riffusion_ext.metadata import parse_audio_comment

    frames, sample_rate, channels, peak = 0, 1, 0, 0.0
    notes: tuple[str, ...] = ()
    for piece in read_pieces(path):  # constant memory, however long the sound
        frames, sample_rate, channels = frames + piece.samples.shape[1], piece.sample_rate, piece.channels
        peak = max(peak, piece.peak)
        notes = piece.notes  # those of the last piece cover the whole file
    tags = read_tags(path)
    return {
        "kind": "sound",
        "duration": frames / sample_rate,
        "sample_rate": sample_rate,
        "channels": channels,
        "peak": peak,
        "notes": notes,
        "made_by": parse_audio_comment(tags.get("comment", "")),
        "tags": tags,
    }


def rows(facts: ImageFacts | SoundFacts) -> list[tuple[str, str]]:
    """Format the result of :func:`describe` as (label, value) rows."""
    if facts["kind"] == "sound":
        lines = [
            ("duration", f"{facts['duration']:.3f} s"),
            ("sample rate", f"{facts['sample_rate']} Hz"),
            ("channels", str(facts["channels"])),
            ("peak", f"{facts['peak']:.3f} of full scale"),
        ]
        lines += [("note", note) for note in facts["notes"]]
        made = facts["made_by"]
        if made is not None:
            lines += [(name, str(made[key])) for key, name in _MADE_BY.items() if key in made]
        return lines + [
            (name, str(value)) for name, value in facts["tags"].items() if made is None or name != "comment"
        ]
    params, max_value = facts["params"], facts["max_value"]
    lines = [
        ("picture", f"{facts['width']} x {facts['height']}, {facts['mode']}"),
        ("sound", f"{facts['duration']:.2f} s, {'stereo' if params['stereo'] else 'mono'}"),
        ("parameters", _RECORDS.get(facts["record"], facts["record"])),
        ("sample rate", f"{params['sample_rate']} Hz"),
        ("step", f"{params['step_size_ms']:.6g} ms a column"),
        ("window", f"{params['window_duration_ms']:.6g} ms, padded to {params['padded_duration_ms']:.6g} ms"),
        ("frequencies", f"{params['num_frequencies']}, {params['min_frequency']} to {params['max_frequency']} Hz"),
        ("power", f"{params['power_for_image']:g}"),
        ("max value", "not recorded" if max_value is None else f"{max_value:g}"),
    ]
    lines += [(name.replace("_", " "), str(params[name])) for name in LATER_FIELDS if name in params]
    lines += [("note", note) for note in facts["notes"]]
    shown = {*params, "max_value", "text riffusion", "text riffusion spectrogram", "spectrogram"}
    return lines + [(name, str(value)) for name, value in facts["tags"].items() if name not in shown]
