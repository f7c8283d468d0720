"""Set the level of a clip: peak, loudness, limiter.

Clips to be joined are levelled after joining: levelled one by one, they would lose their relative loudness.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.errors import AudioError

__all__ = ["CEILING", "LEVELS", "LOUDNESS_RMS", "RAW", "apply_level", "limit", "limit_reach"]

LEVELS = ("peak", "loudness", "recorded")
"""Levels that a user can choose."""

RAW = "raw"
"""Leaves the level unchanged, for clips that are levelled after joining. Not offered to users: it may clip."""

CEILING = 10 ** (-0.1 / 20)
"""Highest peak of a levelled clip: -0.1 dBFS, as in the original library."""

LOUDNESS_RMS = 10 ** (-12 / 20)
"""RMS of the level "loudness": -12 dBFS, as in the original library."""

_SILENCE = 1e-12
"""Peaks below -240 dBFS are rounding errors, not sound; they are not amplified."""

_LOOKAHEAD_S = 0.02
"""Spans half a period at 25 Hz: a shorter time would distort low tones instead of lowering their level."""

_BLOCK = 1 << 20
_MAX_ROUNDS = 4
_MAX_MAKE_UP = 2.0


def apply_level(clip: AudioClip, level: str) -> AudioClip:
    """Return the clip at a level. Silence is returned unchanged.

    Parameters
    ----------
    clip
        At an arbitrary scale.
    level
        ``"peak"``: the highest peak at -0.1 dBFS.
        ``"loudness"``: -12 dBFS RMS, as in the original library, with peaks limited to -0.1 dBFS by :func:`limit` where
        that library clips or lowers the whole clip. Sound with a very high crest factor comes out softer.
        ``"recorded"``: unchanged; scaled down to full scale only if the peak exceeds it.
        :data:`RAW`: unchanged.

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
    # Normalise to full scale first: then no gain can overflow float32, however faint or loud the clip was.
    unit = AudioClip(clip.samples / np.float32(peak), clip.sample_rate)
    if level == "peak":
        return AudioClip(unit.samples * np.float32(CEILING), clip.sample_rate)
    return _apply_loudness(unit)


def _apply_loudness(unit: AudioClip) -> AudioClip:
    """Raise a clip to :data:`LOUDNESS_RMS`, compensating up to 6 dB of loss in the limiter."""
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
    r"""Limit peaks to a ceiling by lowering the gain smoothly around them.

    All channels get the same gain, which preserves the stereo image. Sound further than 40 ms from any peak above the
    ceiling is unchanged.

    ::

        |peak| / ceiling   ____/\________      needed = min(1, ceiling / |peak|)
        lowest in ±20 ms   --.________.----      so that the gain is low before the peak arrives
        mean of ±20 ms     ---\_____/----       never exceeds `needed`: each value in the mean has the peak within
                                                 its own ±20 ms

    Parameters
    ----------
    clip
        At an arbitrary level.
    ceiling
        Highest absolute sample of the result, above 0.

    Returns
    -------
    AudioClip
        Same length. The same object if no peak exceeds the ceiling.
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
    np.clip(out, -np.float32(ceiling), np.float32(ceiling), out=out)  # removes rounding errors
    return AudioClip(out, clip.sample_rate)


def limit_reach(sample_rate: int) -> int:
    """Return the reach of :func:`limit` in samples on each side: half for the minimum, half for the mean."""
    return 4 * max(1, round(_LOOKAHEAD_S * sample_rate / 2))


def _gain(envelope: npt.NDArray[np.float32], half: int, ceiling: float) -> npt.NDArray[np.float32]:
    """Return the gain, 0 to 1, that limits an envelope [time]; smoothed over ``4 * half + 1`` samples."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    needed = ceiling / np.maximum(envelope, ceiling, dtype=np.float64)
    gain = minimum_filter1d(needed, 4 * half + 1, mode="nearest")
    for _ in range(2):  # two means in a row are a triangular window: the gain has no sharp corners
        gain = uniform_filter1d(gain, 2 * half + 1, mode="nearest")
    result: npt.NDArray[np.float32] = gain.astype(np.float32)
    return result
