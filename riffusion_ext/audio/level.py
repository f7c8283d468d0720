"""How loud a clip is.

Loudness of several clips is set together, after they are joined: each on its own would lose how they compare.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.errors import AudioError

__all__ = ["CEILING", "LEVELS", "LOUDNESS_RMS", "RAW", "apply_level", "limit", "limit_reach"]

LEVELS = ("peak", "loudness", "recorded")
"""What a user can choose."""

RAW = "raw"
"""No level at all: for clips that are joined and then levelled as a whole. Users cannot choose it: it may clip."""

CEILING = 10 ** (-0.1 / 20)
"""Highest peak of a levelled clip: -0.1 dBFS, the headroom of the original library."""

LOUDNESS_RMS = 10 ** (-12 / 20)
"""RMS of the level "loudness": -12 dBFS, the original library's."""

_SILENCE = 1e-12
"""Peaks under -240 dBFS are rounding errors, not sound; nobody wants to hear them at full scale."""

_LOOKAHEAD_S = 0.02
"""Bridges the half waves of tones down to 25 Hz: a shorter time would bend them instead of turning them down."""

_BLOCK = 1 << 20
_MAX_ROUNDS = 4
_MAX_MAKE_UP = 2.0


def apply_level(clip: AudioClip, level: str) -> AudioClip:
    """Return the clip at a level; silence stays silence.

    Parameters
    ----------
    clip
        Any scale.
    level
        ``"peak"``: the highest peak at -0.1 dBFS.
        ``"loudness"``: -12 dBFS RMS, as the original library, with peaks held under -0.1 dBFS by :func:`limit` where
        that library clips or turns everything down. Sound that is all peaks comes out softer.
        ``"recorded"``: as it is; turned down as a whole to full scale only where its peak passes it.
        :data:`RAW`: as it is.

    Raises
    ------
    AudioError
        The level is unknown.
    """
    if level == RAW:
        return clip
    if level not in LEVELS:
        raise AudioError(f"the level must be one of {', '.join(LEVELS)}, got {level!r}")
    peak = clip.peak
    if level == "recorded":
        return AudioClip(clip.samples / np.float32(peak), clip.sample_rate) if peak > 1.0 else clip
    if peak < _SILENCE:
        return clip
    # Full scale first: from there on, no gain can overflow float32 however faint or loud the clip was.
    unit = AudioClip(clip.samples / np.float32(peak), clip.sample_rate)
    if level == "peak":
        return AudioClip(unit.samples * np.float32(CEILING), clip.sample_rate)
    return _apply_loudness(unit)


def _apply_loudness(unit: AudioClip) -> AudioClip:
    """Return a clip at the loudness; what the limiter takes away is made up for, by up to 6 dB."""
    gain = LOUDNESS_RMS / unit.rms
    drive = gain
    for _ in range(_MAX_ROUNDS):
        out = limit(AudioClip(unit.samples * np.float32(drive), unit.sample_rate))
        missing = LOUDNESS_RMS / out.rms
        target = min(drive * missing, gain * _MAX_MAKE_UP)
        if missing < 10 ** (0.3 / 20) or target <= drive:
            break
        drive = target
    return out


def limit(clip: AudioClip, *, ceiling: float = CEILING) -> AudioClip:
    r"""Hold peaks under a ceiling by turning the sound down smoothly around them.

    All channels are turned down together, so the stereo image stays where it is. Sound further than 40 ms from any
    peak above the ceiling is not touched at all.

    ::

        |peak| / ceiling   ____/\________      needed = min(1, ceiling / |peak|)
        lowest in ±20 ms   --.________.----      so that the gain is down before the peak comes
        mean of ±20 ms     ---\_____/----       lies nowhere above `needed`: it averages values each of which
                                                 has the peak within its own ±20 ms

    Parameters
    ----------
    clip
        Any level.
    ceiling
        Highest absolute sample of the result, above 0.

    Returns
    -------
    AudioClip
        Same length. The very clip where no peak passes the ceiling.
    """
    if not (math.isfinite(ceiling) and ceiling > 0):
        raise AudioError(f"the ceiling must be above 0, got {ceiling:g}")
    if clip.peak <= ceiling:
        return clip
    samples, total = clip.samples, clip.samples.shape[1]
    reach = limit_reach(clip.sample_rate)
    half = reach // 4
    out = np.empty(samples.shape, np.float32)
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        low, high = max(0, start - reach), min(total, stop + reach)
        gain = _gain(np.abs(samples[:, low:high]).max(axis=0), half, ceiling)
        np.multiply(samples[:, start:stop], gain[start - low : stop - low], out=out[:, start:stop])
    np.clip(out, -np.float32(ceiling), np.float32(ceiling), out=out)  # the last bit of rounding
    return AudioClip(out, clip.sample_rate)


def limit_reach(sample_rate: int) -> int:
    """Return how many samples on each side :func:`limit` looks at: half of them for the minimum, half for the mean."""
    return 4 * max(1, round(_LOOKAHEAD_S * sample_rate / 2))


def _gain(envelope: npt.NDArray[np.float32], half: int, ceiling: float) -> npt.NDArray[np.float32]:
    """Gain, 0 to 1, that holds an envelope [time] under the ceiling; smooth over ``4 * half + 1`` samples."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    needed = ceiling / np.maximum(envelope, ceiling, dtype=np.float64)
    gain = minimum_filter1d(needed, 4 * half + 1, mode="nearest")
    for _ in range(2):  # two means in a row have the shape of a triangle: the gain bends nowhere sharply
        gain = uniform_filter1d(gain, 2 * half + 1, mode="nearest")
    result: npt.NDArray[np.float32] = gain.astype(np.float32)
    return result
