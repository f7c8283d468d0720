r"""Decode images to clips: optionally cropped, written one by one, joined into one track, or both.

::

    images --decode_tasks--> sounds --Cropper--> cuts --cut_loop--> a file for each
                                                   \---join-----> one track, at one level
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert.decode import Task, decode_tasks, open_image, write_sound
from riffusion_ext.convert.result import Existing, Progress, Result, check_existing, explain
from riffusion_ext.errors import RiffusionError

if TYPE_CHECKING:
    from riffusion_ext.convert.crop import CropSettings, Cut
    from riffusion_ext.spectrogram.codec import Decoded, DecodeSettings

__all__ = ["images_to_clips", "join_clips", "joined_path"]


def joined_path(folder: Path, name: str, ending: str, *, now: datetime | None = None) -> Path:
    """Return the path of the joined file.

    Parameters
    ----------
    folder
        Folder of the file.
    name
        Name given by the user, with or without the suffix; empty for ``joined``. ``{date}`` is replaced by the time,
        ``{folder}`` by the name of the folder.
    ending
        Suffix with its dot.
    now
        Time for ``{date}``; None for the current time.

    Raises
    ------
    RiffusionError
        The name contains a folder, or has another suffix.
    """
    stem = name.strip() or "joined"
    if Path(stem).name != stem or "\\" in stem or stem == "..":
        raise RiffusionError(f"the name of the joined file must be a name without folders, got {name!r}")
    date = (now or datetime.now()).strftime("%Y-%m-%d_%H-%M-%S")
    stem = stem.replace("{date}", date).replace("{folder}", folder.resolve().name)
    suffix = Path(stem).suffix.lower()
    if suffix in (".wav", ".flac", ".ogg", ".mp3"):
        if suffix != ending:
            raise RiffusionError(f"the joined file is to be {ending}, but its name is {name!r}")
        stem = stem[: -len(suffix)]
    return folder / (stem + ending)


@dataclass
class _Track:
    """Sounds to be joined, and the cut of each."""

    sounds: list[Decoded] = field(default_factory=list)
    cuts: list[Cut | None] = field(default_factory=list)

    def add(self, sound: Decoded, cut: Cut | None) -> None:
        self.sounds.append(sound)
        self.cuts.append(cut)

    def joined(self, level: str, crossfade: float) -> Decoded:
        """Join all sounds and set one level for the whole, so that quiet clips stay quiet beside loud ones."""
        from riffusion_ext.audio import join_at_level
        from riffusion_ext.convert.crop import FADE_S

        clips, bodies = [], []
        for sound, cut in zip(self.sounds, self.cuts, strict=True):
            parts: list[tuple[float, float] | None] = [None] if cut is None else [*cut.bodies]
            clips += [sound.clip] * len(parts)
            bodies += parts
        shortest = FADE_S if any(body is not None for body in bodies) else 0.0
        clip = join_at_level(clips, level, crossfade=max(crossfade, shortest), bodies=bodies)
        notes = tuple(dict.fromkeys(note for sound in self.sounds for note in sound.notes))
        return replace(self.sounds[0], clip=clip, notes=notes)


def images_to_clips(
    pairs: Sequence[tuple[Path, Path | None]],
    settings: DecodeSettings,
    *,
    joined: Path | None = None,
    crop: CropSettings | None = None,
    crossfade: float = 0.0,
    existing: Existing = "refuse",
    subtype: str = "pcm16",
    progress: Progress | None = None,
    joining: Callable[[int], object] | None = None,
) -> Iterator[Result]:
    """Decode images to clips, each once, and join them.

    Parameters
    ----------
    pairs
        (image, sound file) pairs in the order of the track; None to write no file for the image.
    settings
        Decoding settings.
    joined
        File of the joined track; None for no track.
    crop
        Part of each image to use; None for all. Loops stay in time whatever the crossfade.
    crossfade
        Crossfade between clips, in s.
    existing
        What to do with existing files.
    subtype
        ``"pcm16"``, ``"pcm24"`` or ``"float"``, for WAV and FLAC.
    progress
        Called with the fraction of the current batch that is done.
    joining
        Called with the number of clips before they are joined.

    Yields
    ------
    Result
        One for each pair, in order, then that of the track, whose ``source`` is the folder of the first image.
        ``details``: ``duration`` (s), ``sample_rate``, ``channels``; for an image also ``width``, ``height`` and, if it
        was cropped, ``cut`` with ``start``, ``duration`` (s), ``wrapped``, ``tempo``, ``beats`` and ``bars``; for the
        track ``pictures`` (number of images) and ``crossfade``. An image without a file of its own has no outputs.
    """
    from riffusion_ext.audio import RAW
    from riffusion_ext.convert.crop import Cropper, CropSettings, fade_ends

    folder = pairs[0][0].parent if pairs else Path()
    done = None if joined is None else check_existing(folder, [joined], existing)
    track = _Track() if joined is not None and done is None else None
    cropper = Cropper(crop or CropSettings())
    for task, sound in decode_tasks(_tasks(pairs, existing, track is not None), replace(settings, level=RAW), progress):
        if isinstance(sound, Result) or isinstance(task.image, Result):
            yield sound if isinstance(sound, Result) else task.image
            continue
        try:
            decision = cropper.decide(task.image, sound.params)
        except Exception as error:
            yield Result(task.source, error=explain(error))
            continue
        if decision.cut is not None:
            sound = replace(sound, clip=fade_ends(sound.clip))
        if track is not None:
            track.add(sound, decision.cut)
        yield task.existing_result or _clip_result(task, sound, decision.cut, decision.notes, settings, subtype)
    if done is not None:
        yield done
    elif joined is not None and track is not None:
        if joining is not None and track.sounds:
            joining(len(track.sounds))
        yield _track_result(folder, joined, track, settings, crossfade, subtype)


def _tasks(pairs: Sequence[tuple[Path, Path | None]], existing: Existing, needed: bool) -> Iterator[Task]:
    """Open images lazily; those whose file exists are opened only if the track needs them."""
    for source, target in pairs:
        existing_result = check_existing(source, [target], existing) if target is not None else None
        if existing_result is not None and not needed:
            yield Task(source, target, existing_result)
        else:
            yield Task(source, target, open_image(source), existing_result)


def _clip_result(
    task: Task, sound: Decoded, cut: Cut | None, notes: tuple[str, ...], settings: DecodeSettings, subtype: str
) -> Result:
    from riffusion_ext.audio import apply_level
    from riffusion_ext.convert.crop import cut_loop

    details: dict[str, object] = dict(task.size)
    if cut is not None:
        details["cut"] = cut.as_dict()
    notes = (*sound.notes, *notes)
    if task.target is None:
        duration = sound.clip.duration if cut is None else cut.duration
        return Result(task.source, notes=notes, details={**details, "duration": round(duration, 6)})
    clip = sound.clip if cut is None else cut_loop(sound.clip, cut)
    try:
        levelled = replace(sound, clip=apply_level(clip, settings.level), notes=notes)
    except Exception as error:
        return Result(task.source, error=explain(error))
    return write_sound(task.source, task.target, levelled, settings, subtype=subtype, details=details)


def _track_result(
    folder: Path, joined: Path, track: _Track, settings: DecodeSettings, crossfade: float, subtype: str
) -> Result:
    if not track.sounds:
        return Result(folder, error="none of the images can be heard, so there is nothing to join")
    try:
        whole = track.joined(settings.level, crossfade)
    except Exception as error:
        return Result(folder, error=explain(error))
    details = {"pictures": len(track.sounds), "crossfade": crossfade}
    return write_sound(folder, joined, whole, settings, subtype=subtype, details=details)


def join_clips(
    sources: Sequence[Path],
    target: Path,
    settings: DecodeSettings,
    *,
    crossfade: float = 0.0,
    existing: Existing = "refuse",
    subtype: str = "pcm16",
    progress: Progress | None = None,
) -> list[Result]:
    """Decode images to separate clips and join them with a crossfade, in s.

    Returns the results of the images that failed and, last, that of the joined clip, whose ``source`` is the folder of
    the first image. The level is set for the whole, so that quiet images stay quiet beside loud ones.
    """
    folder = sources[0].parent
    done = check_existing(folder, [target], existing)
    if done is not None:
        return [done]
    results = images_to_clips(
        [(source, None) for source in sources],
        settings,
        joined=target,
        crossfade=crossfade,
        existing=existing,
        subtype=subtype,
        progress=progress,
    )
    return [result for result in results if result.error or result.outputs]
