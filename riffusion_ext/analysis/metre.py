"""What speaks for each tempo: how a song repeats itself after parts and multiples of a beat, in all and band by band.

For each tempo that a beat might have there is a row of features: the autocorrelation of the onsets after a quarter to
four periods, the weakest of those that have to come together, the strength of the oscillations of a quarter to four
times its frequency, and whether low, middle and high bands swing together or by turns (bass drum and snare on every
second beat each are by turns at half the tempo). That is what tells a beat from two thirds, half or twice of it.

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
"""Of a period: after so long the song is compared with itself."""
_JOINT_LAGS = ((1 / 2, 3 / 2), (1 / 3, 2 / 3), (1 / 4, 1 / 2, 3 / 4), (1.0, 2.0), (1.0, 2.0, 4.0), (1.0, 3.0))
"""Of which the weakest counts."""
_FREQUENCIES = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0, 3 / 2, 2.0, 3.0, 4.0)
"""Of the beat's frequency."""
_PHASE_FREQUENCIES = (1 / 4, 1 / 3, 1 / 2, 1.0, 2.0)
"""Of the beat's frequency: there bands swing together (1) or by turns (-1)."""

_RIVAL_LAGS = ((2 / 3, 4 / 3, 2.0), (3 / 2, 3.0))
"""Of a period: of what goes by two thirds of it, and by three halves."""

_PAIRS = tuple(itertools.combinations((1, 2, 3), 2))
"""Of the bands low, middle and high."""

_MAX_LAG = 0.75
"""Share of a frame; at longer lags too little of it is left to compare."""

_MIN_POWER = 0.5
"""Power, the song's own around it being 1, under which a frame has too little to be compared with itself."""


class Periodicity:
    """Frames of onsets compared with themselves.

    Attributes
    ----------
    after : np.ndarray [shape=(frames, lags)]
        Correlation with itself so many columns later; not biased towards short lags.
    waves : np.ndarray [shape=(frames, frequencies), complex]
        Spectrum of the frames under a Hann window, in proportion to their power.
    size
        Columns of the transform that `waves` come from.
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
        """Correlation [frames, lags] after so many columns, between them too; 0 beyond the longest."""
        return _interpolate(self.after, lags)

    def within(self, lags: _Array) -> npt.NDArray[np.bool_]:
        """Whether lags are no longer than the longest."""
        return lags < self.after.shape[1] - 2


def periodicity_of(onset: _Array, starts: npt.NDArray[np.int64], size: int) -> Periodicity:
    """Compare frames of so many columns with themselves."""
    return Periodicity(np.lib.stride_tricks.sliding_window_view(onset, size)[starts])


def tempo_features(bands: Sequence[Periodicity], periods: _Array) -> Iterator[_Array]:
    """Yield the features, one after the other: what each says [frames, periods] for each tempo.

    Parameters
    ----------
    bands
        All, low, middle and high, of the same frames.
    periods : np.ndarray [shape=(P,)]
        Columns from beat to beat.
    """
    for band in bands:
        yield from _features(band, periods)
    for one, other in _PAIRS:
        for frequency in _PHASE_FREQUENCIES:
            yield _phase_agreement(bands[one], bands[other], frequency / periods)


def cross_rhythm(bands: Sequence[Periodicity], periods: _Array) -> _Array:
    """How much some band goes by two thirds or three halves of each period, and not by it [frames, periods].

    Where three are played against two, which of them is the beat is nobody's to say.
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
    """Correlation [frames, lags]; where a frame is too short for a lag, that after half of it, or a quarter."""
    for _ in range(3):
        lags = np.asarray(np.where(band.within(lags), lags, lags / 2), np.float64)
    return band.at(lags)


def _phase_agreement(one: Periodicity, other: Periodicity, frequencies: _Array) -> _Array:
    """How two bands swing [frames, frequencies]: together, or by turns; in proportion to how much they do."""
    bins = np.minimum(np.rint(frequencies * one.size).astype(np.int64), one.waves.shape[1] - 1)
    product = one.waves[:, bins] * other.waves[:, bins].conj()
    agreement: _Array = product.real / np.sqrt(np.abs(product) + 1e-3)
    return agreement


def _interpolate(values: _Array, places: _Array) -> _Array:
    """Values [frames, N] between columns of an array [frames, columns]; 0 beyond the last."""
    last = values.shape[1] - 2
    inside: _Array = np.clip(places, 0, last)
    below = inside.astype(np.int64)
    part = inside - below
    found: _Array = (values[:, below] * (1 - part) + values[:, below + 1] * part) * np.less_equal(places, last)
    return found
