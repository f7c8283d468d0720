"""Files of sound to files of pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert.result import Existing, Result, already_there, explain
from riffusion_ext.errors import PictureError

if TYPE_CHECKING:
    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.spectrogram.codec import EncodedPicture
    from riffusion_ext.spectrogram.params import SpectrogramParams

__all__ = ["WIDEST", "sounds_to_pictures", "tile_path"]

WIDEST = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
"""Widest picture of formats that have a limit, in px; 65500 is that of the library that writes JPEG."""


def sounds_to_pictures(
    pairs: Iterable[tuple[Path, Path]],
    params: SpectrogramParams,
    *,
    columns: int | None = None,
    tile_level: str = "song",
    start: float = 0.0,
    duration: float | None = None,
    existing: Existing = "refuse",
) -> Iterator[Result]:
    """Turn sound files into spectrogram pictures.

    Parameters
    ----------
    pairs
        (sound, picture) pairs. With ``columns``, the tiles of ``song.png`` are ``song_00000.png`` and so on.
    params
        The parameters of the pictures; the sound is resampled and mixed to them.
    columns
        Width of consecutive tiles, the last filled up with silence; None for one picture as wide as the sound is long.
    tile_level
        ``"song"``: all tiles on one scale, so that they fit together again; ``"tile"``: each on its own.
    start, duration
        The part of each sound to use, in seconds; None for all that follows.
    existing
        What to do where a picture is there already.

    Yields
    ------
    Result
        One for each pair. ``details``: ``duration`` of the sound in s, ``width``, ``height``, ``tiles``, ``max_value``.
    """
    for source, target in pairs:
        try:
            yield _encode(source, target, params, columns, tile_level, (start, duration), existing)
        except Exception as error:
            yield Result(source, error=explain(error))


def _encode(
    source: Path,
    target: Path,
    params: SpectrogramParams,
    columns: int | None,
    tile_level: str,
    part: tuple[float, float | None],
    existing: Existing,
) -> Result:
    from riffusion_ext.audio.io import read_audio
    from riffusion_ext.spectrogram.codec import audio_to_picture, audio_to_pictures

    clip = read_audio(source, start=part[0], duration=part[1])
    width = params.columns_of_samples(math.ceil(clip.samples.shape[1] * params.sample_rate / clip.sample_rate))
    tiles = 1 if columns is None else math.ceil(width / columns)
    _check_width(source, target.suffix.lower(), columns or width)
    targets = [target] if columns is None else [tile_path(target, number) for number in range(tiles)]
    done = already_there(source, targets, existing)
    if done is not None:
        return done
    if columns is None:
        pictures = [audio_to_picture(clip, params)]
    else:
        pictures = audio_to_pictures(clip, params, columns=columns, level=tile_level)
    return _write_pictures(source, targets, pictures, clip)


def _check_width(source: Path, suffix: str, width: int) -> None:
    widest = WIDEST.get(suffix, width)
    if width > widest:
        raise PictureError(
            f"{source.name} makes a picture {width} px wide, but {suffix} files hold {widest}: "
            "write png, or cut it into tiles"
        )


def tile_path(target: Path, number: int) -> Path:
    """Path of a song's tile: ``song.png`` -> ``song_00007.png``, which sorts right everywhere."""
    return target.with_name(f"{target.stem}_{number:05d}{target.suffix}")


def _write_pictures(
    source: Path, targets: Sequence[Path], pictures: Sequence[EncodedPicture], clip: AudioClip
) -> Result:
    from riffusion_ext.metadata import save_picture

    first = pictures[0]
    paths = [
        save_picture(picture.image, target, picture.params, picture.max_value)
        for target, picture in zip(targets, pictures, strict=True)
    ]
    details = {
        "duration": round(clip.duration, 6),
        "width": first.image.width,
        "height": first.image.height,
        "tiles": len(pictures),
        "max_value": first.max_value,
    }
    return Result(source, tuple(paths), details=details)
