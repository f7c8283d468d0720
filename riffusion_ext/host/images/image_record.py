"""Spectrogram parameters in the metadata of generated images, so that they sound the same everywhere.

Models write no metadata. The parameters are those that the user chose, else those of img2img's start image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams, size_note

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.metadata import ImageRecord

__all__ = ["record_of", "with_record"]


def record_of(chosen: SpectrogramParams | None, start: ImageRecord | None, height: int, width: int = 0) -> str:
    """Return the metadata of a generated image as JSON; "" if its height is not that of a spectrogram.

    Also "" if nobody chose parameters, and the size is that of another model's images: its preset is suggested then.

    Parameters
    ----------
    chosen
        Parameters that the user chose; they take precedence over the start image's.
    start
        Metadata of img2img's start image, or None. Its level is kept, as the image is a variation of the same sound.
        Without a start image, no level is recorded.
    height
        Rows of the image, one per mel band.
    width
        Columns of the image.
    """
    from riffusion_ext.metadata import record_text

    if chosen is None and start is None and size_note(width, height):
        return ""
    params = chosen or (start.params if start else SpectrogramParams())
    try:
        return record_text(params.replace(num_frequencies=height), start.max_value if start else None)
    except RiffusionError:  # no height of a spectrogram; the codec reports it
        return ""


def with_record(image: Image.Image, record: str) -> Image.Image:
    """Return a copy of the image with the metadata; the host's image is not changed."""
    from riffusion_ext.metadata import with_record_text

    copy = image.copy()
    if record:
        with_record_text(copy, record)
    return copy
