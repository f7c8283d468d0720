"""What a host's saved images carry of ours: the parameters of their spectrogram, and the name they really got."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from riffusion_ext.host.images.generated_images import SAVED_AS, newest_of_sequence
from riffusion_ext.validation.json_text import loads

__all__ = ["add_record", "after_saving"]

_RECORD_KEY = "riffusion"  # riffusion_ext.metadata.TEXT_KEY, which would load that module at the host's start
_WITH_EXIF = (".jpg", ".jpeg", ".webp")


def add_record(params: Any) -> None:
    """Put the parameters that the Script gave an image among the texts of its PNG file.

    Also when an image made before is saved again, by the button under the gallery. Masks, grids and images before a
    later step were given none; those that were enlarged since have other rows than the record says.
    """
    record = getattr(params.image, "info", {}).get(_RECORD_KEY)
    if isinstance(record, str) and _rows_of(record) == params.image.height:
        params.pnginfo[_RECORD_KEY] = record


def after_saving(params: Any, *, renamed: bool) -> None:
    """Put the parameters into a JPEG or WebP file, which take no texts from the host but its own; note its name.

    Parameters
    ----------
    params
        The host's, of the image that was just saved.
    renamed
        Whether the host gives a number to a file whose name was taken already.
    """
    path = Path(params.filename).absolute()
    if renamed:
        path = newest_of_sequence(path)
        setattr(params.image, SAVED_AS, str(path))
    record = params.pnginfo.get(_RECORD_KEY)
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
