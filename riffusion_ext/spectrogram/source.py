"""Sources of mel magnitudes for decoding: an image, or the joined tiles of a song."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import median

import numpy as np
from PIL import Image

from riffusion_ext.errors import ImageError
from riffusion_ext.metadata import read_record
from riffusion_ext.params import SpectrogramParams, size_note
from riffusion_ext.spectrogram.image import is_stereo, pixels_of, pixels_to_mel
from riffusion_ext.spectrogram.inversion.gain import split_gain
from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["Source", "join_sources", "source_from_image", "unrecorded_size"]


@dataclass(frozen=True)
class Source:
    """Mel magnitudes to be decoded.

    Attributes
    ----------
    params
        Parameters of the spectrogram.
    columns
        Number of frames.
    max_value
        Magnitude of black, in 16-bit sample units; the largest of all tiles.
    notes
        Sentences about anything assumed or ignored.
    mel
        ``mel(start, stop)`` computes the magnitudes [C, stop - start, n_mels] of these columns.
    recorded
        Whether `max_value` is recorded in the image; otherwise it is the default.
    unit
        Unit of the magnitudes, in 16-bit sample units. For images, the part of `max_value` that is not a power of
        two: so equal pixels give bit-identical reconstructions, whatever level is recorded.
    """

    params: SpectrogramParams
    columns: int
    max_value: float
    notes: tuple[str, ...]
    mel: Callable[[int, int], np.ndarray]
    recorded: bool = False
    unit: float = 1.0

    def in_sample_units(self) -> Source:
        """Return the source with magnitudes in 16-bit sample units."""
        if self.unit == 1.0:
            return self
        return replace(self, unit=1.0, mel=lambda start, stop: self.mel(start, stop) * np.float32(self.unit))


def join_sources(tiles: Sequence[Source]) -> Source:
    """Concatenate tiles of equal parameters.

    The result is stereo if any tile is; mono tiles are then copied to both channels. Tiles without a recorded level get
    the median level of those that have one: img2img drops the record.

    Raises
    ------
    ImageError
        The parameters of a tile differ from the first one's in more than the channels.
    """
    if any(tile.params.stereo for tile in tiles):
        tiles = [_to_stereo(tile) for tile in tiles]
    for number, tile in enumerate(tiles, 1):
        if tile.params != tiles[0].params:
            raise ImageError(f"image {number} has other spectrogram parameters than the first; they cannot be joined")
    levels = [tile.max_value for tile in tiles if tile.recorded]
    if levels:
        tiles = [tile if tile.recorded else _at_level(tile, median(levels)) for tile in tiles]
    starts = [0, *accumulate(tile.columns for tile in tiles)]
    unit = max(tile.unit for tile in tiles)

    def mel(start: int, stop: int) -> np.ndarray:
        parts = []
        for first, tile in zip(starts, tiles, strict=False):
            low, high = max(start - first, 0), min(stop - first, tile.columns)
            if low < high:
                part = tile.mel(low, high)
                parts.append(part if tile.unit == unit else part * np.float32(tile.unit / unit))
        return np.concatenate(parts, axis=1)

    notes = tuple(dict.fromkeys(note for tile in tiles for note in tile.notes))
    return Source(tiles[0].params, starts[-1], max(tile.max_value for tile in tiles), notes, mel, unit=unit)


def _to_stereo(tile: Source) -> Source:
    """Copy the channel of a mono tile to a second one."""
    if tile.params.stereo:
        return tile
    return replace(
        tile,
        params=tile.params.replace(stereo=True),
        mel=lambda start, stop: np.repeat(tile.mel(start, stop), 2, axis=0),
    )


def _at_level(tile: Source, max_value: float) -> Source:
    """Return a tile with another magnitude of black."""
    note = "an image without a record of its level among others that have one: it gets their median"
    unit = tile.unit * (max_value / tile.max_value)
    return replace(tile, max_value=max_value, notes=(*tile.notes, note), unit=unit)


def unrecorded_size(width: int, height: int, usual: int) -> str:
    """Return a note about an image without recorded parameters that has an unusual height."""
    return size_note(width, height) or (
        f"the image carries no parameters and has {height} rows, where those of models have {usual}; each is taken "
        f"for a mel band. If it was scaled from {usual} rows, scale it back: else its time is stretched, too"
    )


def source_from_image(image: Image.Image, settings: DecodeSettings) -> Source:
    """Read the pixels of an image and determine its parameters.

    Raises
    ------
    ImageError
        The image cannot be decoded; the message says why.
    """
    record = read_record(image)
    params = settings.params or record.params
    pixels = pixels_of(image, silence=params.silence)
    height = pixels.shape[0]
    notes = list(record.notes)
    if params.num_frequencies != height:
        if record.source != "none" or settings.params is not None:
            notes.append(
                f"the image has {height} rows instead of {params.num_frequencies}; each is taken for a mel band"
            )
        else:
            notes.append(unrecorded_size(pixels.shape[1], height, params.num_frequencies))
        params = params.replace(num_frequencies=height)
    stereo = is_stereo(pixels)
    if settings.channels == "auto":
        if stereo and not params.stereo:
            notes.append("the image's red is empty: it is stereo, left in green and right in blue")
        params = params.replace(stereo=stereo or params.stereo)
    else:
        params = params.replace(stereo=settings.channels == "stereo")
        if stereo and not params.stereo:  # red is empty: mono is the mix of both sides
            pixels = np.repeat(((pixels[..., 1:2].astype(np.float32) + pixels[..., 2:3]) / 2), 3, axis=2)
    if ((pixels[..., 1:] if params.stereo else pixels[..., 0]) == params.silence).all():
        notes.append(f"the image is {'white' if params.silence else 'black'} all over, which is silence")
    max_value = record.max_value or params.default_max_value
    black, unit = split_gain(max_value)

    def mel(start: int, stop: int) -> np.ndarray:
        return pixels_to_mel(pixels[:, start:stop], params, black)

    return Source(params, pixels.shape[1], max_value, tuple(notes), mel, record.max_value is not None, unit)
