"""Files of pictures to files of sound: one each, one song of tiles, or clips joined."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.convert.result import Existing, Progress, Result, already_there, explain
from riffusion_ext.errors import AudioError

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.spectrogram.codec import Decoded, DecodeSettings

__all__ = ["check_format", "joined_clips", "pictures_to_sounds", "song_to_sound"]

logger = logging.getLogger(__name__)

BATCH_PICTURES = 8
"""Pictures inverted at once."""

BATCH_COLUMNS = BATCH_PICTURES * 512
"""Columns inverted at once: a wide picture counts for several, so that memory stays bounded."""


def pictures_to_sounds(
    pairs: Iterable[tuple[Path, Path]],
    settings: DecodeSettings,
    *,
    existing: Existing = "refuse",
    subtype: str = "pcm16",
    progress: Progress | None = None,
) -> Iterator[Result]:
    """Turn pictures into sound files, several pictures at once where the device gains by it.

    Parameters
    ----------
    pairs
        (picture, sound file) pairs; the suffix of the sound file chooses its format.
    settings
        How to decode.
    existing
        What to do where a sound file is there already.
    subtype
        ``"pcm16"``, ``"pcm24"`` or ``"float"``; of WAV and FLAC files.
    progress
        Called with the part of the present batch that is done.

    Yields
    ------
    Result
        One for each pair, in their order. ``details`` holds ``duration`` (s), ``sample_rate``, ``channels``, ``width``
        and ``height``.
    """
    at_once = pictures_at_once(settings.device)
    waiting: list[tuple[Path, Path, Image.Image | Result]] = []
    columns = pictures = 0
    for source, target in pairs:
        opened = _open(source, target, existing)
        width = 0 if isinstance(opened, Result) else opened.width
        if pictures and width and (pictures == at_once or columns + width > BATCH_COLUMNS):
            yield from _convert_batch(waiting, settings, subtype, progress)
            waiting, columns, pictures = [], 0, 0
        waiting.append((source, target, opened))
        columns += width
        pictures += width > 0
    yield from _convert_batch(waiting, settings, subtype, progress)


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


def pictures_at_once(device: str) -> int:
    """Return how many pictures to hand over together.

    A GPU is faster with many. On a CPU each core takes a picture; more than there are cores would only keep finished
    files waiting.
    """
    import torch

    from riffusion_ext.spectrogram.device import resolve_device

    on_cpu = resolve_device(device).type == "cpu"
    return min(torch.get_num_threads(), BATCH_PICTURES) if on_cpu else BATCH_PICTURES


def _open(source: Path, target: Path, existing: Existing) -> Image.Image | Result:
    from riffusion_ext.spectrogram.codec import open_picture

    done = already_there(source, [target], existing)
    if done is not None:
        return done
    try:
        return open_picture(source)
    except Exception as error:
        return Result(source, error=explain(error))


def _convert_batch(
    waiting: Sequence[tuple[Path, Path, Image.Image | Result]],
    settings: DecodeSettings,
    subtype: str,
    progress: Progress | None,
) -> Iterator[Result]:
    images = [opened for _, _, opened in waiting if not isinstance(opened, Result)]
    decoded = iter(_decode(images, settings, progress))
    for source, target, opened in waiting:
        if isinstance(opened, Result):
            yield opened
            continue
        sound = next(decoded)
        if isinstance(sound, BaseException):
            yield Result(source, error=explain(sound))
            continue
        size = {"width": opened.width, "height": opened.height}
        yield _write_sound(source, target, sound, settings, subtype=subtype, details=size)


def _decode(
    images: list[Image.Image], settings: DecodeSettings, progress: Progress | None
) -> Sequence[Decoded | BaseException]:
    from riffusion_ext.spectrogram.codec import pictures_to_audio

    if not images:
        return []
    try:
        return pictures_to_audio(images, settings, progress=progress)
    except Exception as error:
        if len(images) == 1:
            return [error]
        logger.debug("a batch of %d failed, trying one by one", len(images), exc_info=error)
        return [sound for image in images for sound in _decode([image], settings, None)]


def _write_sound(
    source: Path, target: Path, sound: Decoded, settings: DecodeSettings, *, subtype: str, details: dict[str, Any]
) -> Result:
    from riffusion_ext.audio.io import write_audio
    from riffusion_ext.metadata import audio_tags

    made = {"engine": settings.engine, "level": settings.level, "source": source.name}
    try:
        level = sound.max_value if sound.recorded else None
        tags = audio_tags(sound.params, max_value=level, title=target.stem, comment_extra=made)
        path = write_audio(sound.clip, target, subtype=subtype, tags=tags)
    except Exception as error:
        return Result(source, error=explain(error))
    return Result(source, (path,), notes=sound.notes, details={**details, **_about(sound.clip)})


def _about(clip: AudioClip) -> dict[str, Any]:
    return {"duration": round(clip.duration, 6), "sample_rate": clip.sample_rate, "channels": clip.channels}


def _open_all(sources: Sequence[Path]) -> tuple[list[tuple[Path, Image.Image]], list[Result]]:
    from riffusion_ext.spectrogram.codec import open_picture

    opened: list[tuple[Path, Image.Image]] = []
    bad: list[Result] = []
    for source in sources:
        try:
            opened.append((source, open_picture(source)))
        except Exception as error:
            bad.append(Result(source, error=explain(error)))
    return opened, bad


def _with_silence(sources: Sequence[Path], opened: Mapping[Path, Image.Image]) -> list[Image.Image]:
    """Pictures of a song, a white one in the place of each that is missing: like the one before, else the next."""
    from PIL import Image

    like = next(iter(opened.values()))
    images: list[Image.Image] = []
    for source in sources:
        if source in opened:
            like = opened[source]
            images.append(like)
        else:
            silence = Image.new("RGB", like.size, "white")
            silence.info.update(like.info)  # its record: parameters and level
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
    """Turn consecutive tiles of one song into one sound file by a single reconstruction: no seams, no time lost.

    Returns the results of the pictures that could not be read and, last, the song's, whose ``source`` is the first
    picture's folder. Silence stands where a picture could not be read, so that what follows keeps its time.
    """
    from riffusion_ext.spectrogram.codec import song_to_audio

    folder = sources[0].parent
    done = already_there(folder, [target], existing)
    if done is not None:
        return [done]
    opened, results = _open_all(sources)
    if not opened:
        return [*results, Result(folder, error="none of the pictures can be read, so there is no song")]
    images = _with_silence(sources, dict(opened))
    try:
        sound = song_to_audio(images, settings, progress=progress)
    except Exception as error:
        return [*results, Result(folder, error=explain(error))]
    if results:
        missed = f"silence stands in the place of {', '.join(result.source.name for result in results)}"
        sound = replace(sound, notes=(*sound.notes, missed))
    details = {"pictures": len(opened), "width": sum(image.width for image in images)}
    return [*results, _write_sound(folder, target, sound, settings, subtype=subtype, details=details)]


def joined_clips(
    sources: Sequence[Path],
    target: Path,
    settings: DecodeSettings,
    *,
    crossfade: float = 0.0,
    existing: Existing = "refuse",
    subtype: str = "pcm16",
    progress: Progress | None = None,
) -> list[Result]:
    """Turn pictures into clips of their own and join them, ``crossfade`` seconds overlapping.

    Returns the results of the pictures left out and, last, the joined clip's, whose ``source`` is the first picture's
    folder. The level is set once, on the whole, so that a quiet picture stays quiet beside a loud one.
    """
    from riffusion_ext.audio import RAW, join_at_level

    folder = sources[0].parent
    done = already_there(folder, [target], existing)
    if done is not None:
        return [done]
    opened, results = _open_all(sources)
    sounds: list[Decoded] = []
    for start in range(0, len(opened), BATCH_PICTURES):
        batch = opened[start : start + BATCH_PICTURES]
        decoded = _decode([image for _, image in batch], replace(settings, level=RAW), None)
        for (source, _), sound in zip(batch, decoded, strict=True):
            if isinstance(sound, BaseException):
                results.append(Result(source, error=explain(sound)))
            else:
                sounds.append(sound)
        if progress:
            progress((start + len(batch)) / len(opened))
    if not sounds:
        return [*results, Result(folder, error="none of the pictures can be heard, so there is nothing to join")]
    try:
        clip = join_at_level([sound.clip for sound in sounds], settings.level, crossfade=crossfade)
    except Exception as error:
        return [*results, Result(folder, error=explain(error))]
    whole = replace(sounds[0], clip=clip, notes=tuple(dict.fromkeys(n for sound in sounds for n in sound.notes)))
    details = {"pictures": len(sounds), "crossfade": crossfade}
    return [*results, _write_sound(folder, target, whole, settings, subtype=subtype, details=details)]
