"""Synthesised sound for the tests of the audio package."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.formats.ffmpeg import VARIABLE

MakeTone = Callable[..., AudioClip]


@pytest.fixture
def tone() -> MakeTone:
    """Return a function that makes clips with a different sine in each channel: 220, 440, 660... Hz."""

    def make(seconds: float = 0.2, *, channels: int = 1, rate: int = 44100, amplitude: float = 0.5) -> AudioClip:
        time = np.arange(round(seconds * rate)) / rate
        waves = [np.sin(2 * np.pi * 220 * (number + 1) * time) for number in range(channels)]
        return AudioClip((amplitude * np.stack(waves)).astype(np.float32), rate)

    return make


@pytest.fixture(autouse=True)
def ffmpeg_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for ffmpeg on PATH, as users do."""
    monkeypatch.delenv(VARIABLE)


@pytest.fixture
def no_soundfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``import soundfile`` fail."""
    monkeypatch.setitem(sys.modules, "soundfile", None)


@pytest.fixture
def real_ffmpeg(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put ffmpeg on PATH if it is not there."""
    if shutil.which("ffmpeg") is None:
        packed = pytest.importorskip("imageio_ffmpeg", exc_type=ImportError)
        folder = tmp_path_factory.mktemp("bin")
        program = Path(packed.get_ffmpeg_exe())
        (folder / f"ffmpeg{program.suffix if os.name == 'nt' else ''}").symlink_to(program)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide every program."""
    monkeypatch.setenv("PATH", "")
