"""Stand-ins for the network that predicts high frequencies, and parameters of images to which it applies."""

from __future__ import annotations

import numpy as np
import pytest

from riffusion_ext.bandwidth import WeightsError, output_rate
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram import high_frequencies

MIDDLE = SpectrogramParams(
    sample_rate=16000, window_duration_ms=50, padded_duration_ms=100, num_frequencies=64, max_frequency=7000
)
"""64 bands up to 7 kHz; extended, the sound has 48 kHz."""

FACTOR = 3
HERTZ = 15000.0
"""Frequency of the tone that :class:`ToneExtender` adds."""

DELAY = 3001
"""Its delay in samples of the input, no multiple of a hop."""


class ToneExtender:
    """Repeats the samples, and adds a tone to those that are not silent; late, as a network is."""

    delay = DELAY

    def __init__(
        self, channels: int, sample_rate: int, cutoff: float, device: str = "cpu", *, blocks: int = 32
    ) -> None:
        self.channels, self.device = channels, device
        self.sample_rate = output_rate(sample_rate)
        self.factor = self.sample_rate // sample_rate
        self._waiting = np.zeros((channels, 0), np.float32)
        self._position = 0

    def advance(self, samples: np.ndarray, *, last: bool = False) -> np.ndarray:
        assert samples.dtype == np.float32
        assert samples.shape[0] == self.channels
        waiting = np.concatenate([self._waiting, samples], axis=1)
        count = waiting.shape[1] if last else max(waiting.shape[1] - self.delay, 0)
        self._waiting = waiting[:, count:]
        return self._extended(waiting[:, :count])

    def _extended(self, samples: np.ndarray) -> np.ndarray:
        repeated = np.repeat(samples, self.factor, axis=1)
        positions = self._position + np.arange(repeated.shape[1])
        self._position += repeated.shape[1]
        tone = 0.02 * np.sin(2 * np.pi * HERTZ / self.sample_rate * positions)
        return (repeated + tone * (repeated != 0)).astype(np.float32)


class WithoutWeights:
    """Has no weights."""

    def __init__(self, *_: object, **__: object) -> None:
        raise WeightsError("the weights are missing")


class FailsOnGpu(ToneExtender):
    """Runs out of memory on a GPU, after the first piece."""

    def advance(self, samples: np.ndarray, *, last: bool = False) -> np.ndarray:
        if self.device != "cpu" and self._position:
            raise RuntimeError("CUDA out of memory")
        return super().advance(samples, last=last)


def use(monkeypatch: pytest.MonkeyPatch, extender: type = ToneExtender) -> None:
    """Replace the network; what the doubles add has a level of its own."""
    monkeypatch.setattr(high_frequencies, "BandwidthExtender", extender)
    monkeypatch.setattr(high_frequencies, "_scale_to_full", lambda samples: np.float32(1.0))
