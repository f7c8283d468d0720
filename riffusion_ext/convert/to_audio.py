"""Convert image files to sound files: one for each image, or one song from its tiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert.decode import Task, decode_tasks, open_image, write_sound
from riffusion_ext.convert.result import Existing, Progress, Result, check_existing, explain

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.spectrogram.codec import DecodeSettings

__all__ = ["images_to_sounds", "song_to_sound"]


def images_to_sounds(
    pairs: Iterable[tuple[Path, Path]],
    settings: DecodeSettings,
    *,
    existing: Existing = "refuse",
    subtype: str = "pcm16",
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Decode images to sound files, in batches if the device benefits from it.

    Parameters
    ----------
    pairs
        (image, sound file) pairs; the suffix of the sound file selects its format.
    settings
        Decoding settings.
    existing
        What to do with existing files.
    subtype
        ``"pcm16"``, ``"pcm24"`` or ``"float"``, for WAV and FLAC.
    progress
        Called with the fraction of the current batch that is done.

    Yields
    ------
    Result
        One for each pair, in order. ``details`` holds ``duration`` (s), ``sample_rate``, ``channels``, ``width``
        and ``height``.
    """
    tasks = (
        Task(source, target, check_existing(source, [target], existing) or open_image(source))
        for source, target in pairs
    )
    for task, sound in decode_tasks(tasks, settings, progress):
        if isinstance(sound, Result):
            yield sound
        elif task.target is not None:
            yield write_sound(task.source, task.target, sound, settings, subtype=subtype, details=task.size)


def _open_all(sources: Sequence[Path]) -> tuple[list[tuple[Path, Image.Image]], list[Result]]:
    good: list[tuple[Path, Image.Image]] = []
    bad: list[Result] = []
    for source in sources:
        image = open_image(source)
        if isinstance(image, Result):
            bad.append(image)
        else:
            good.append((source, image))
    return good, bad


def _with_silence(sources: Sequence[Path], there: Mapping[Path, Image.Image]) -> list[Image.Image]:
    """Return the images of a song, with missing ones replaced by white images like the previous or the next one."""
    from PIL import Image

    like = next(iter(there.values()))
    images: list[Image.Image] = []
    for source in sources:
        if source in there:
            like = there[source]
            images.append(like)
        else:
            silence = Image.new("RGB", like.size, "white")
            silence.info.update(like.info)  # recorded parameters and level
            images.append(silence)
    return images


def song_to_sound(
    sources: Sequence[Path],
    target: Path,
    settings: DecodeSettings,
    *,
    existing: Existing = "refuse",
    subtype: str = "pcm16",
    progress: Progress | None = None,
) -> list[Result]:
    """Decode consecutive tiles of one song to one sound file, with a single reconstruction and no seams.

    Returns the results of the images that could not be read and, last, that of the song, whose ``source`` is the folder
    of the first image. Unreadable images are replaced by silence, so that later tiles keep their time.
    """
    from riffusion_ext.spectrogram.codec import song_to_audio

    folder = sources[0].parent
    done = check_existing(folder, [target], existing)
    if done is not None:
        return [done]
    good, results = _open_all(sources)
    if not good:
        return [*results, Result(folder, error="none of the images can be read, so there is no song")]
    images = _with_silence(sources, dict(good))
    try:
        sound = song_to_audio(images, settings, progress=progress)
    except Exception as error:
        return [*results, Result(folder, error=explain(error))]
    if results:
        missed = f"silence stands in the place of {', '.join(result.source.name for result in results)}"
        sound = replace(sound, notes=(*sound.notes, missed))
    details = {"pictures": len(good), "width": sum(image.width for image in images)}
    return [*results, write_sound(folder, target, sound, settings, subtype=subtype, details=details)]
