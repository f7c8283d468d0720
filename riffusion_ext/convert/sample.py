"""Sample random clips from sound files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.convert.result import Existing, Result, check_existing, explain
from riffusion_ext.errors import AudioError

if TYPE_CHECKING:
    import numpy as np

    from riffusion_ext.audio.clip import AudioClip

__all__ = ["random_starts", "sample_clips"]


def random_starts(random: np.random.RandomState, length_ms: int, duration_ms: int, count: int) -> list[int]:
    """Draw the starts of clips in ms, uniformly distributed.

    Draws the same numbers as the original library: with equal seeds, ``sample-clips`` cuts the same clips.

    Parameters
    ----------
    random
        Random generator. numpy guarantees that its sequence for a seed never changes.
    length_ms, duration_ms
        Duration of the sound and of a clip, in ms.
    count
        Number of clips.

    Raises
    ------
    AudioError
        The sound is shorter than a clip.
    """
    room = length_ms - duration_ms
    if room < 0:
        raise AudioError(
            f"the sound is {length_ms / 1000:.2f} s long, shorter than a clip of {duration_ms / 1000:.2f} s"
        )
    return [int(random.randint(0, room)) if room else 0 for _ in range(count)]


def sample_clips(
    source: Path,
    name: Callable[[int, int], Path],
    random: np.random.RandomState,
    *,
    count: int = 1,
    duration_ms: int = 5120,
    mono: bool = False,
    existing: Existing = "refuse",
) -> Result:
    """Cut clips from a sound file, at its own sample rate; never raises.

    Parameters
    ----------
    source
        The sound.
    name
        ``name(number, start_ms)`` returns the file of a clip; its suffix selects the format.
    random
        Random generator for the starts.
    count, duration_ms
        Number of clips, and their duration in ms.
    mono
        Mix to one channel.
    existing
        What to do with existing files.

    Returns
    -------
    Result
        ``details``: ``duration`` of a clip in s, and ``starts`` in ms.
    """
    from riffusion_ext.audio.io import sound_length, write_audio

    try:
        length = sound_length(source)
        starts = random_starts(random, int(length * 1000), duration_ms, count)
        targets = [name(number, start) for number, start in enumerate(starts)]
        done = check_existing(source, targets, existing)
        if done is not None:
            return done
        notes: list[str] = []
        for start, target in zip(starts, targets, strict=True):
            clip = _part(source, start, duration_ms)
            notes += clip.notes
            write_audio(clip.to_mono() if mono else clip, target)
    except Exception as error:
        return Result(source, error=explain(error))
    details = {"duration": duration_ms / 1000, "starts": starts}
    return Result(source, tuple(targets), notes=tuple(dict.fromkeys(notes)), details=details)


def _part(source: Path, start_ms: int, duration_ms: int) -> AudioClip:
    from riffusion_ext.audio.io import read_audio

    clip = read_audio(source, start=start_ms / 1000, duration=duration_ms / 1000)
    if clip.duration < (duration_ms - 1) / 1000:  # the header promised more
        raise AudioError(
            f"the sound breaks off at {start_ms / 1000 + clip.duration:.2f} s: the file is damaged or incomplete"
        )
    return clip
