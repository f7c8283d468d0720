"""Read the settings of a song, riff or loop back from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.regular import open_regular
from riffusion_ext.generate.checkpoint.recipe import read_record, records_in

if TYPE_CHECKING:
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.song import SongSettings

__all__ = ["KINDS", "images_in", "settings_in"]

KINDS = ("song", "riff", "loop")


def settings_in(path: Path, name: str = "") -> tuple[str, SongSettings | RiffSettings | LoopSettings]:
    """Read the settings that a sound or image was generated with.

    Parameters
    ----------
    path
        A sound file or an image.
    name
        Name for messages; the file name if empty.

    Returns
    -------
    kind
        One of :data:`KINDS`.
    settings
        :class:`~riffusion_ext.generate.song.SongSettings`, or those of a riff or a loop.

    Raises
    ------
    RiffusionError
        The file holds no such record, or an invalid one.
    """
    name = name or path.name
    found = _in_sound(path) or _in_image(path)
    if found is None:
        raise RiffusionError(f"{name} does not say how it was made: it is no song, riff or loop of this program")
    kind, record = found
    return kind, read_record(_settings_of(kind), record)


def _settings_of(kind: str) -> type[SongSettings] | type[RiffSettings] | type[LoopSettings]:
    if kind == "song":
        from riffusion_ext.generate.song import SongSettings

        return SongSettings
    if kind == "riff":
        from riffusion_ext.generate.riff_settings import RiffSettings

        return RiffSettings
    from riffusion_ext.generate.loop import LoopSettings

    return LoopSettings


def images_in(path: Path) -> dict[str, str]:
    """Return the ids of the input images of a sound or image of ours, by name; {} if there were none.

    See :func:`~riffusion_ext.generate.checkpoint.recipe.image_id`.
    """
    text = _comment(path).get("parameters") or _parameters(path)
    return {name: str(value) for name, value in records_in(str(text)).get("pictures", {}).items()}


def _in_sound(path: Path) -> tuple[str, object] | None:
    record = _comment(path)
    return next(((kind, record[kind]) for kind in KINDS if isinstance(record.get(kind), dict)), None)


def _in_image(path: Path) -> tuple[str, object] | None:
    records = records_in(_parameters(path))
    return next(((kind, records[kind]) for kind in KINDS if kind in records), None)


def _comment(path: Path) -> dict[str, object]:
    """Return the record in the comment of a sound file; {} if there is none."""
    from riffusion_ext.audio.io import read_tags
    from riffusion_ext.metadata import parse_audio_comment

    try:
        return parse_audio_comment(read_tags(path).get("comment", "")) or {}
    except RiffusionError:  # not a sound file: perhaps an image
        return {}


def _parameters(path: Path) -> str:
    """Return the generation parameters in an image; "" if there are none."""
    from PIL import Image

    try:
        with open_regular(path) as file, Image.open(file) as image:
            text = image.info.get("parameters")
    except Exception:  # Pillow raises many kinds of error for files that are not images
        return ""
    return text if isinstance(text, str) else ""
