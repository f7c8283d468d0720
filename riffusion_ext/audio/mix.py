"""Mix two versions of one song.

Sample `n` of a result is made from samples `n` of the inputs. The shorter input is padded with silence.
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
"""Crossfade laws. "equal-power": for uncorrelated sounds, such as sound with newly reconstructed phases. "linear": for
sounds with nearly the same waveform."""

Share = float | Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""A number, or a function from times [N] in seconds to numbers [N]."""

_SHARE_STEP_S = 0.01
_BLOCK = 1 << 18


def dry_wet(dry: AudioClip, wet: AudioClip, share: Share, *, law: str = "equal-power") -> AudioClip:
    """Mix a dry sound with its processed version.

    Parameters
    ----------
    dry, wet
        Clips of equal sample rate. Mono is copied to both channels beside a stereo clip.
    share
        Share of the wet sound, 0 (only dry) to 1 (only wet): a number, or a function of time, sampled every 10 ms and
        interpolated linearly.
    law
        One of :data:`LAWS`.

    Returns
    -------
    AudioClip
        As long as the longer clip. With a constant share of 0 or 1, bit-identical to that clip.

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
        else:  # two sines are exact at both ends: sin(pi / 2) is 1, cos(pi / 2) only nearly 0
            dry_gain, wet_gain = np.sin((1.0 - part) * (math.pi / 2)), np.sin(part * (math.pi / 2))
        mixed[:, start:stop] = a[:, start:stop] * dry_gain.astype(np.float32)
        mixed[:, start:stop] += b[:, start:stop] * wet_gain.astype(np.float32)
    return AudioClip(mixed, dry.sample_rate)


def double(one: AudioClip, other: AudioClip, *, width: float = 1.0) -> AudioClip:
    """Pan two versions of one song left and right, like a double-tracked guitar.

    Parameters
    ----------
    one, other
        Clips of equal sample rate; each is mixed to mono.
    width
        0 (both centred) to 1 (one left, the other right). The sine law keeps the power of each constant.

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
    """Return the samples [C, T] of both clips, with equal channels and equal length."""
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
    """Return the share [stop - start] at each sample."""
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
