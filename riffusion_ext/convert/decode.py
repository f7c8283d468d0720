"""Shared steps of decoding: open image files, decode them in batches, and write sound files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert.result import Progress, Result, explain
from riffusion_ext.errors import AudioError

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.spectrogram.codec import Decoded, DecodeSettings

__all__ = ["Task", "check_format", "decode_all", "decode_tasks", "images_per_batch", "open_image", "write_sound"]

logger = logging.getLogger(__name__)

BATCH_IMAGES = 8
"""Most images in a batch."""

BATCH_COLUMNS = BATCH_IMAGES * 512
"""Most columns in a batch: a wide image counts as several, which bounds the memory."""


@dataclass(frozen=True)
class Task:
    """An image to be decoded.

    Attributes
    ----------
    source
        Image file.
    target
        Sound file to write; None for none.
    image
        The image, or the result if it is not decoded.
    existing_result
        Result to yield if the sound file exists, but the sound is needed for the track.
    """

    source: Path
    target: Path | None
    image: Image.Image | Result
    existing_result: Result | None = None

    @property
    def size(self) -> dict[str, int]:
        """Width and height in px, for :attr:`Result.details`."""
        return {} if isinstance(self.image, Result) else {"width": self.image.width, "height": self.image.height}


def open_image(source: Path) -> Image.Image | Result:
    """Open an image; return a result with the error if that fails."""
    from riffusion_ext.spectrogram.codec import read_image

    try:
        return read_image(source)
    except Exception as error:
        return Result(source, error=explain(error))


def decode_tasks(
    tasks: Iterable[Task], settings: DecodeSettings, progress: Progress | None = None
) -> Iterator[tuple[Task, Decoded | Result]]:
    """Decode images, in batches if the device benefits from it.

    Parameters
    ----------
    tasks
        Consumed lazily, so that not all images are in memory.
    settings
        Decoding settings.
    progress
        Called with the fraction of the current batch that is done.

    Yields
    ------
    task, sound
        In order; a result in place of the sound if there is none.
    """
    batch_size = images_per_batch(settings.device)
    batch: list[Task] = []
    columns = images = 0
    for task in tasks:
        width = 0 if isinstance(task.image, Result) else task.image.width
        if images and width and (images == batch_size or columns + width > BATCH_COLUMNS):
            yield from _decode_batch(batch, settings, progress)
            batch, columns, images = [], 0, 0
        batch.append(task)
        columns += width
        images += width > 0
    yield from _decode_batch(batch, settings, progress)


def check_format(name: str) -> None:
    """Check that a sound format can be written, before any work is done.

    Raises
    ------
    AudioError
        The format needs the package soundfile, which is not installed.
    """
    from riffusion_ext.audio.io import available_formats

    if name not in available_formats():
        raise AudioError(
            f"{name} needs the Python package soundfile, which is not installed here; wav works without it"
        )


def images_per_batch(device: str) -> int:
    """Return the number of images in a batch.

    A GPU is faster with many. On a CPU each core decodes one image; larger batches would only delay finished files.
    """
    import torch

    from riffusion_ext.spectrogram.device import resolve_device

    on_cpu = resolve_device(device).type == "cpu"
    return min(torch.get_num_threads(), BATCH_IMAGES) if on_cpu else BATCH_IMAGES


def _decode_batch(
    batch: Sequence[Task], settings: DecodeSettings, progress: Progress | None
) -> Iterator[tuple[Task, Decoded | Result]]:
    images = [task.image for task in batch if not isinstance(task.image, Result)]
    sounds = iter(decode_all(images, settings, progress=progress))
    for task in batch:
        if isinstance(task.image, Result):
            yield task, task.image
            continue
        sound = next(sounds)
        yield task, Result(task.source, error=explain(sound)) if isinstance(sound, Exception) else sound


def decode_all(
    images: Sequence[Image.Image],
    settings: DecodeSettings,
    *,
    progress: Progress | None = None,
    on_failure: Callable[[Exception], object] | None = None,
    propagate: tuple[type[Exception], ...] = (),
) -> Sequence[Decoded | Exception]:
    """Decode images as one batch; if it fails, one by one, so that no image affects the others.

    Parameters
    ----------
    images
        May be empty.
    settings
        Decoding settings.
    progress
        Called with the part that is done; what it raises stops the work if `propagate` names it.
    on_failure
        Called with the error of the batch before the images are decoded one by one; None logs it.
    propagate
        Types of errors that are raised instead of returned.

    Returns
    -------
    list
        In the order of the images: the sound, or the error.
    """
    from riffusion_ext.spectrogram.codec import images_to_audio

    if not images:
        return []
    try:
        return images_to_audio(list(images), settings, progress=progress)
    except propagate:
        raise
    except Exception as error:
        if len(images) == 1:
            return [error]
        if on_failure is not None:
            on_failure(error)
        else:
            logger.debug("a batch of %d failed, trying one by one", len(images), exc_info=error)
    sounds: list[Decoded | Exception] = []
    for number, image in enumerate(images):
        part = _part_progress(progress, number, len(images))
        if part is not None:
            part(0.0)
        sounds += decode_all([image], settings, progress=part, propagate=propagate)
    return sounds


def _part_progress(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Return a callback that maps the progress of one of `count` parts to that of the whole."""
    return None if progress is None else lambda share: progress((number + share) / count)


def write_sound(
    source: Path, target: Path, sound: Decoded, settings: DecodeSettings, *, subtype: str, details: Mapping[str, object]
) -> Result:
    """Write a sound file with its recipe in the tags; never raises."""
    from riffusion_ext.audio.save import save_clip

    made = {"engine": settings.engine, "level": settings.level, "source": source.name, **sound.recipe}
    try:
        level = sound.max_value if sound.recorded else None
        path = save_clip(
            sound.clip, target, sound.params, max_value=level, title=target.stem, recipe=made, subtype=subtype
        )
    except Exception as error:
        return Result(source, error=explain(error))
    return Result(source, (path,), notes=sound.notes, details={**details, **_clip_details(sound.clip)})


def _clip_details(clip: AudioClip) -> dict[str, object]:
    return {"duration": round(clip.duration, 6), "sample_rate": clip.sample_rate, "channels": clip.channels}
