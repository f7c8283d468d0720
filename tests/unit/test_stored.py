"""Files written by earlier versions can still be read: recipes, unfinished songs, training sets, infotexts.

``stored/`` was written by the version of 2026-11-28, before modules and settings were reorganised. Its songs and
images are synthetic. Do not write these files again.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import CurateSettings, DatasetSettings, SliceSettings
from riffusion_ext.generate.checkpoint.recipe import read_record, to_record
from riffusion_ext.generate.restore import settings_in
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.host import infotext
from riffusion_ext.options.sound import CONTROLS
from riffusion_ext.params import SpectrogramParams
from tests.unit.generate.fake_backends import FakeBackend, by_seed

STORED = Path(__file__).with_name("stored")
EXPECTED: dict[str, Any] = json.loads((STORED / "expected.json").read_text("utf-8"))

ALL_KEYS = {
    "Riffusion sound": "On",
    "Riffusion engine": "best",
    "Riffusion level": "loudness",
    "Riffusion format": "flac",
    "Riffusion channels": "mono",
    "Riffusion joined": "True",
    "Riffusion crossfade": "0.5",
    "Riffusion spectrogram": "custom",
    "Riffusion parameters": "max_frequency=16000, stereo=true",
}
"""Generation parameters as they stand in images that the webui saved."""


@pytest.mark.parametrize("suffix", ["wav", "png"])
@pytest.mark.parametrize("kind", ["song", "riff", "loop"])
def test_settings_of_a_stored_piece_are_read(kind: str, suffix: str) -> None:
    found, settings = settings_in(STORED / f"{kind}.{suffix}")
    assert found == kind
    assert to_record(settings) == EXPECTED[kind]


def test_an_unfinished_song_is_resumed(tmp_path: Path) -> None:
    shutil.copytree(STORED / "unfinished", tmp_path / "windows")
    expected = EXPECTED["unfinished"]
    song = Song(read_record(SongSettings, expected["settings"]), tmp_path / "windows")
    backend = FakeBackend(by_seed, name="riffusion-model-v1")
    list(song.generate(backend))
    assert len(song.plan.windows) == expected["windows"]
    assert backend.generated == expected["windows"] - expected["done"]
    assert song.sound() is not None


def test_decisions_in_a_stored_training_set_are_kept(tmp_path: Path) -> None:
    with zipfile.ZipFile(STORED / "dataset.zip") as archive:
        archive.extractall(tmp_path)
    params = SpectrogramParams(sample_rate=8000, num_frequencies=64, max_frequency=4000)
    settings = DatasetSettings(SliceSettings(params, 64), CurateSettings(transition=None, duplicate=None))
    before = json.loads((tmp_path / "dataset/set/manifest.json").read_text("utf-8"))
    built = build(tmp_path / "dataset/songs", tmp_path / "dataset/set", settings)
    assert [window.file for window in built.manifest.windows] == [window["file"] for window in before["windows"]]
    edited = [window for window in built.manifest.windows if window.caption == "a caption of my own"]
    assert len(edited) == 1
    assert edited[0].kept
    dropped = [window.file for window in built.manifest.windows if window.decided]
    assert dropped == [window["file"] for window in before["windows"] if window["decided"]]
    assert not any("changed" in note for note in built.notes), built.notes


def test_every_key_of_a_stored_infotext_sets_its_control() -> None:
    read = {item.id: infotext.reader(item)(ALL_KEYS) for item in CONTROLS}
    assert read == {
        "mode": "On",
        "engine": "best",
        "level": "loudness",
        "format": "flac",
        "channels": "mono",
        "joined": True,
        "crossfade": 0.5,
        "preset": "custom",
        "custom": "max_frequency=16000, stereo=true",
        "high_frequencies": "auto",  # not known to that version: its default
    }
