"""Convert sound files to image files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert.bounds import TILE_COLUMNS
from riffusion_ext.convert.result import Existing, Result, check_existing, explain
from riffusion_ext.errors import ImageError
from riffusion_ext.validation.numbers import in_range

if TYPE_CHECKING:
    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.params import SpectrogramParams
    from riffusion_ext.spectrogram.codec import EncodedImage

__all__ = ["MAX_WIDTHS", "sounds_to_images", "tile_path"]

MAX_WIDTHS = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
"""Largest image width of formats that have a limit, in px; 65500 is the limit of the JPEG library."""


_MAX_NAMED = 8


def sounds_to_images(
    pairs: Iterable[tuple[Path, Path]],
    params: SpectrogramParams,
    *,
    columns: int | None = None,
    tile_level: str = "song",
    start: float = 0.0,
    duration: float | None = None,
    existing: Existing = "refuse",
    own_rate: bool = False,
) -> Iterator[Result]:
    """Convert sound files to spectrogram images.

    Parameters
    ----------
    pairs
        (sound, image) pairs. With ``columns``, the tiles of ``song.png`` are ``song_00000.png`` and so on.
    params
        Parameters of the images; the sound is resampled and mixed accordingly.
    columns
        Width of consecutive tiles, the last padded with silence; None for one image of the whole sound.
    tile_level
        ``"song"``: one scale for all tiles, so that they can be joined; ``"tile"``: one for each tile.
    start, duration
        The part of each sound to use, in seconds; None for the rest.
    existing
        What to do with existing files.
    own_rate
        Use the sample rate of each sound instead of that of the parameters.

    Yields
    ------
    Result
        One for each pair. ``details``: ``duration`` of the sound in s, ``width``, ``height``, ``tiles``, ``max_value``.

    Raises
    ------
    RiffusionError
        `columns` is out of range.
    """
    from riffusion_ext.audio.io import read_audio

    if columns is not None:
        in_range("the width of a tile", columns, *TILE_COLUMNS, whole=True)
    for source, target in pairs:
        try:
            clip = read_audio(source, start=start, duration=duration)
            fitting = params.replace(sample_rate=clip.sample_rate) if own_rate else params
            yield _encode(source, target, clip, fitting, columns, tile_level, existing)
        except Exception as error:
            yield Result(source, error=explain(error))


def _encode(
    source: Path,
    target: Path,
    clip: AudioClip,
    params: SpectrogramParams,
    columns: int | None,
    tile_level: str,
    existing: Existing,
) -> Result:
    from riffusion_ext.spectrogram.codec import audio_to_image, audio_to_images

    width = params.columns_of_samples(math.ceil(clip.samples.shape[1] * params.sample_rate / clip.sample_rate))
    tiles = 1 if columns is None else math.ceil(width / columns)
    _check_width(source, target.suffix.lower(), columns or width)
    targets = [target] if columns is None else [tile_path(target, number) for number in range(tiles)]
    done = check_existing(source, targets, existing)
    if done is not None:
        return done
    if columns is None:
        images = [audio_to_image(clip, params)]
    else:
        images = audio_to_images(clip, params, columns=columns, level=tile_level)
    result = _write_images(source, targets, images, clip)
    older = () if columns is None else _older_tiles(target, tiles)
    return replace(result, notes=(*clip.notes, *older))


def _check_width(source: Path, suffix: str, width: int) -> None:
    limit = MAX_WIDTHS.get(suffix, width)
    if width > limit:
        raise ImageError(
            f"{source.name} makes an image {width} px wide, but {suffix} files hold {limit}: "
            "write png, or cut it into tiles"
        )


def tile_path(target: Path, number: int) -> Path:
    """Return the path of a tile: ``song.png`` -> ``song_00007.png``, which sorts correctly everywhere."""
    return target.with_name(f"{target.stem}_{number:05d}{target.suffix}")


def _older_tiles(target: Path, tiles: int) -> tuple[str, ...]:
    """Return a note about tiles left over from a longer song of this name, which would be joined with the new ones."""
    later = re.compile(re.escape(target.stem) + r"_([0-9]{5,})" + re.escape(target.suffix))
    found = ((later.fullmatch(path.name), path.name) for path in target.parent.iterdir())
    names = sorted(name for match, name in found if match and int(match[1]) >= tiles)
    if not names:
        return ()
    shown = ", ".join(names[:_MAX_NAMED])
    if len(names) > _MAX_NAMED:
        shown += f" and {len(names) - _MAX_NAMED} more"
    return (f"older tiles of this name follow the {tiles} new ones and would be joined with them: {shown}",)


def _write_images(source: Path, targets: Sequence[Path], images: Sequence[EncodedImage], clip: AudioClip) -> Result:
    from riffusion_ext.metadata import save_image

    first = images[0]
    paths = [
        save_image(image.image, target, image.params, image.max_value, source.name)
        for target, image in zip(targets, images, strict=True)
    ]
    details = {
        "duration": round(clip.duration, 6),
        "width": first.image.width,
        "height": first.image.height,
        "tiles": len(images),
        "max_value": first.max_value,
    }
    return Result(source, tuple(paths), details=details)
