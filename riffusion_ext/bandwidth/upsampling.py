"""Multiply the sample rate of a stream by a whole number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.resampling import reach, resample

__all__ = ["PASSBAND", "Upsampler"]

PASSBAND = 0.92
"""Share of the Nyquist frequency up to which the filter passes at least 70 % of the magnitude."""

Samples = npt.NDArray[np.float32]


class Upsampler:
    """Resample a stream to ``factor`` times its rate.

    Parameters
    ----------
    channels
        Number of channels C.
    factor
        1 returns the samples unchanged.

    Attributes
    ----------
    delay
        Input samples to the right of a sample that must be known before its output is final.
    """

    def __init__(self, channels: int, factor: int) -> None:
        self._factor = factor
        self.delay = reach(factor, 1)
        self._context = np.zeros((channels, 0), np.float32)  # begins `delay` before the next output, or at the start
        self._skip = 0  # samples of the context that have been returned

    def advance(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return the final samples [C, factor * S'] after the next ones [C, S]."""
        if self._factor == 1:
            return samples
        known = np.concatenate([self._context, samples], axis=1)
        stop = known.shape[1] if last else max(known.shape[1] - self.delay, self._skip)
        result = resample(known, 1, self._factor)[:, self._skip * self._factor : stop * self._factor]
        first = max(stop - self.delay, 0)
        self._context, self._skip = known[:, first:].copy(), stop - first
        return result
