"""Image files opened, turned into sound a few at a time, and sound files written: what all ways to sound share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.convert.result import Progress, Result, explain
from riffusion_ext.errors import AudioError

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.spectrogram.codec import Decoded, DecodeSettings

__all__ = ["Task", "check_format", "decode_all", "decode_tasks", "images_per_batch", "open_image", "write_sound"]

logger = logging.getLogger(__name__)

BATCH_IMAGES = 8
"""Images inverted at once."""

BATCH_COLUMNS = BATCH_IMAGES * 512
"""Columns inverted at once: a wide image counts for several, so that memory stays bounded."""


@dataclass(frozen=True)
class Task:
    """An image on its way to sound.

    Attributes
    ----------
    source
        The image's file.
    target
        The sound file to write; None for none of its own.
    image
        The image, or the result of one that is not worked on.
    existing_result
        The result to give where the sound is needed, but not the file.
    """

    source: Path
    target: Path | None
    image: Image.Image | Result
    existing_result: Result | None = None

    @property
    def size(self) -> dict[str, int]:
        """Width and height in px, for the details of a result."""
        return {} if isinstance(self.image, Result) else {"width": self.image.width, "height": self.image.height}


def open_image(source: Path) -> Image.Image | Result:
    """Open an image, or say why it cannot be opened."""
    from riffusion_ext.spectrogram.codec import read_image

    try:
        return read_image(source)
    except Exception as error:
        return Result(source, error=explain(error))


def decode_tasks(
    tasks: Iterable[Task], settings: DecodeSettings, progress: Progress | None = None
) -> Iterator[tuple[Task, Decoded | Result]]:
    """Turn images into sound, several at once where the device gains by it.

    Parameters
    ----------
    tasks
        Taken one by one, so that not all images are in memory.
    settings
        How to decode.
    progress
        Called with the part of the present batch that is done.

    Yields
    ------
    task, sound
        In their order; a result instead of the sound where there is none.
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
    """Check that a sound format can be written here, before the work is done for nothing.

    Raises
    ------
    AudioError
        It cannot.
    """
    from riffusion_ext.audio.io import available_formats

    if name not in available_formats():
        raise AudioError(
            f"{name} needs the Python package soundfile, which is not installed here; wav works without it"
        )


def images_per_batch(device: str) -> int:
    """Return how many images to hand over together.

    A GPU is faster with many. On a CPU each core takes an image; more than there are cores would only keep finished
    files waiting.
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
    """Turn images into sound as one batch; one by one where the batch fails, so that no image spoils the others.

    Parameters
    ----------
    images
        In any number.
    settings
        How to decode.
    progress
        Called with the part that is done; what it raises stops the work if `propagate` names it.
    on_failure
        Called with the error of the batch before the images are tried one by one; None writes it to the log.
    propagate
        Errors that are raised, and not returned.

    Returns
    -------
    list
        In the order of the images: a sound, or the error in its place.
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
    """Return what takes in the progress of one part of so many."""
    return None if progress is None else lambda share: progress((number + share) / count)


def write_sound(
    source: Path, target: Path, sound: Decoded, settings: DecodeSettings, *, subtype: str, details: dict[str, Any]
) -> Result:
    """Write a sound file that tells how it was made; never raises."""
    from riffusion_ext.audio.save import save_clip

    made = {"engine": settings.engine, "level": settings.level, "source": source.name}
    try:
        level = sound.max_value if sound.recorded else None
        path = save_clip(
            sound.clip, target, sound.params, max_value=level, title=target.stem, recipe=made, subtype=subtype
        )
    except Exception as error:
        return Result(source, error=explain(error))
    return Result(source, (path,), notes=sound.notes, details={**details, **_clip_details(sound.clip)})


def _clip_details(clip: AudioClip) -> dict[str, Any]:
    return {"duration": round(clip.duration, 6), "sample_rate": clip.sample_rate, "channels": clip.channels}
