"""Fetch the packages, and read windows of their songs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from riffusion_ext.audio.resampling import resample
from training.bandwidth.sources import MusicSource

__all__ = ["RATE", "WINDOW", "Songs", "fetch"]

RATE = 44100
"""Sample rate, in Hz."""

WINDOW = 225351
"""Samples of a window: 5.11 s, an image of 512 columns."""

_SUFFIXES = {".ogg", ".opus", ".mp3", ".flac", ".wav"}
_MIN_SECONDS = 15.0  # shorter files are effects
_MAX_COUNTED = 30  # songs of a source that count when sources are drawn

Waveform = npt.NDArray[np.float32]


def fetch(sources: Iterable[MusicSource], folder: Path) -> None:
    """Download and unpack the packages that are not in `folder` yet.

    Raises
    ------
    subprocess.CalledProcessError
        A package cannot be downloaded or unpacked.
    """
    for source in sources:
        target = folder / source.package
        if target.is_dir():
            continue
        print(f"fetching {source.package}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            subprocess.run(["apt-get", "download", source.package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            (package,) = Path(scratch).glob("*.deb")
            unpacked = Path(scratch) / "unpacked"
            subprocess.run(["dpkg", "-x", package, unpacked], check=True)
            unpacked.rename(target)


class Songs:
    """Windows of the songs of several sources.

    Parameters
    ----------
    sources
        Their packages lie in `folder`.
    folder
        As given to :func:`fetch`.
    """

    def __init__(self, sources: Iterable[MusicSource], folder: Path) -> None:
        self._songs = {source.package: _songs_of(folder / source.package) for source in sources}
        self._packages = [package for package, songs in self._songs.items() if songs]
        weight = np.sqrt([min(len(self._songs[package]), _MAX_COUNTED) for package in self._packages])
        self._share = weight / weight.sum()

    def draw(self, rng: np.random.Generator) -> tuple[str, Waveform]:
        """Draw a window [S] of at most :data:`WINDOW` samples; return it with the name of its package."""
        package = self._packages[rng.choice(len(self._packages), p=self._share)]
        song = self._songs[package][rng.integers(len(self._songs[package]))]
        return package, read_window(song, rng.uniform(0.03, 0.9))


def _songs_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and _seconds(path) >= _MIN_SECONDS)


def _seconds(path: Path) -> float:
    try:
        return float(soundfile.info(path).duration)
    except soundfile.LibsndfileError:
        return 0.0


def read_window(path: Path, at: float) -> Waveform:
    """Read a window that begins at a share of the song; return it mixed to mono at :data:`RATE`."""
    info = soundfile.info(path)
    frames = int((WINDOW / RATE + 0.2) * info.samplerate)
    start = max(0, min(int(info.frames * at), info.frames - frames))
    samples, rate = soundfile.read(path, frames, start, dtype="float32", always_2d=True)
    return resample(samples.mean(1, keepdims=True).T, rate, RATE)[0, :WINDOW]
