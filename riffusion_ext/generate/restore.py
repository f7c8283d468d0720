"""From a file that was made here back to the settings that it was made with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.record import read_record

__all__ = ["KINDS", "settings_in"]

KINDS = ("song", "riff", "loop")

_KEY = re.compile(r'Riffusion (song|riff|loop): ("(?:[^"\\]|\\.)*"|[^,\n]*)')


def settings_in(path: Path, name: str = "") -> tuple[str, Any]:
    """Read what a sound or picture was made with.

    Parameters
    ----------
    path
        A sound file or a picture.
    name
        What its user calls it, for messages; else its file name.

    Returns
    -------
    kind
        One of :data:`KINDS`.
    settings
        :class:`~riffusion_ext.generate.song.SongSettings`, or those of a riff or a loop.

    Raises
    ------
    RiffusionError
        It holds no such record, or none that can be read.
    """
    name = name or path.name
    found = _in_sound(path) or _in_picture(path)
    if found is None:
        raise RiffusionError(f"{name} does not say how it was made: it is no song, riff or loop of this program")
    kind, record = found
    return kind, read_record(_settings_of(kind), record)


def _settings_of(kind: str) -> type[Any]:
    if kind == "song":
        from riffusion_ext.generate.song import SongSettings

        return SongSettings
    if kind == "riff":
        from riffusion_ext.generate.riff_settings import RiffSettings

        return RiffSettings
    from riffusion_ext.generate.loops import LoopSettings

    return LoopSettings


def _in_sound(path: Path) -> tuple[str, dict[str, Any]] | None:
    from riffusion_ext.audio.io import read_tags
    from riffusion_ext.metadata import parse_audio_comment

    try:
        comment = read_tags(path).get("comment", "")
    except RiffusionError:  # no sound: perhaps a picture
        return None
    record = parse_audio_comment(comment) or {}
    return next(((kind, record[kind]) for kind in KINDS if isinstance(record.get(kind), dict)), None)


def _in_picture(path: Path) -> tuple[str, dict[str, Any]] | None:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            text = picture.info.get("parameters")
    except Exception:  # Pillow raises many kinds of error for what is no picture
        return None
    return settings_in_text(text) if isinstance(text, str) else None


def settings_in_text(text: str) -> tuple[str, dict[str, Any]] | None:
    """Return kind and record in generation parameters; None where there are none of ours."""
    match = _KEY.search(text)
    if match is None:
        return None
    try:
        value = json.loads(match[2])
        record = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return (match[1], record) if isinstance(record, dict) else None
