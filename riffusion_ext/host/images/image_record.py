"""What a generated picture says of itself: the parameters of its spectrogram, so that it sounds the same anywhere.

A model writes no such record. It is made of what the user chose and what the start picture of img2img said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.metadata import PictureRecord

__all__ = ["record_of", "with_record"]


def record_of(chosen: SpectrogramParams | None, start: PictureRecord | None, height: int) -> str:
    """Return the record of a generated picture as JSON, or nothing where none makes sense.

    Parameters
    ----------
    chosen
        Parameters that the user chose; they win over what the start picture says.
    start
        Record of img2img's start picture, or None. Its level is kept: the picture is a new version of the same sound.
        Without it no level is claimed.
    height
        Rows of the picture, each of them a mel band.
    """
    from riffusion_ext.metadata import record_text

    params = chosen or (start.params if start else SpectrogramParams())
    try:
        return record_text(params.replace(num_frequencies=height), start.max_value if start else None)
    except RiffusionError:  # a height that is no spectrogram's; the codec says so
        return ""


def with_record(image: Image.Image, record: str) -> Image.Image:
    """Return a copy of the picture that carries the record; the host's own picture stays as it is."""
    from riffusion_ext.metadata import TEXT_KEY

    copy = image.copy()
    if record:
        copy.info[TEXT_KEY] = record
    return copy
