"""Songs, and images of a small training set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset.export.item import ExportItem
from riffusion_ext.dataset.settings import CurateSettings, DatasetSettings, SliceSettings
from riffusion_ext.params import SpectrogramParams

MakeItems = Callable[..., list[ExportItem]]
MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="session")
def make_song() -> MakeSong:
    """Return a function that writes songs: plucked notes, chosen by a seed, over a little noise."""

    def make(
        path: Path, seconds: float = 4.0, *, seed: int = 1, rate: int = 44100, channels: int = 1, gain: float = 1.0
    ) -> Path:
        rng = np.random.default_rng(seed)
        wave = 0.01 * rng.standard_normal((channels, round(seconds * rate)))
        for start in range(0, wave.shape[1], rate // 4):
            time = np.arange(min(rate // 2, wave.shape[1] - start)) / rate
            for channel in range(channels):
                pitch = 110 * 2 ** (rng.integers(0, 30) / 12)
                wave[channel, start : start + len(time)] += 0.2 * np.exp(-5 * time) * np.sin(2 * np.pi * pitch * time)
        return write_audio(AudioClip((gain * wave).astype(np.float32), rate), path)

    return make


@pytest.fixture
def collection(tmp_path: Path, make_song: MakeSong) -> Path:
    """Return a folder of three songs of about 3 to 4 s, one of them in a subfolder."""
    folder = tmp_path / "collection"
    make_song(folder / "one.wav", 4.0, seed=1)
    make_song(folder / "two.wav", 3.3, seed=2, channels=2, rate=22050)
    make_song(folder / "album" / "three.flac", 2.7, seed=3, rate=48000)
    return folder


@pytest.fixture
def narrow() -> DatasetSettings:
    """Return settings of images 64 columns wide, so that short songs have many, without the subjective checks.

    The images have few rows and a low sample rate, which is fast.
    """
    params = SpectrogramParams(sample_rate=8000, num_frequencies=64, max_frequency=4000)
    return DatasetSettings(SliceSettings(params, 64), CurateSettings(transition=None, duplicate=None))


def tree(folder: Path) -> dict[str, str]:
    """Return a digest of each file of a training set by name, without files that depend on machine or time."""
    own = {".riffusion/source.json", ".riffusion/lock"}
    files = ((path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*")) if path.is_file())
    return {name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for name, path in files if name not in own}


@pytest.fixture(name="tree", scope="session")
def tree_fixture() -> Tree:
    """Return :func:`tree`."""
    return tree


@pytest.fixture
def songs(tmp_path: Path) -> list[Path]:
    """Return two songs of 12 s, in stereo and mono."""
    time = np.arange(12 * 8000, dtype=np.float32) / 8000
    tones = np.stack([np.sin(2 * np.pi * 220 * time), np.sin(2 * np.pi * 330 * time)]) * 0.5
    first = write_audio(AudioClip(tones, 8000), tmp_path / "songs" / "first.wav")
    second = write_audio(AudioClip(tones[:1], 8000), tmp_path / "songs" / "second.wav")
    return [first, second]


@pytest.fixture
def make_items(tmp_path: Path, songs: list[Path]) -> MakeItems:
    """Return a function that makes items with images in ``tmp_path / "out" / "pictures"``."""

    def make(
        count: int = 3, *, caption: str = "rfx, {}", step: float = 2.0, duration: float = 1.99
    ) -> list[ExportItem]:
        images = tmp_path / "out" / "pictures"
        images.mkdir(parents=True, exist_ok=True)
        items = []
        for number in range(count):
            image = images / f"{number:02d}-{number * 77777:08x}.png"
            if not image.exists():
                exif = Image.Exif()
                exif[11000] = 44100
                Image.new("RGB", (512, 512), (number * 20, 200, 255)).save(image, exif=exif)
            start = number // 2 * step
            items.append(ExportItem(image, caption.format(number), songs[number % 2], start, duration))
        return items

    return make
