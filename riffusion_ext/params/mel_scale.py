"""The two mel scales, and the corners of the triangular filters on them.

HTK: ``2595 log10(1 + f / 700)`` (O'Shaughnessy 1987). Slaney: linear up to 1 kHz, then logarithmic, 27 steps for a
factor of 6.4 (Auditory Toolbox, 1998; the default of librosa).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.params.fields import SpectrogramFields

__all__ = ["band_corners", "hz_to_mel", "mel_to_hz"]

_LINEAR_STEP = 200.0 / 3.0  # Hz of a mel below the corner
_CORNER_HZ = 1000.0
_CORNER_MEL = _CORNER_HZ / _LINEAR_STEP
_LOG_STEP = math.log(6.4) / 27.0


def hz_to_mel(frequency: float, scale: str = "htk") -> float:
    """Convert Hz to mel on the scale ``"htk"`` or ``"slaney"``."""
    if scale == "htk":
        return 2595.0 * math.log10(1.0 + frequency / 700.0)
    if frequency < _CORNER_HZ:
        return frequency / _LINEAR_STEP
    return _CORNER_MEL + math.log(frequency / _CORNER_HZ) / _LOG_STEP


def mel_to_hz(mel: npt.NDArray[np.float64], scale: str = "htk") -> npt.NDArray[np.float64]:
    """Convert mel to Hz on the scale ``"htk"`` or ``"slaney"``."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _CORNER_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _CORNER_MEL) - _CORNER_MEL))
    return np.where(mel < _CORNER_MEL, _LINEAR_STEP * mel, above)


def band_corners(params: SpectrogramFields) -> npt.NDArray[np.float64]:
    """Return the corners of the filters in Hz: [n_mels + 2]; band j peaks at corner j + 1."""
    low, high = (hz_to_mel(edge, params.mel_scale) for edge in (params.min_frequency, params.max_frequency))
    return mel_to_hz(np.linspace(low, high, params.num_frequencies + 2), params.mel_scale)
