"""Values of a new page, a folder of songs, and a training set of songs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import write_audio
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import CurateSettings, DatasetSettings, SliceSettings
from riffusion_ext.ui.layout.page_context import PageContext
from tests.unit.ui.studio import Studio

RATE = 22050


@pytest.fixture(scope="module")
def page_values(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the values of a new page, whose components the test module names as CONTROLS."""
    gr = pytest.importorskip("gradio", exc_type=ImportError)
    context = Studio().context(tmp_path_factory.mktemp("page"))
    with gr.Blocks(analytics_enabled=False):
        return {name: control.value for name, control in request.module.CONTROLS(context).items()}


@pytest.fixture
def studio() -> Studio:
    return Studio()


def plucked(path: Path, seconds: float, seed: int) -> Path:
    """Write a song of plucked notes over a little noise."""
    rng = np.random.default_rng(seed)
    wave = 0.01 * rng.standard_normal(round(seconds * RATE))
    for start in range(0, len(wave), RATE // 4):
        time = np.arange(min(RATE // 2, len(wave) - start)) / RATE
        pitch = 110 * 2 ** (rng.integers(0, 30) / 12)
        wave[start : start + len(time)] += 0.2 * np.exp(-5 * time) * np.sin(2 * np.pi * pitch * time)
    return write_audio(AudioClip(wave.astype(np.float32)[None], RATE), path)


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of uploads; files below it count as uploaded."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def context(tmp_path: Path) -> PageContext:
    return PageContext(
        output_dir=lambda: tmp_path / "results", url_of=lambda path: f"URL/{path.name}", device=lambda: "cpu"
    )


@pytest.fixture
def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of two songs of 4 s, which are processed in this process."""
    monkeypatch.setattr("riffusion_ext.dataset.pipeline.cores", lambda: 1)
    for number, name in enumerate(("one.wav", "album/two.wav"), 1):
        plucked(tmp_path / "songs" / name, 4.0, number)
    return tmp_path / "songs"


@pytest.fixture
def narrow() -> DatasetSettings:
    """Return settings of images 64 columns wide, so that short songs have many, without the subjective checks."""
    return DatasetSettings(SliceSettings(columns=64), CurateSettings(transition=None, duplicate=None))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    plucked(folder / "songs" / "one.wav", 10.0, 1)
    plucked(folder / "songs" / "two.wav", 4.0, 2)
    curation = CurateSettings(transition=None, duplicate=None)
    build(folder / "songs", folder / "set", DatasetSettings(SliceSettings(columns=64), curation), jobs=1)
    return folder / "set"


@pytest.fixture
def training_set(made_once: Path, tmp_path: Path) -> Path:
    """Return a training set of 21 windows; the first and last of each song are left out."""
    return Path(shutil.copytree(made_once, tmp_path / "set"))
