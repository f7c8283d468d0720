"""The time-frequency grid on which the high frequencies are predicted and made.

::

    0 ------------- cutoff/2 ------------- cutoff ------------------------------- 20 kHz
    |  low bands (features)                | high bands (predicted envelope)      |
                    |  carrier  ---------> | ---------> | ------->     shifted copies

Frames are 11.6 ms long and 2.9 ms apart: an image of riffusion-model-v1 resolves 100 ms, but the attack of a hi-hat is
shorter. Four consecutive frames are one step of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["HIGH_BANDS", "LOW_BANDS", "TOP_FREQUENCY", "Grid", "high_edges_hz"]

TOP_FREQUENCY = 20000.0
"""Frequency up to which the sound is extended, in Hz."""

LOW_BANDS = 24
"""Bands of the features, between 0 Hz and the cutoff."""

HIGH_BANDS = 20
"""Bands of the predicted envelope, equally wide, between 5 and 20 kHz; those below the cutoff are not used."""

_HOP_S = 128 / 44100
_HOPS_IN_WINDOW = 4
_BOTTOM_FREQUENCY = 5000.0


def high_edges_hz() -> npt.NDArray[np.float64]:
    """Return the edges [HIGH_BANDS + 1] of the predicted bands, in Hz."""
    return np.linspace(_BOTTOM_FREQUENCY, TOP_FREQUENCY, HIGH_BANDS + 1)


@dataclass(frozen=True)
class Grid:
    """Frames and bands for one sample rate and cutoff.

    Parameters
    ----------
    sample_rate
        In Hz, at least 40 kHz.
    cutoff
        Frequency at which the spectrum of the input ends, in Hz.
    """

    sample_rate: int
    cutoff: float

    @cached_property
    def hop(self) -> int:
        """Samples between two frames: 2.9 ms, a multiple of 4 for the sake of the FFT."""
        return max(1, round(self.sample_rate * _HOP_S / 4)) * 4

    @property
    def window(self) -> int:
        """Samples in a frame: four hops."""
        return _HOPS_IN_WINDOW * self.hop

    @cached_property
    def low_edges(self) -> tuple[int, ...]:
        """Edges [LOW_BANDS + 1] of the low bands, in bins. They scale with the cutoff and widen like critical bands."""
        top = self._bin(self.cutoff)
        curve = np.expm1(np.linspace(0.0, np.log1p(self.cutoff / _KNEE), LOW_BANDS + 1)) * _KNEE / self.cutoff
        edges = np.round(curve * (top - 1)).astype(np.int64) + 1
        return tuple(np.maximum.accumulate(np.maximum(edges, np.arange(1, LOW_BANDS + 2))).tolist())

    @cached_property
    def high_edges(self) -> tuple[int, ...]:
        """Edges [HIGH_BANDS + 1] of the high bands, in bins; bins below :attr:`first_bin` are left out."""
        edges = np.round(high_edges_hz() * self.window / self.sample_rate).astype(np.int64)
        edges[0] = self.first_bin  # a sound of a low sample rate can end below the first band
        return tuple(np.maximum(edges, self.first_bin).tolist())

    @cached_property
    def first_bin(self) -> int:
        """First bin above the cutoff."""
        return self._bin(self.cutoff)

    @property
    def stop_bin(self) -> int:
        """Bin after the last one that is made."""
        return self.high_edges[-1]

    @cached_property
    def shift(self) -> int:
        """Bins by which the carrier is shifted: half the cutoff.

        A multiple of the hops in a window: then the phases of the copy advance from frame to frame as those of a
        modulated signal, without buzzing.
        """
        return max(1, self.first_bin // 2 // _HOPS_IN_WINDOW) * _HOPS_IN_WINDOW

    def _bin(self, frequency: float) -> int:
        return int(np.ceil(frequency * self.window / self.sample_rate - 1e-9))


_KNEE = 3000.0  # in Hz: bands are about equally wide below, and proportional to frequency above
