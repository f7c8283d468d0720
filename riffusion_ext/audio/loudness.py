"""Streaming loudness meter after ITU-R BS.1770-4 and EBU R 128.

::

    samples --K-weighting--> mean square of each 100 ms --four in a row, 75 % overlap--> blocks --two gates--> LUFS

Only one number for each 100 ms is stored: less than 1 MB for three hours.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import MAX_CHANNELS, SAMPLE_RATES
from riffusion_ext.errors import AudioError
from riffusion_ext.validation.numbers import in_range

__all__ = ["Loudness", "k_weighting"]

_SEGMENTS_PER_SECOND = 10
_SEGMENTS_PER_BLOCK = 4
_OFFSET = -0.691
"""In dB: cancels the gain of the K-weighting at 1 kHz."""

_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0

# The analogue circuits that the standard's two filters at 48 kHz are made from by the bilinear transform: a shelf
# for the head, and a high pass. Frequencies in Hz; derived from the standard's coefficients by B. De Man, "Evaluation
# of implementations of the EBU R128 loudness measurement", AES 145 (2018).
_SHELF_HZ, _SHELF_Q, _SHELF_DB, _SHELF_BEND = (
    1681.974450955533,
    0.7071752369554196,
    3.999843853973347,
    0.4996667741545416,
)
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773

# The standard gives the high pass with the numerator 1, -2, 1, without the factor that would make its gain 1 far
# above the corner. The resulting 0.04 dB at 48 kHz are part of the measure, so they are kept at every rate.
_PASS_TAN = math.tan(math.pi * _PASS_HZ / 48000)
_PASS_GAIN = 1 + _PASS_TAN / _PASS_Q + _PASS_TAN**2

_LOWEST_RATE = 16000
"""Below it, the shelf is close to the Nyquist frequency and is warped; such sound is oversampled for the weighting."""

# Channel weights by number of channels, in the order of WAVE files. The low-frequency channel is left out; channels
# between 60 and 120 degrees to the side count 1.5 dB more (BS.1770-4, tables 3 and 4).
_SURROUND = 1.41
_WEIGHTS: dict[int, tuple[float, ...]] = {
    1: (1,),
    2: (1, 1),
    3: (1, 1, 1),
    4: (1, 1, _SURROUND, _SURROUND),  # L R Ls Rs
    5: (1, 1, 1, _SURROUND, _SURROUND),  # L R C Ls Rs
    6: (1, 1, 1, 0, _SURROUND, _SURROUND),  # L R C LFE Ls Rs
    7: (1, 1, 1, 0, 1, _SURROUND, _SURROUND),  # L R C LFE Cs Ls Rs
    8: (1, 1, 1, 0, 1, 1, _SURROUND, _SURROUND),  # L R C LFE Lb Rb Ls Rs
}

_PIECE = 1 << 16
"""Samples weighted at once: the input may be long, and the weighting uses float64."""

_DENORMAL = 1e-30
"""Filter states below this are set to 0: arithmetic with denormal numbers is slow."""


class Loudness:
    """Measure the integrated loudness of a sound given piece by piece.

    The result does not depend on the sizes of the pieces.

    Parameters
    ----------
    sample_rate
        In Hz, 1000 to 768000.
    channels
        1 to 8, in the order of WAVE files. Mono counts once, as in the standard: the same sound on both channels of
        a stereo file measures 3 dB more.

    Raises
    ------
    AudioError
        The rate or the number of channels is out of range.

    References
    ----------
    ITU-R BS.1770-4 (2015), "Algorithms to measure audio programme loudness and true-peak audio level"; EBU Tech 3341
    (2016), "Loudness metering: 'EBU Mode' metering to supplement EBU R 128 loudness normalisation".
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        in_range("the sample rate", sample_rate, *SAMPLE_RATES, unit="Hz", error=AudioError)
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioError(f"loudness is measured of 1 to {MAX_CHANNELS} channels, got {channels}")
        self._rate, self._weights = sample_rate, np.array(_WEIGHTS[channels], np.float64)
        self._factor = _factor_for(sample_rate)
        self._filter = _filter_for(sample_rate)
        self._state = np.zeros((len(self._filter), channels, 2))
        self._segments: list[float] = []
        self._energy = 0.0  # of the segment that is not full yet
        self._samples = 0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Add the next piece.

        Parameters
        ----------
        samples : np.ndarray [shape=(channels, time)]
            Full scale is ±1.0; of arbitrary length.

        Raises
        ------
        AudioError
            The array has the wrong number of channels, or holds NaN or infinity.
        """
        channels = len(self._weights)
        if samples.ndim != 2 or samples.shape[0] != channels:
            raise AudioError(f"the samples must be an array [{channels}, time], got shape {samples.shape}")
        if samples.size and not (math.isfinite(samples.min()) and math.isfinite(samples.max())):
            raise AudioError("the samples must be finite, got NaN or infinity")
        for start in range(0, samples.shape[1], _PIECE):
            self._add_energy(self._weighted(samples[:, start : start + _PIECE]))

    def integrated(self) -> float:
        """Return the integrated loudness so far, in LUFS.

        Counts blocks of 400 ms that are louder than -70 LUFS and at most 10 LU below the mean of such blocks.

        Returns
        -------
        float
            ``-inf`` for silence and for less than 400 ms of sound.
        """
        segments = np.array(self._segments)
        if len(segments) < _SEGMENTS_PER_BLOCK:
            return -math.inf
        blocks = np.lib.stride_tricks.sliding_window_view(segments, _SEGMENTS_PER_BLOCK).mean(axis=1)
        blocks = blocks[blocks > _energy_at(_ABSOLUTE_GATE)]
        if not blocks.size:
            return -math.inf
        gate = _energy_at(_OFFSET + 10 * math.log10(blocks.mean()) + _RELATIVE_GATE)
        return _OFFSET + 10 * math.log10(blocks[blocks > gate].mean())

    def _weighted(self, piece: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the K-weighted energy [time] of the next samples, summed over the channels."""
        from scipy.signal import sosfilt

        channels, length = piece.shape
        spread = np.zeros((channels, length * self._factor))
        spread[:, :: self._factor] = piece
        signal, self._state = sosfilt(self._filter, spread, zi=self._state)
        self._state[np.abs(self._state) < _DENORMAL] = 0
        energy: npt.NDArray[np.float64] = np.einsum("c,ct->t", self._weights, np.square(signal))
        return energy if self._factor == 1 else energy.reshape(-1, self._factor).mean(axis=1)

    def _add_energy(self, energy: npt.NDArray[np.float64]) -> None:
        """Add energy [time] to the segments; the n-th ends at the sample nearest to n * 100 ms."""
        start = 0
        while start < len(energy):
            first, last = (self._segment_start(len(self._segments) + more) for more in (0, 1))
            stop = min(len(energy), start + last - self._samples)
            self._energy += float(energy[start:stop].sum())
            self._samples += stop - start
            start = stop
            if self._samples == last:
                self._segments.append(self._energy / (last - first))
                self._energy = 0.0

    def _segment_start(self, number: int) -> int:
        """Return the sample at which a segment begins."""
        return (2 * number * self._rate + _SEGMENTS_PER_SECOND) // (2 * _SEGMENTS_PER_SECOND)


def _energy_at(lufs: float) -> float:
    """Convert a loudness to the K-weighted mean square."""
    return float(10 ** ((lufs - _OFFSET) / 10))


def _factor_for(sample_rate: int) -> int:
    """Return the oversampling factor of the weighting."""
    return max(1, math.ceil(_LOWEST_RATE / sample_rate))


def k_weighting(sample_rate: int) -> npt.NDArray[np.float64]:
    """Return the K-weighting as two second-order sections, for :func:`scipy.signal.sosfilt`.

    The bilinear transform of the analogue shelf and high pass behind the standard's table. At 48 kHz the coefficients
    equal the table of BS.1770-4.

    Parameters
    ----------
    sample_rate
        In Hz, 4000 or more.

    Returns
    -------
    np.ndarray [shape=(2, 6), float64]
        ``b0, b1, b2, 1, a1, a2`` of the shelf and of the high pass.
    """
    tan = math.tan(math.pi * _SHELF_HZ / sample_rate)
    high = 10 ** (_SHELF_DB / 20)
    band = high**_SHELF_BEND
    # H(s) = (high s^2 + band / Q s + 1) / (s^2 + s / Q + 1), with s = (1 - 1/z) / (1 + 1/z) / tan
    shelf = [
        *(high + band * tan / _SHELF_Q + tan**2, 2 * (tan**2 - high), high - band * tan / _SHELF_Q + tan**2),
        *(1 + tan / _SHELF_Q + tan**2, 2 * (tan**2 - 1), 1 - tan / _SHELF_Q + tan**2),
    ]
    tan = math.tan(math.pi * _PASS_HZ / sample_rate)
    # H(s) = gain s^2 / (s^2 + s / Q + 1)
    high_pass = [
        *(_PASS_GAIN, -2 * _PASS_GAIN, _PASS_GAIN),
        *(1 + tan / _PASS_Q + tan**2, 2 * (tan**2 - 1), 1 - tan / _PASS_Q + tan**2),
    ]
    sections = np.array([shelf, high_pass])
    normalised: npt.NDArray[np.float64] = sections / sections[:, 3:4]
    return normalised


@lru_cache(maxsize=8)
def _filter_for(sample_rate: int) -> npt.NDArray[np.float64]:
    """Return second-order sections for samples at this rate; at a low rate, for zero-stuffed samples."""
    factor = _factor_for(sample_rate)
    weighting = k_weighting(sample_rate * factor)
    if factor == 1:
        return weighting
    from scipy.signal import ellip

    # Zero-stuffing repeats the spectrum above the old Nyquist frequency; the low pass removes the images.
    low_pass = ellip(10, 0.01, 70, 0.95 / factor, output="sos")
    low_pass[0, :3] *= factor
    return np.concatenate([low_pass, weighting])
