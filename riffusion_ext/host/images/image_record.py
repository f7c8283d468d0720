"""What a generated image says of itself: the parameters of its spectrogram, so that it sounds the same anywhere.

A model writes no such record. It is made of what the user chose and what the start image of img2img said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.metadata import ImageRecord

__all__ = ["record_of", "with_record"]


def record_of(chosen: SpectrogramParams | None, start: ImageRecord | None, height: int) -> str:
    """Return the record of a generated image as JSON, or nothing where none makes sense.

    Parameters
    ----------
    chosen
        Parameters that the user chose; they win over what the start image says.
    start
        Record of img2img's start image, or None. Its level is kept: the image is a new version of the same sound.
        Without it no level is claimed.
    height
        Rows of the image, each of them a mel band.
    """
    from riffusion_ext.metadata import record_text

    params = chosen or (start.params if start else SpectrogramParams())
    try:
        return record_text(params.replace(num_frequencies=height), start.max_value if start else None)
    except RiffusionError:  # a height that is no spectrogram's; the codec says so
        return ""


def with_record(image: Image.Image, record: str) -> Image.Image:
    """Return a copy of the image that carries the record; the host's own image stays as it is."""
    from riffusion_ext.metadata import TEXT_KEY

    copy = image.copy()
    if record:
        copy.info[TEXT_KEY] = record
    return copy
