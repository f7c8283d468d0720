"""Normalise the level before reconstruction, so that a gain of the input only scales the result.

Phases are computed from logarithms of magnitudes. Their rounding depends on the level and on the processor, and where
two integration paths are nearly equally loud, the last bit decides between them. So magnitudes are scaled to a common
level and the result is scaled back, both by powers of two, which multiply without rounding (IEEE 754, except for
subnormal numbers).
"""

from __future__ import annotations

import math

import torch

__all__ = ["common_gain", "split_gain"]

_EXPONENT = 24
"""Peaks are scaled to between 2 ** 23 and 2 ** 24, the usual range for magnitudes in 16-bit sample units."""

_MAX_EXPONENT = 120
"""Largest exponent of the gain: float32 ends at 2 ** 128."""


def common_gain(mel: torch.Tensor) -> torch.Tensor:
    """Return the gain that scales each spectrogram of a batch to the common level.

    Parameters
    ----------
    mel : torch.Tensor [shape=(B, T, n_mels), non-negative, finite]
        Magnitudes.

    Returns
    -------
    torch.Tensor [shape=(B,)]
        Powers of two, on the device and in the type of `mel`. 1 for silence.
    """
    peaks = mel.flatten(1).amax(dim=1).tolist()
    exponents = [_EXPONENT - math.frexp(peak)[1] if peak > 0 else 0 for peak in peaks]
    gains = [math.ldexp(1.0, max(min(exponent, _MAX_EXPONENT), -_MAX_EXPONENT)) for exponent in exponents]
    return torch.tensor(gains, dtype=mel.dtype, device=mel.device)


def split_gain(gain: float) -> tuple[float, float]:
    """Split a gain into a power of two and a remaining factor.

    Parameters
    ----------
    gain
        Above 0, finite.

    Returns
    -------
    tuple
        The power of two, and the factor from 1 to below 2; their product is `gain`.
    """
    mantissa, exponent = math.frexp(gain)
    return math.ldexp(1.0, exponent - 1), 2.0 * mantissa
