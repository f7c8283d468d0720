"""Spectrogram parameters in the image files that a host saves, and the actual names of the files."""

from __future__ import annotations

from pathlib import Path

from riffusion_ext.host.base import HostObject
from riffusion_ext.host.images.generated_images import SAVED_AS, newest_of_sequence
from riffusion_ext.validation.json_text import loads

__all__ = ["add_record", "after_saving"]

_RECORD_KEYS = ("riffusion", "riffusion spectrogram")
"""TEXT_KEY and OTHER_TEXT_KEY of :mod:`riffusion_ext.metadata`, which is not loaded at the host's start."""
_WITH_EXIF = (".jpg", ".jpeg", ".webp")


def add_record(params: HostObject) -> None:
    """Add the parameters that the Script attached to an image to the texts of its PNG file.

    Also for an earlier image that is saved by the button below the gallery. Masks, grids and intermediate images have
    no parameters. Images that were upscaled afterwards are skipped, as their height differs from the parameters'.
    """
    for key in _RECORD_KEYS:
        record = getattr(params.image, "info", {}).get(key)
        if isinstance(record, str) and _rows_of(record) == params.image.height:
            params.pnginfo[key] = record


def after_saving(params: HostObject, *, renamed: bool) -> None:
    """Write the parameters into a JPEG or WebP file, which the host does not do, and record the file's name.

    Parameters
    ----------
    params
        The host's parameters of the callback for the saved image.
    renamed
        Whether the host appends a number to the name of a file that exists.
    """
    path = Path(params.filename).absolute()
    if renamed:
        path = newest_of_sequence(path)
        setattr(params.image, SAVED_AS, str(path))
    for record in map(params.pnginfo.get, _RECORD_KEYS):
        if isinstance(record, str) and path.suffix.lower() in _WITH_EXIF:
            _add_tags(path, record)


def _add_tags(path: Path, record: str) -> None:
    from riffusion_ext.exif_block import with_tags
    from riffusion_ext.files.atomic import write_atomically
    from riffusion_ext.files.regular import read_regular
    from riffusion_ext.metadata import exif_tags

    data = with_tags(read_regular(path), exif_tags(record))
    if data is not None:
        write_atomically(path, lambda file: file.write(data))


def _rows_of(record: str) -> object:
    try:
        return loads(record)["num_frequencies"]
    except (ValueError, KeyError, TypeError):
        return None
