"""Features for tempo estimation: periodicity of the onsets at fractions and multiples of a beat, overall and by band.

Each candidate tempo has a vector of features: the autocorrelation of the onsets at lags of a quarter to four periods,
the minimum over groups of lags that must occur together, the spectral magnitude at a quarter to four times its
frequency, and whether low, middle and high bands oscillate in phase or in antiphase (bass drum and snare on alternate
beats are in antiphase at half the tempo). This distinguishes a beat from two thirds, half or twice of it.

After Percival & Tzanetakis 2014 and Peeters 2006, who combine autocorrelation and spectrum, and Gkiokas et al. 2012.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Periodicity", "cross_rhythm", "periodicity_of", "tempo_features"]

_Array = npt.NDArray[np.float64]

_LAGS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0, 4.0)
"""Lags of the autocorrelation, in periods."""
_JOINT_LAGS = ((1 / 2, 3 / 2), (1 / 3, 2 / 3), (1 / 4, 1 / 2, 3 / 4), (1.0, 2.0), (1.0, 2.0, 4.0), (1.0, 3.0))
"""Groups of lags, in periods, whose weakest correlation is a feature."""
_FREQUENCIES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0, 3 / 2, 2.0, 3.0, 4.0)
"""Frequencies of the spectral magnitude, relative to the beat's."""
_PHASE_FREQUENCIES = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0)
"""Frequencies, relative to the beat's, at which bands are compared: in phase (1) or in antiphase (-1)."""

_RIVAL_LAGS = ((2 / 3, 4 / 3, 2.0), (3 / 2, 3.0))
"""Lags, in periods, of rhythms at two thirds of the period, and at three halves."""

_PAIRS = tuple(itertools.combinations((1, 2, 3), 2))
"""Pairs of the bands low, middle and high."""

_MAX_LAG = 0.75
"""Longest lag as a fraction of a frame; at longer ones, too little overlap is left."""

_MIN_POWER = 0.5
"""Power below which a frame has too few onsets for its autocorrelation; the local mean of the song is 1."""


class Periodicity:
    """Autocorrelation and spectrum of frames of onsets.

    Attributes
    ----------
    after : np.ndarray [shape=(frames, lags)]
        Unbiased autocorrelation by lag in columns.
    waves : np.ndarray [shape=(frames, frequencies), complex]
        Spectrum of the frames with a Hann window, relative to their power.
    size
        Length of the transform of `waves`, in columns.
    power : np.ndarray [shape=(frames,)]
        Mean square of each frame.
    """

    def __init__(self, frames: _Array) -> None:
        columns = frames.shape[1]
        max_lag = int(columns * _MAX_LAG)
        self.size = 1 << (columns + max_lag).bit_length()
        overlap = 1 - np.arange(max_lag + 1) / columns
        frames = frames - frames.mean(axis=1, keepdims=True)
        spectra = np.fft.rfft(frames, self.size)
        products = np.fft.irfft(spectra.real**2 + spectra.imag**2, self.size)[:, : max_lag + 1]
        energy = np.maximum(products[:, :1], _MIN_POWER * columns)
        self.power: _Array = products[:, 0] / columns
        self.after: _Array = products / overlap / energy
        window = np.hanning(columns)
        self.waves = np.fft.rfft(frames * window, self.size) / np.sqrt(energy * (window**2).sum())

    def at(self, lags: _Array) -> _Array:
        """Return the autocorrelation [frames, lags] at lags in columns, interpolated; 0 beyond the longest."""
        return _interpolate(self.after, lags)

    def within(self, lags: _Array) -> npt.NDArray[np.bool_]:
        """Return whether each lag is within the longest one."""
        return lags < self.after.shape[1] - 2


def periodicity_of(onset: _Array, starts: npt.NDArray[np.int64], size: int) -> Periodicity:
    """Return the periodicity of frames of `size` columns."""
    return Periodicity(np.lib.stride_tricks.sliding_window_view(onset, size)[starts])


def tempo_features(bands: Sequence[Periodicity], periods: _Array) -> Iterator[_Array]:
    """Yield the features one after the other, each an array [frames, periods].

    Parameters
    ----------
    bands
        Periodicity of all bands together, and of low, middle and high ones, of the same frames.
    periods : np.ndarray [shape=(P,)]
        Columns from beat to beat.
    """
    for band in bands:
        yield from _features(band, periods)
    for one, other in _PAIRS:
        for frequency in _PHASE_FREQUENCIES:
            yield _phase_agreement(bands[one], bands[other], frequency / periods)


def cross_rhythm(bands: Sequence[Periodicity], periods: _Array) -> _Array:
    """Return how much some band repeats at two thirds or three halves of each period, and not at it [frames, periods].

    In a three-against-two rhythm, the beat is ambiguous.
    """
    worst = np.full((len(bands[0].power), len(periods)), -np.inf)
    for band in bands:
        own = _correlation(band, periods)
        for lags in _RIVAL_LAGS:
            other = np.minimum.reduce([_correlation(band, lag * periods) for lag in lags])
            worst = np.maximum(worst, other - own)
    return worst


def _features(band: Periodicity, periods: _Array) -> Iterator[_Array]:
    after = {lag: _correlation(band, lag * periods) for lag in _LAGS}
    yield from after.values()
    for lags in _JOINT_LAGS:
        yield np.minimum.reduce([after[lag] for lag in lags])
    strength = np.abs(band.waves)
    for frequency in _FREQUENCIES:
        yield _interpolate(strength, frequency * band.size / periods)


def _correlation(band: Periodicity, lags: _Array) -> _Array:
    """Return the autocorrelation [frames, lags]; for lags too long for a frame, that at half or a quarter of them."""
    for _ in range(3):
        lags = np.asarray(np.where(band.within(lags), lags, lags / 2), np.float64)
    return band.at(lags)


def _phase_agreement(one: Periodicity, other: Periodicity, frequencies: _Array) -> _Array:
    """Return the phase agreement of two bands [frames, frequencies], weighted by their magnitude."""
    bins = np.minimum(np.rint(frequencies * one.size).astype(np.int64), one.waves.shape[1] - 1)
    product = one.waves[:, bins] * other.waves[:, bins].conj()
    agreement: _Array = product.real / np.sqrt(np.abs(product) + 1e-3)
    return agreement


def _interpolate(values: _Array, places: _Array) -> _Array:
    """Interpolate an array [frames, columns] linearly at N places: [frames, N]; 0 beyond the last column."""
    last = values.shape[1] - 2
    inside: _Array = np.clip(places, 0, last)
    below = inside.astype(np.int64)
    part = inside - below
    found: _Array = (values[:, below] * (1 - part) + values[:, below + 1] * part) * np.less_equal(places, last)
    return found
