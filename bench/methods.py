"""Decoding methods to compare, ours and the original's, with one signature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench import recipes
from bench.material import Piece
from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.codec import DecodeSettings, image_to_audio

Method = Callable[[Piece], np.ndarray]

PARAMS = SpectrogramParams()


def engine(name: str, device: str = "cpu") -> Method:
    """Return one of our engines as a user calls it, including pixels, parameters and level."""
    settings = DecodeSettings(engine=name, channels="mono", params=PARAMS, device=device)
    return lambda piece: image_to_audio(piece.image, settings).clip.samples[0]


def lstsq(piece: Piece) -> np.ndarray:
    """Decode with INC-LSTSQ."""
    return recipes.inc_lstsq(piece.image, piece.max_value)


def sgd(piece: Piece) -> np.ndarray:
    """Decode with INC-SGD."""
    return recipes.inc_sgd(piece.image, piece.max_value)


LABELS = {
    "fast": "fast (default)",
    "best": "best",
    "reference": "reference (torchaudio)",
    "lstsq": "INC-LSTSQ",
    "sgd": "INC-SGD",
}
