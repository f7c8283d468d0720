"""Two sounds of one song, together.

All functions put their sounds sample on sample: sample `n` of the result is made of samples `n` of what goes in. Where
lengths differ, the shorter one is silent at its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.errors import AudioError
from riffusion_ext.validation.numbers import in_range

__all__ = ["LAWS", "double", "dry_wet"]

LAWS = ("equal-power", "linear")
"""How two sounds share the loudness. "equal-power": for sounds whose waves are unrelated, as an image's new phases
are. "linear": for sounds that are nearly the same wave."""

Share = float | Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""A number, or a function from seconds [N] to numbers [N]."""

_SHARE_STEP_S = 0.01
_BLOCK = 1 << 18


def dry_wet(dry: AudioClip, wet: AudioClip, share: Share, *, law: str = "equal-power") -> AudioClip:
    """Mix a sound and what was made of it.

    Parameters
    ----------
    dry, wet
        Of one sample rate. A mono one is the same on both sides of a stereo one.
    share
        Of the wet sound, 0 (only dry) to 1 (only wet): a number, or a function of time, read every 10 ms and linear in
        between.
    law
        One of :data:`LAWS`.

    Returns
    -------
    AudioClip
        As long as the longer one. With a share of 0 or 1 throughout, it is the one sound to the bit.

    Raises
    ------
    AudioError
        The rates differ, a share lies outside 0 to 1, or the law is unknown.
    """
    if law not in LAWS:
        raise AudioError(f"the law must be one of {', '.join(LAWS)}, got {law!r}")
    a, b = _align(dry, wet)
    mixed = np.empty_like(a)
    for start in range(0, a.shape[1], _BLOCK):
        stop = min(start + _BLOCK, a.shape[1])
        part = _shares(share, start, stop, dry.sample_rate)
        if law == "linear":
            dry_gain, wet_gain = 1.0 - part, part
        else:  # exact at both ends: the sine of a quarter turn is 1, its cosine only nearly 0
            dry_gain, wet_gain = np.sin((1.0 - part) * (math.pi / 2)), np.sin(part * (math.pi / 2))
        mixed[:, start:stop] = a[:, start:stop] * dry_gain.astype(np.float32)
        mixed[:, start:stop] += b[:, start:stop] * wet_gain.astype(np.float32)
    return AudioClip(mixed, dry.sample_rate)


def double(one: AudioClip, other: AudioClip, *, width: float = 1.0) -> AudioClip:
    """Pan two versions of one song to the left and to the right, as two takes of a guitar.

    Parameters
    ----------
    one, other
        Of one sample rate; each is mixed to mono.
    width
        0 (both in the middle) to 1 (one left, the other right), by the sine law: the power of each stays the same.

    Returns
    -------
    AudioClip
        Stereo.

    Raises
    ------
    AudioError
        The rates differ, or the width is out of range.
    """
    in_range("the width", width, 0, 1, error=AudioError)
    a, b = _align(one.to_mono(), other.to_mono())
    angle = (1.0 - width) * math.pi / 4
    near, far = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return AudioClip(np.concatenate([near * a + far * b, far * a + near * b]), one.sample_rate)


def _align(one: AudioClip, other: AudioClip) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return samples [C, T] of both, with as many channels and as long as the larger."""
    if one.sample_rate != other.sample_rate:
        raise AudioError(f"sounds to be mixed need one sample rate, got {one.sample_rate} and {other.sample_rate} Hz")
    channels = max(one.channels, other.channels)
    a, b = (clip.to_channels(channels).samples for clip in (one, other))
    length = max(a.shape[1], b.shape[1])
    return _pad_to(a, length), _pad_to(b, length)


def _pad_to(samples: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    missing = length - samples.shape[1]
    return np.pad(samples, ((0, 0), (0, missing))) if missing else samples


def _shares(share: Share, start: int, stop: int, rate: int) -> npt.NDArray[np.float64]:
    """Shares [stop - start] of samples."""
    if callable(share):
        hop = max(1, round(_SHARE_STEP_S * rate))
        nodes = np.arange(start // hop, stop // hop + 2) * hop
        values = np.asarray(share(nodes / rate), np.float64)
        _check_shares(values)
        return np.interp(np.arange(start, stop), nodes, values)
    values = np.full(stop - start, float(share))
    _check_shares(values)
    return values


def _check_shares(values: npt.NDArray[np.float64]) -> None:
    low, high = values.min(initial=0.0), values.max(initial=0.0)
    in_range("the share of the wet sound", float(low if low < 0 else high), 0, 1, error=AudioError)
