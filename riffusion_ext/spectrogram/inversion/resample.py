"""Resample from the working rate of the reconstruction to the sample rate of the audio."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.stft import working_rate

__all__ = ["reach", "to_sample_rate"]

_STOPBAND_DB = 80.0


def to_sample_rate(signal: np.ndarray, params: SpectrogramParams) -> np.ndarray:
    """Resample [C, n * working hop] to [C, n * hop_length] at ``params.sample_rate``, flat up to ``max_frequency``."""
    up, down = working_rate(params)
    if up == down:
        return signal
    from scipy.signal import resample_poly

    if not signal.shape[1]:
        return signal
    # The output has down / up times the samples. Reflected ends as long as the filter prevent it from fading the first
    # and last 3 ms.
    kernel = _filter(up, down, params.sample_rate, params.max_frequency)
    margin = math.ceil(len(kernel) / 2 / down / up) * up
    skip = margin // up * down
    result = np.empty((signal.shape[0], signal.shape[1] * down // up), dtype=np.float32)
    for row, channel in zip(result, signal, strict=True):
        row[:] = resample_poly(np.pad(channel, margin, mode="reflect"), down, up, window=kernel)[skip : skip + len(row)]
    return result


def reach(params: SpectrogramParams) -> int:
    """Return the reach of :func:`to_sample_rate` on each side, in samples at the working rate."""
    up, down = working_rate(params)
    if up == down:
        return 0
    return math.ceil(len(_filter(up, down, params.sample_rate, params.max_frequency)) / 2 / down) + 1


@lru_cache(maxsize=8)
def _filter(up: int, down: int, sample_rate: int, pass_hz: float) -> np.ndarray:
    """Design a low pass at the common multiple of both rates: flat to `pass_hz`, stopband from its alias on."""
    from scipy.signal import firwin, kaiserord

    rate = sample_rate * up
    stop_hz = sample_rate * up / down - pass_hz
    taps, beta = kaiserord(_STOPBAND_DB, (stop_hz - pass_hz) / (rate / 2))
    kernel = firwin(taps | 1, (pass_hz + stop_hz) / 2, window=("kaiser", beta), fs=rate)
    return kernel.astype(np.float32)
