"""Energy of a waveform in a band of frequencies."""

from __future__ import annotations

import numpy as np

LOWEST, CUTOFF, TOP = 5000.0, 10000.0, 20000.0
"""Two octaves, in Hz: from 5 kHz to where a Riffusion image ends, and from there to where the extension ends."""

_FLOOR = 1e-20


def band_power(samples: np.ndarray, sample_rate: int, low: float, high: float) -> float:
    """Return the mean power of a waveform [S] from `low` to `high` Hz, with a Hann window over all of it."""
    length = len(samples)
    if length == 0:
        return 0.0
    window = np.hanning(length + 2)[1:-1]
    spectrum = np.fft.rfft(np.asarray(samples, dtype=np.float64) * window)
    frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
    inside = spectrum[(frequencies >= low) & (frequencies < high)]
    return float(2 * (inside.real**2 + inside.imag**2).sum() / (length * (window**2).sum()))


def decibels(power: float, reference: float = 1.0) -> float:
    """Convert a ratio of powers to dB; at least -200 dB. A reference of 0 counts as full scale."""
    return float(10 * np.log10(max(power / (reference or 1.0), _FLOOR)))


def octave_ratio(samples: np.ndarray, sample_rate: int) -> float:
    """Return the power from 10 to 20 kHz over that from 5 to 10 kHz, in dB, of a waveform [S]."""
    high, middle = (band_power(samples, sample_rate, *band) for band in ((CUTOFF, TOP), (LOWEST, CUTOFF)))
    return decibels(high, middle)


def low_pass(samples: np.ndarray, sample_rate: int, cutoff: float) -> np.ndarray:
    """Remove what is above `cutoff` Hz from a waveform [S], without a delay; the transition is 150 Hz wide."""
    from scipy.signal import fftconvolve, firwin

    taps = firwin(2 * (sample_rate // 110) + 1, cutoff, fs=sample_rate)
    return np.asarray(fftconvolve(samples, taps, "same"), dtype=np.float32)
