"""Join clips with crossfades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.level import apply_level
from riffusion_ext.audio.workload import check, join_workload
from riffusion_ext.errors import AudioError

__all__ = ["join", "join_at_level"]


def join(
    clips: Sequence[AudioClip], *, crossfade: float = 0.0, bodies: Sequence[tuple[float, float] | None] | None = None
) -> AudioClip:
    r"""Join clips with equal-power crossfades.

    ::

        clip 1  |==============\
        clip 2            /==============\        cos² + sin² = 1: two different sounds
        clip 3                      /==========|   keep their loudness through the fade
                          |<-->|    |<-->|
                         crossfade  crossfade

    The result is as long as all clips together, minus one crossfade for each seam.

    A clip may have a body: the part of it that is played. Bodies follow each other without a gap or an overlap, so
    loops stay in time whatever the crossfade. The sound around a body is heard only in the fades::

        clip 1  ....|==body 1==|....              The fade is centred on the seam. If a clip has too little sound on
        clip 2             ....|==body 2==|....   one side, the other side takes more; if both have too little, the
                            \__/                 fade is shorter.

    Parameters
    ----------
    clips
        At least one. All are converted to the sample rate of the first and to the largest number of channels. Empty
        clips are skipped.
    crossfade
        In seconds, 0 or more, rounded to samples. At each seam it is at most half the shorter clip (or body), so that
        a clip fades in completely before it fades out.
    bodies
        (start, duration) of the body of each clip, in seconds; None for a clip that may itself be overlapped.

    Raises
    ------
    AudioError
        There are no clips, the crossfade is negative or not finite, or a body lies outside its clip.
    RiffusionError
        The result exceeds the memory allowance.
    """
    if not clips:
        raise AudioError("there is no clip to join")
    if not (math.isfinite(crossfade) and crossfade >= 0):
        raise AudioError(f"the crossfade must be 0 s or longer, got {crossfade:g} s")
    rate, channels = clips[0].sample_rate, max(clip.channels for clip in clips)
    seconds = sum(clip.duration for clip in clips)
    check(join_workload(channels, math.ceil(seconds * rate), rate))
    sounds = [clip.resample(rate).to_channels(channels).samples for clip in clips]
    chosen = bodies if bodies is not None else [None] * len(clips)
    pieces = [_Piece.of(sound, body, rate) for sound, body in zip(sounds, chosen, strict=True) if sound.shape[1]]
    seams = [one.seam(other, round(crossfade * rate)) for one, other in pairwise(pieces)]
    parts = [
        piece.part(before, after)
        for piece, (_, before), (after, _) in zip(pieces, [(0, 0), *seams], [*seams, (0, 0)], strict=False)
    ]
    return AudioClip(_overlap(parts, [sum(seam) for seam in seams], channels), rate)


@dataclass(frozen=True)
class _Piece:
    """Samples [channels, time] and the range of their body. A free piece is all body, and may be overlapped."""

    sound: npt.NDArray[np.float32]
    first: int
    last: int
    free: bool

    @classmethod
    def of(cls, sound: npt.NDArray[np.float32], body: tuple[float, float] | None, rate: int) -> _Piece:
        length = sound.shape[1]
        if body is None:
            return cls(sound, 0, length, True)
        start, duration = body
        if not (start >= 0 and duration > 0 and start + duration <= (length + 1) / rate):
            raise AudioError(
                f"a body must lie within its clip of {length / rate:g} s, got {start:g} s to {start + duration:g} s"
            )
        # The length is rounded on its own: bodies of equal duration have equal length, wherever they start.
        count = min(max(1, round(duration * rate)), length)
        first = min(round(start * rate), length - count)
        return cls(sound, first, first + count, False)

    def seam(self, other: _Piece, length: int) -> tuple[int, int]:
        """Return how many samples of the fade into the next piece lie (after, before) the seam."""
        length = min(length, (self.last - self.first) // 2, (other.last - other.first) // 2)
        room_before = length if other.free else other.first
        room_after = length if self.free else self.sound.shape[1] - self.last
        before = min(length // 2, room_before)
        after = min(length - before, room_after)
        return after, min(length - after, room_before)

    def part(self, before: int, after: int) -> npt.NDArray[np.float32]:
        """Return the body, with `before` and `after` samples around it for the fades."""
        return self.sound if self.free else self.sound[:, self.first - before : self.last + after]


def _overlap(
    parts: Sequence[npt.NDArray[np.float32]], overlaps: Sequence[int], channels: int
) -> npt.NDArray[np.float32]:
    """Overlap-add parts [channels, time]; ``overlaps[i]`` samples fade from part ``i`` to the next."""
    total = sum(part.shape[1] for part in parts) - sum(overlaps)
    joined = np.zeros((channels, total), np.float32)
    position = 0
    for part, before, after in zip(parts, [0, *overlaps], [*overlaps, 0], strict=False):
        length = part.shape[1]
        position -= before
        fade_in, fade_out = _fade_in(before), _fade_in(after)[::-1]
        joined[:, position : position + before] += part[:, :before] * fade_in
        joined[:, position + before : position + length - after] = part[:, before : length - after]
        joined[:, position + length - after : position + length] = part[:, length - after :] * fade_out
        position += length
    return joined


def join_at_level(
    clips: Sequence[AudioClip],
    level: str,
    *,
    crossfade: float = 0.0,
    bodies: Sequence[tuple[float, float] | None] | None = None,
) -> AudioClip:
    """Join raw clips, then set the level of the whole, so that quiet clips stay quiet beside loud ones.

    Parameters
    ----------
    clips
        Decoded at the level :data:`~riffusion_ext.audio.level.RAW`.
    level
        One of :data:`~riffusion_ext.audio.level.LEVELS`.
    crossfade, bodies
        In seconds, see :func:`join`.

    Raises
    ------
    AudioError
        As :func:`join` and :func:`~riffusion_ext.audio.level.apply_level`.
    """
    return apply_level(join(clips, crossfade=crossfade, bodies=bodies), level)


def _fade_in(length: int) -> npt.NDArray[np.float32]:
    """Return the first quarter of a sine [length]; reversed, it is the matching fade-out."""
    angles = (np.arange(length) + 0.5) * (math.pi / 2 / max(length, 1))
    return np.asarray(np.sin(angles), np.float32)
