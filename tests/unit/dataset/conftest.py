"""A small training set: pictures as they are written, and the songs they were cut from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset.export import ExportItem

MakeItems = Callable[..., list[ExportItem]]


@pytest.fixture
def songs(tmp_path: Path) -> list[Path]:
    """Two songs of 12 s, in stereo and mono."""
    time = np.arange(12 * 8000, dtype=np.float32) / 8000
    tones = np.stack([np.sin(2 * np.pi * 220 * time), np.sin(2 * np.pi * 330 * time)]) * 0.5
    first = write_audio(AudioClip(tones, 8000), tmp_path / "songs" / "first.wav")
    second = write_audio(AudioClip(tones[:1], 8000), tmp_path / "songs" / "second.wav")
    return [first, second]


@pytest.fixture
def make_items(tmp_path: Path, songs: list[Path]) -> MakeItems:
    """Return a maker of items whose pictures lie in ``tmp_path / "out" / "pictures"``."""

    def make(
        count: int = 3, *, caption: str = "rfx, {}", step: float = 2.0, duration: float = 1.99
    ) -> list[ExportItem]:
        pictures = tmp_path / "out" / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        items = []
        for number in range(count):
            picture = pictures / f"{number:02d}-{number * 77777:08x}.png"
            if not picture.exists():
                exif = Image.Exif()
                exif[11000] = 44100
                Image.new("RGB", (512, 512), (number * 20, 200, 255)).save(picture, exif=exif)
            start = number // 2 * step
            items.append(ExportItem(picture, caption.format(number), songs[number % 2], start, duration))
        return items

    return make
