"""Draw how an image is cropped: its beats, the band they were found in, and the part that is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from riffusion_ext.convert.crop import CropDecision, Cropper, beats_of

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from riffusion_ext.analysis.image_beats import ImageBeats
    from riffusion_ext.params import SpectrogramParams

__all__ = ["preview"]

_STRIP = 128
"""Height of the curve below the image, in px."""

_BEAT, _BAND, _CUT = (220, 38, 38), (37, 99, 235, 48), (5, 150, 105)
_LIMIT, _CURVE, _UNHEARD = (217, 119, 6), (31, 41, 55), (255, 255, 255, 170)


def preview(image: Image.Image, cropper: Cropper, params: SpectrogramParams) -> tuple[Image.Image, CropDecision]:
    r"""Draw how an image is cropped.

    ::

        +---------------------+
        |  |   |   |   |   |  |   the image; unused parts are lightened, the ends of the cut are green,
        |==|===|===|===|===|==|   the analysed band is blue, beats are red
        |  |   |   |   |   |  |
        +---------------------+
        |_/\___/\__/\__/\__/\_|   onset strength of the band, and (amber) its threshold
        +---------------------+

    Parameters
    ----------
    image
        The image.
    cropper
        Determines the cut. With the method ``"once"``, the first image determines those of all others.
    params
        Parameters of the image.

    Returns
    -------
    drawing
        RGB, as wide as the image.
    decision
        How the image is cropped.

    Raises
    ------
    ImageError
        The image cannot be read.
    """
    from PIL import Image, ImageDraw

    from riffusion_ext.spectrogram.image import pixels_of

    pixels = pixels_of(image)
    settings, decision = cropper.settings, cropper.decide(image, params)
    beats = decision.beats if decision.beats is not None else beats_of(image, settings.finder, params)
    height, width = pixels.shape[:2]
    drawing = Image.new("RGB", (width, height + _STRIP), "white")
    drawing.paste(Image.fromarray(pixels.astype("uint8")))
    draw = ImageDraw.Draw(drawing, "RGBA")
    if decision.beats is not None:
        first, last = settings.finder.rows(height)
        draw.rectangle([(0, first), (width, last - 1)], fill=_BAND)
    _draw_curve(draw, beats, height, limited=decision.beats is not None)
    if decision.beats is not None:
        for column in beats.columns:
            draw.line([(column, 0), (column, drawing.height)], fill=_BEAT, width=1)
    _draw_cut(draw, decision, params.sample_rate / params.hop_length, (width, height))
    return drawing, decision


def _draw_curve(draw: ImageDraw.ImageDraw, beats: ImageBeats, top: int, *, limited: bool) -> None:
    """Draw the onset strength of each column, below the image."""
    scale = (_STRIP - 8) / max(float(beats.row.max()), 1e-9)
    bottom = top + _STRIP - 1
    for column, value in enumerate(beats.row):
        draw.line([(column, bottom), (column, bottom - value * scale)], fill=_CURVE)
    if limited:
        level = bottom - beats.limit * scale
        draw.line([(0, level), (len(beats.row), level)], fill=_LIMIT)


def _draw_cut(draw: ImageDraw.ImageDraw, decision: CropDecision, columns_per_s: float, size: tuple[int, int]) -> None:
    """Lighten the unused parts, and mark the ends of the cut."""
    if decision.cut is None:
        return
    width, height = size
    cut = decision.cut
    begin = 0.0 if cut.wrapped else cut.start * columns_per_s
    end = begin + cut.duration * columns_per_s
    for left, right in ((0.0, begin), (end, float(width))):
        if right - left >= 1:
            draw.rectangle([(left, 0), (right, height)], fill=_UNHEARD)
    for column in {begin, end, cut.start * columns_per_s}:
        at = min(max(column, 1.0), width - 2.0)
        draw.line([(at, 0), (at, height)], fill=_CUT, width=3)
