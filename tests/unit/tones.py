"""Images of steady tones, and lengths of the sounds made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from riffusion_ext.audio import read_audio

HOP = 441


def tones(width: int = 40, seed: int = 0) -> Image.Image:
    """Return an image of a few steady tones, quick to invert."""
    rows = np.full(512, 255, np.uint8)
    rows[np.random.default_rng(seed).choice(np.arange(150, 500), 6)] = 20
    return Image.fromarray(np.repeat(rows[:, None], width, axis=1)).convert("RGB")


def length(path: Path) -> int:
    """Return the number of samples of a sound file."""
    return read_audio(path).samples.shape[1]
