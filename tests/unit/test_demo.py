"""The demo: its tune, and the round trip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.io import read_audio
from riffusion_ext.cli import main
from riffusion_ext.demo import image_difference
from riffusion_ext.demo.tune import BEAT, SAMPLE_RATE, make_tune


@pytest.fixture(scope="module")
def tune() -> np.ndarray:
    return make_tune()


def test_tune_fills_three_tiles_of_512_columns_exactly(tune: np.ndarray):
    assert tune.shape == (1, (3 * 512 - 1) * 441)
    two_bars = 8 * BEAT
    assert two_bars == pytest.approx(512 * 0.01)


def test_tune_does_not_clip_and_is_never_silent(tune: np.ndarray):
    assert tune.dtype == np.float32
    assert np.abs(tune).max() == pytest.approx(0.89, abs=1e-3)
    seconds = [tune[0, i : i + SAMPLE_RATE].std() for i in range(0, tune.shape[1] - SAMPLE_RATE, SAMPLE_RATE)]
    assert min(seconds) > 0.03
    assert abs(tune.mean()) < 1e-3


def test_tune_has_bass_middle_and_treble(tune: np.ndarray):
    power = np.abs(np.fft.rfft(tune[0])) ** 2
    hertz = np.fft.rfftfreq(tune.shape[1], 1 / SAMPLE_RATE)
    bands = [
        power[(hertz >= low) & (hertz < high)].sum() / power.sum() for low, high in ((0, 150), (150, 600), (600, 2400))
    ]
    assert min(bands) > 0.1
    assert power[hertz >= 10000].sum() / power.sum() < 0.05


def test_tune_is_deterministic(tune: np.ndarray):
    np.testing.assert_array_equal(tune, make_tune())


def test_image_difference_counts_grey_levels():
    black, grey = Image.new("RGB", (4, 4), 0), Image.new("RGB", (4, 4), (10, 0, 0))
    assert image_difference(black, black) == 0
    assert image_difference(black, grey) == 10


def test_demo_converts_there_and_back_and_replaces_earlier_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "demo"
    assert main(["demo", "--output-dir", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "riffusion-ext ui" in out or "riffusion_ext ui" in out
    assert str(folder.resolve()) in out
    images = sorted((folder / "pictures").iterdir())
    assert [path.name for path in images] == ["tune_00000.png", "tune_00001.png", "tune_00002.png"]
    for path in images:
        with Image.open(path) as image:
            assert (image.size, image.mode) == ((512, 512), "RGB")
    assert read_audio(folder / "tune.wav").samples.shape[1] == 1535 * 441
    assert read_audio(folder / "from_all_pictures.wav").samples.shape[1] == 1535 * 441
    assert read_audio(folder / "from_one_picture.wav").samples.shape[1] == 511 * 441

    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert main(["demo", "--output-dir", str(folder), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert 0 < outcome["difference"] < 5
    assert len(outcome["files"]["pictures"]) == 3
    again = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert again.keys() == files.keys()
    assert all(again[path] > before for path, before in files.items())


def test_unwritable_folder_is_reported_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").write_text("in the way")
    assert main(["demo", "--output-dir", f"{tmp_path}/file/demo"]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
