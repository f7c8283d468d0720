"""Decoding methods to compare, ours and the original's, with one signature."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import numpy as np
import torch

from bench import recipes
from bench.material import Piece
from riffusion_ext import bandwidth
from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.codec import DecodeSettings, image_to_audio
from riffusion_ext.spectrogram.inversion import phase
from riffusion_ext.spectrogram.threads import ThreadGroup, run_on

Method = Callable[[Piece], np.ndarray]

PARAMS = SpectrogramParams()


def engine(name: str, device: str = "cpu") -> Method:
    """Return one of our engines as a user calls it, including pixels, parameters and level."""
    settings = DecodeSettings(engine=name, channels="mono", params=PARAMS, device=device)
    return lambda piece: image_to_audio(piece.image, settings).clip.samples[0]


def torch_alone(method: Method) -> Method:
    """Return the method as it runs where numba is not installed."""

    def run(piece: Piece) -> np.ndarray:
        with mock.patch.object(phase, "kernels", return_value=None):
            return method(piece)

    return run


def lstsq(piece: Piece) -> np.ndarray:
    """Decode with INC-LSTSQ."""
    return recipes.inc_lstsq(piece.image, piece.max_value)


def sgd(piece: Piece) -> np.ndarray:
    """Decode with INC-SGD."""
    return recipes.inc_sgd(piece.image, piece.max_value)


# -- with bandwidth extension

Extension = Callable[[np.ndarray], np.ndarray]


def extend(samples: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Extend the bandwidth of a decoded waveform [S] or [C, S] at the rate of the images, and keep its shape."""
    channels = np.atleast_2d(samples)

    def work(_: ThreadGroup) -> np.ndarray:
        return bandwidth.extend(channels, PARAMS.sample_rate, PARAMS.max_frequency, device)

    return run_on(torch.device(device), work).reshape(samples.shape)


LABELS = {
    "fast": "fast (default)",
    "torch": "fast, torch alone",
    "numba": "fast, with numba",
    "best": "best",
    "reference": "reference (torchaudio)",
    "lstsq": "INC-LSTSQ",
    "sgd": "INC-SGD",
    "fast_extended": "fast + extension",
    "best_extended": "best + extension",
    "source_low": "source below 9.8 kHz",
    "fast_oracle": "fast + extension, source's envelope",
    "fast_source_band": "fast + source above 10 kHz",
}
