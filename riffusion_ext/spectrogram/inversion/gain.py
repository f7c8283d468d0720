"""One level for every inversion, so that a gain changes nothing in its result but the gain itself.

Phases grow out of logarithms of magnitudes. Their rounding depends on the level and on the instructions of the
processor, and where two paths of the integration are nearly as loud, the last bit decides between them. So an inversion
never sees the level of its input: magnitudes are brought to a common one and the result back to its own, both by powers
of two, which floating point multiplies by without rounding (IEEE 754; subnormal numbers apart).
"""

from __future__ import annotations

import math

import torch

__all__ = ["common_gain", "split_gain"]

_EXPONENT = 24
"""The peak is brought to between 2 ** 23 and 2 ** 24, where magnitudes in 16-bit sample units usually have theirs."""

_MAX_EXPONENT = 120
"""float32 ends at 2 ** 128; a fainter input is brought up as far as that allows."""


def common_gain(mel: torch.Tensor) -> torch.Tensor:
    """Return the gain that brings each spectrogram of a batch to the common level.

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
    """Split a gain into a power of two and what is left of it.

    Parameters
    ----------
    gain
        Above 0, finite.

    Returns
    -------
    tuple
        The power of two, and the rest, 1 up to 2; their product is `gain`.
    """
    mantissa, exponent = math.frexp(gain)
    return math.ldexp(1.0, exponent - 1), 2.0 * mantissa
