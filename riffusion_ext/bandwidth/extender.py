"""Extend the bandwidth of a waveform, as a whole or as a stream."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riffusion_ext.errors import RiffusionError

__all__ = [
    "MAX_CUTOFF",
    "MIN_CUTOFF",
    "TOP_FREQUENCY",
    "BandwidthExtender",
    "WeightsError",
    "can_extend",
    "extend",
    "output_rate",
]

TOP_FREQUENCY = 20000.0
"""Frequency up to which the sound is extended, in Hz."""

MIN_CUTOFF, MAX_CUTOFF = 5000.0, 16000.0
"""Range of the frequencies, in Hz, at which a waveform may end; above `MAX_CUTOFF` nothing is missed."""

_MIN_RATE = 40000  # lower sample rates are multiplied by a whole number

Samples = npt.NDArray[np.float32]


class WeightsError(RiffusionError):
    """The weights of the network are missing or damaged."""


def can_extend(cutoff: float) -> bool:
    """Return whether a waveform that ends at `cutoff` Hz can be extended: `MIN_CUTOFF` <= cutoff < `MAX_CUTOFF`."""
    return MIN_CUTOFF <= cutoff < MAX_CUTOFF


def output_rate(sample_rate: int) -> int:
    """Return the sample rate of the extended waveform: the smallest multiple that is at least 40 kHz."""
    return sample_rate * -(-_MIN_RATE // sample_rate)


class BandwidthExtender:
    """Extend the bandwidth of a stream of samples.

    Concatenated, the pieces are the same samples as those of one call.

    Parameters
    ----------
    channels
        1 or 2.
    sample_rate
        Of the input, in Hz.
    cutoff
        Frequency at which the spectrum of the input ends, in Hz.
    device
        A torch device.

    Raises
    ------
    WeightsError
        The weights are missing or damaged.
    RiffusionError
        The waveform cannot be extended (:func:`can_extend`).

    Attributes
    ----------
    sample_rate
        Of the output, in Hz: ``factor`` times that of the input.
    factor
        Output samples for each input sample.
    delay
        Input samples to the right of a sample that must be known before its output is final.
    """

    def __init__(self, channels: int, sample_rate: int, cutoff: float, device: str = "cpu") -> None:
        if not can_extend(cutoff):
            raise RiffusionError(f"a sound that ends at {cutoff:g} Hz cannot be extended")
        self.channels = channels
        self.sample_rate = output_rate(sample_rate)
        self.factor = self.sample_rate // sample_rate
        self.delay = 0

    def advance(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return the samples that have become final.

        Parameters
        ----------
        samples : np.ndarray [shape=(C, S), float32]
            The next samples; S may be 0.
        last
            Whether the stream ends with them.

        Returns
        -------
        np.ndarray [shape=(C, S'), float32]
            After `last`, all pieces together have ``factor`` times the samples of the input.
        """
        return np.repeat(samples, self.factor, axis=1)


def extend(samples: Samples, sample_rate: int, cutoff: float, device: str = "cpu") -> Samples:
    """Extend the bandwidth of a waveform [C, S] to ``output_rate(sample_rate)``; return [C, factor * S].

    Raises
    ------
    WeightsError
        The weights are missing or damaged.
    RiffusionError
        The waveform cannot be extended (:func:`can_extend`).
    """
    return BandwidthExtender(samples.shape[0], sample_rate, cutoff, device).advance(samples, last=True)
