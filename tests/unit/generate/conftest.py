"""Small images and synthesised songs for the tests of generation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip
from riffusion_ext.params import SpectrogramParams
from tests.unit.small import SMALL

MakeSong = Callable[..., AudioClip]


@pytest.fixture
def small() -> SpectrogramParams:
    """Return parameters of small images: 64 bands up to 4 kHz."""
    return SMALL


@pytest.fixture
def song() -> MakeSong:
    """Return a function that makes songs: plucked chords over a little noise, different in each channel."""

    def make(seconds: float, *, rate: int = 8000, channels: int = 1, seed: int = 1) -> AudioClip:
        rng = np.random.default_rng(seed)
        count = round(seconds * rate)
        wave = 0.003 * rng.standard_normal((channels, count))
        for start in range(0, count, rate // 4):
            time = np.arange(min(rate // 2, count - start)) / rate
            for side in range(channels):
                for root in rng.choice([110.0, 147.0, 165.0, 196.0, 247.0], 2):
                    for overtone in range(1, 6):
                        tone = np.sin(2 * np.pi * root * overtone * time) / overtone
                        wave[side, start : start + len(time)] += 0.08 * tone * np.exp(-time * (3 + overtone))
        return AudioClip(wave.astype(np.float32), rate)

    return make
