"""Mel magnitudes of sounds, in 16-bit units."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from riffusion_ext.audio import AudioClip
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.encode import mel_spectrogram

Magnitudes = TypeVar("Magnitudes", np.ndarray, torch.Tensor)


def mel_of_clip(clip: AudioClip, params: SpectrogramParams) -> torch.Tensor:
    """Return the magnitudes of a clip, [channels, columns, bands]."""
    return mel_spectrogram(torch.from_numpy(clip.samples * np.float32(32768)), params)


def mel_of(samples: np.ndarray, params: SpectrogramParams = PRESETS["riffusion-v1"]) -> np.ndarray:
    """Return the magnitudes of mono samples, [columns, bands]."""
    return mel_spectrogram(torch.from_numpy(samples.astype(np.float32))[None] * 32768, params)[0].numpy()


def slices(mel: Magnitudes) -> Callable[[int, int], Magnitudes]:
    """Return a function that returns the columns from a start to a stop."""
    return lambda start, stop: mel[:, start:stop]
