"""The laws between mel magnitudes and grey levels.

::

    power   loudness = (m / max_value) ** power_for_image                    riffusion; m is the spectrum's value
    db      loudness = (dB(m / max_value) - pixel_min) / (pixel_max - pixel_min)
    ln      loudness = (ln(m) - ln(pixel_min)) / (ln(pixel_max) - ln(pixel_min))       loudness 1 is max_value

    level   255 * loudness if bright pixels are loud, 255 - 255 * loudness if dark ones are

Magnitudes of bands are square roots if bands are sums of power; a decibel is the same for both.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.params import SpectrogramParams

__all__ = ["full_scale_of", "levels_of", "magnitudes_of"]

_NORMAL_PEAK = 0.95  # to which Auffusion normalises sound
_DB = 20.0 / math.log(10.0)  # decibels in a neper


def full_scale_of(params: SpectrogramParams, largest: float, peak: float = _NORMAL_PEAK) -> float:
    """Return the magnitude of the loudest pixel for a spectrogram.

    Parameters
    ----------
    params
        Parameters of the image.
    largest
        Largest mel magnitude, in 16-bit sample units.
    peak
        Largest sample of the sound, full scale 1. The law ``"ln"`` has fixed ends, for sound with a peak of 0.95: they
        are scaled by the peak, which gives the image of normalised sound. By default the sound is taken as it is.
    """
    if params.pixel_law != "ln":
        return largest
    return params.default_max_value * peak / _NORMAL_PEAK


def _range_nepers(params: SpectrogramParams) -> tuple[float, float]:
    """Return the ends of a logarithmic range, in nepers of magnitude relative to ``max_value``."""
    if params.pixel_law == "db":
        return params.pixel_min / _DB, params.pixel_max / _DB
    low, high = (math.log(params.band_magnitude(end)) for end in (params.pixel_min, params.pixel_max))
    return low - high, 0.0


def levels_of(mel: npt.NDArray[np.float32], params: SpectrogramParams, max_value: float) -> npt.NDArray[np.uint8]:
    """Return the grey levels of mel magnitudes of any shape; louder than the range counts as its end.

    Levels of the original law are truncated, not rounded, as in the original: training images stay identical to the
    pixel. Others are rounded.
    """
    scaled = mel * np.float32(1.0 / max_value) if max_value > 0 else np.zeros_like(mel)
    if params.pixel_law == "power":
        np.clip(scaled, 0.0, 1.0, out=scaled)
        loudness = np.power(scaled, np.float32(_exponent(params)))
        if params.polarity == "dark":
            levels: npt.NDArray[np.uint8] = (255.0 - loudness * np.float32(255.0)).astype(np.uint8)
            return levels
    else:
        low, high = _range_nepers(params)
        np.maximum(scaled, np.float32(math.exp(low)), out=scaled)
        loudness = (np.log(scaled) - np.float32(low)) * np.float32(1.0 / (high - low))
        np.clip(loudness, 0.0, 1.0, out=loudness)
    rounded: npt.NDArray[np.uint8] = (loudness * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    return rounded if params.polarity == "bright" else np.bitwise_not(rounded)


def magnitudes_of(
    levels: npt.NDArray[np.floating], params: SpectrogramParams, max_value: float
) -> npt.NDArray[np.float64]:
    """Return the mel magnitudes of grey levels (0 to 255, whole or not) of any shape; the quietest level is silence."""
    loudness = ((255.0 - levels) if params.polarity == "dark" else levels) / 255.0
    if params.pixel_law == "power":
        return np.asarray(loudness ** (1.0 / _exponent(params)) * max_value)
    low, high = _range_nepers(params)
    return np.where(loudness > 0, np.exp(low + loudness * (high - low)) * max_value, 0.0)


def _exponent(params: SpectrogramParams) -> float:
    """Return the exponent between the magnitude of a band and the loudness of its pixel."""
    return params.power_for_image if params.spectrum == "magnitude" else 2.0 * params.power_for_image
