"""Clips one after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.effects import apply_level
from riffusion_ext.errors import AudioError

__all__ = ["join", "join_at_level"]


def join(clips: Sequence[AudioClip], *, crossfade: float = 0.0) -> AudioClip:
    r"""Join clips, each fading into the next with equal power.

    ::

        clip 1  |==============\
        clip 2            /==============\        cos² + sin² = 1: two different sounds
        clip 3                      /==========|   keep their loudness through the fade
                          |<-->|    |<-->|
                         crossfade  crossfade

    The result has the sum of the lengths less one crossfade for each seam.

    Parameters
    ----------
    clips
        At least one. All are brought to the sample rate of the first and the most channels of any. A clip without
        samples counts for nothing.
    crossfade
        Seconds, 0 or more, rounded to samples. At each seam it is at most half the shorter clip, so that a clip has
        faded in before it fades out.

    Raises
    ------
    AudioError
        There is no clip, or the crossfade is negative or not a number.
    """
    if not clips:
        raise AudioError("there is no clip to join")
    if not (math.isfinite(crossfade) and crossfade >= 0):
        raise AudioError(f"the crossfade must be 0 s or longer, got {crossfade:g} s")
    rate, channels = clips[0].sample_rate, max(clip.channels for clip in clips)
    parts = [clip.resample(rate).to_channels(channels).samples for clip in clips]
    parts = [part for part in parts if part.shape[1]]
    lengths = [part.shape[1] for part in parts]
    overlaps = [min(round(crossfade * rate), min(pair) // 2) for pair in pairwise(lengths)]

    joined = np.zeros((channels, sum(lengths) - sum(overlaps)), np.float32)
    position = 0
    for part, before, after in zip(parts, [0, *overlaps], [*overlaps, 0], strict=False):
        length = part.shape[1]
        position -= before
        fade_in, fade_out = _fade_in(before), _fade_in(after)[::-1]
        joined[:, position : position + before] += part[:, :before] * fade_in
        joined[:, position + before : position + length - after] = part[:, before : length - after]
        joined[:, position + length - after : position + length] = part[:, length - after :] * fade_out
        position += length
    return AudioClip(joined, rate)


def join_at_level(clips: Sequence[AudioClip], level: str, *, crossfade: float = 0.0) -> AudioClip:
    """Join clips that have no level yet, and set it once, on the whole: a quiet clip stays quiet beside a loud one.

    Parameters
    ----------
    clips
        Decoded at the level :data:`~riffusion_ext.audio.effects.RAW`.
    level
        One of :data:`~riffusion_ext.audio.effects.LEVELS`.
    crossfade
        Seconds, see :func:`join`.

    Raises
    ------
    AudioError
        As :func:`join` and :func:`~riffusion_ext.audio.effects.apply_level`.
    """
    return apply_level(join(clips, crossfade=crossfade), level)


def _fade_in(length: int) -> npt.NDArray[np.float32]:
    """Rising quarter of a sine [length]; backwards it is the fade-out of the same power."""
    angles = (np.arange(length) + 0.5) * (math.pi / 2 / max(length, 1))
    return np.asarray(np.sin(angles), np.float32)
