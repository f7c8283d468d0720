"""``--high-frequencies`` of the commands that make sound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.io import read_audio
from riffusion_ext.cli import main
from riffusion_ext.metadata import save_image
from riffusion_ext.params import SpectrogramParams
from tests.unit.extenders import FACTOR, MIDDLE, WithoutWeights, use

SAMPLES = 39 * MIDDLE.hop_length


@pytest.fixture(autouse=True)
def tone(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def picture(path: Path, params: SpectrogramParams = MIDDLE) -> Path:
    rows = np.random.default_rng(1).integers(0, 256, (params.num_frequencies, 1), dtype=np.uint8)
    return save_image(Image.fromarray(np.repeat(rows, 40, axis=1)).convert("RGB"), path, params, 5e6)


@pytest.mark.parametrize("command", ["image-to-audio", "images-to-audio"])
def test_high_frequencies_are_added_unless_they_are_off(command: str, tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png")
    sizes = {}
    for option in ([], ["--high-frequencies", "auto"], ["--high-frequencies", "on"], ["--high-frequencies", "off"]):
        assert main([command, "--image", str(image), "--overwrite", *option]) == 0
        clip = read_audio(tmp_path / "a.wav")
        sizes["".join(option[1:])] = (clip.sample_rate, clip.samples.shape[1])
    extended = (48000, FACTOR * SAMPLES)
    assert sizes == {"": extended, "auto": extended, "on": extended, "off": (16000, SAMPLES)}


def test_tiles_joined_as_a_song_and_tracks_of_clips_are_extended(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / "tiles" / f"{name}.png")
    for join, samples in (("song", 79 * MIDDLE.hop_length), ("clips", 2 * SAMPLES)):
        target = tmp_path / f"{join}.wav"
        assert main(["image-to-audio", "-i", str(tmp_path / "tiles"), "--join", join, "-o", str(target)]) == 0
        clip = read_audio(target)
        assert (clip.sample_rate, clip.samples.shape[1]) == (48000, FACTOR * samples)


def test_info_says_whether_high_frequencies_were_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = picture(tmp_path / "a.png")
    for choice, said in (("auto", True), ("off", False)):
        assert main(["image-to-audio", "-i", str(image), "--overwrite", "--high-frequencies", choice]) == 0
        capsys.readouterr()
        assert main(["info", str(tmp_path / "a.wav")]) == 0
        shown = capsys.readouterr().out
        assert ("high frequencies" in shown) == said
        assert ("added from 7000 Hz" in shown) == said


def test_on_says_why_nothing_can_be_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = picture(tmp_path / "a.png", SpectrogramParams(max_frequency=18000, num_frequencies=64))
    for choice, notes in (
        ("on", ["no high frequencies are added: the image reaches 18 kHz already"]),
        ("auto", []),
        ("off", []),
    ):
        command = ["image-to-audio", "-i", str(image), "--overwrite", "--high-frequencies", choice]
        assert main([*command, "--json"]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        assert result["notes"] == notes
        assert read_audio(tmp_path / "a.wav").sample_rate == 44100


def test_missing_weights_are_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, WithoutWeights)
    assert main(["image-to-audio", "-i", str(picture(tmp_path / "a.png"))]) == 0
    assert "no high frequencies are added: the weights are missing" in capsys.readouterr().err
    assert read_audio(tmp_path / "a.wav").sample_rate == 16000


def test_demo_measures_the_sound_of_the_images_and_writes_the_extended_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    differences, tunes = [], []
    for choice in ("off", "auto"):
        folder = tmp_path / choice
        assert main(["demo", "--output-dir", str(folder), "--json", "--high-frequencies", choice]) == 0
        differences.append(json.loads(capsys.readouterr().out)["difference"])
        tunes.append(read_audio(folder / "from_all_pictures.wav").samples)
    assert differences[0] == differences[1]
    assert tunes[0].shape == tunes[1].shape
    assert np.abs(tunes[0] - tunes[1]).max() > 0.005
