"""Synthesised music and small parameters for the tests of the spectrogram package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip
from riffusion_ext.spectrogram import SpectrogramParams

MakeTune = Callable[..., AudioClip]


@pytest.fixture(scope="session")
def tune() -> MakeTune:
    """Return a maker of music-like clips: plucked chords with overtones, a bass, noise on the beat, and hiss."""

    def make(seconds: float = 2.0, *, channels: int = 1, rate: int = 44100, seed: int = 0) -> AudioClip:
        rng = np.random.default_rng(seed)
        time = np.arange(round(seconds * rate)) / rate
        since_beat, beat = time % 0.5, (time // 0.5).astype(int)
        sides = []
        for side in range(channels):
            roots = rng.choice([110.0, 130.8, 146.8, 164.8, 196.0], size=int(seconds * 2) + 2)[beat]
            wave = 0.25 * np.sin(2 * np.pi * np.cumsum(roots / 2) / rate)
            for interval in (1.0, 1.25 + 0.083 * (side == 1), 1.5):
                for overtone in range(1, 9):
                    phase = 2 * np.pi * np.cumsum(roots * interval * overtone * 2) / rate + rng.uniform(0, 6)
                    wave += 0.15 / overtone * np.exp(-since_beat * (2 + overtone)) * np.sin(phase)
            wave += 0.15 * np.exp(-since_beat * 60) * rng.standard_normal(len(time))
            wave += 1e-3 * rng.standard_normal(len(time))
            sides.append(0.4 * wave)
        return AudioClip(np.stack(sides).astype(np.float32), rate)

    return make


@pytest.fixture(scope="session")
def torchaudio() -> Any:
    """Return torchaudio as reference. A version that does not match torch may raise any error on import."""
    try:
        import torchaudio
        import torchaudio.transforms
    except Exception as error:
        pytest.skip(f"torchaudio cannot be imported: {error}")
    return torchaudio


@pytest.fixture(scope="session")
def small() -> SpectrogramParams:
    """Return parameters that need a tenth of the work of the default ones."""
    return SpectrogramParams(sample_rate=16000, max_frequency=5000, num_frequencies=96, padded_duration_ms=200)
