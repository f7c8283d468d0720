"""Stem separation with a fake demucs: low frequencies are the bass, the rest are the vocals."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, write_audio
from riffusion_ext.dataset import stems
from riffusion_ext.dataset.captions.template import file_fields
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import CaptionSettings, DatasetSettings, SliceSettings
from riffusion_ext.dataset.songs import Song
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError

RATE = 44100


class Model:
    """Separates normalised input (mean 0, deviation 1), as demucs's models do."""

    sources = ("bass", "vocals")
    samplerate = RATE
    audio_channels = 2

    def eval(self) -> Model:
        return self


def _get_model(name: str) -> Model:
    if name != "htdemucs":
        raise SystemExit(1)  # as demucs does
    return Model()


def _apply_model(model: Model, mix: torch.Tensor, **options: Any) -> torch.Tensor:
    assert mix.shape[:2] == (1, 2)
    assert abs(float(mix.mean())) < 1e-3
    assert float(mix.std()) == pytest.approx(1, abs=1e-3)
    spectrum = torch.fft.rfft(mix)
    edge = int(300 * mix.shape[2] / RATE)
    low = spectrum.clone()
    low[..., edge:] = 0
    bass = torch.fft.irfft(low, mix.shape[2])
    return torch.stack([bass, mix - bass], dim=1)


@pytest.fixture
def demucs(monkeypatch: pytest.MonkeyPatch) -> None:
    package, pretrained, apply = ModuleType("demucs"), ModuleType("demucs.pretrained"), ModuleType("demucs.apply")
    package.__spec__ = importlib.machinery.ModuleSpec("demucs", None)
    pretrained.get_model = _get_model  # type: ignore[attr-defined]
    apply.apply_model = _apply_model  # type: ignore[attr-defined]
    for module in (package, pretrained, apply):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    stems._load_model.cache_clear()


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    t = np.arange(12 * RATE) / RATE
    low, high = (0.3 * np.sin(2 * np.pi * f * t) * (1 + 0.3 * np.sin(2 * np.pi * t)) for f in (110, 1760))
    folder = tmp_path / "songs"
    write_audio(AudioClip(np.stack([low + high, low + high]).astype(np.float32), RATE), folder / "A Song.wav")
    return folder


def _set(**more: Any) -> DatasetSettings:
    return DatasetSettings(SliceSettings(**more), captions=CaptionSettings("{stem}, {file}"))


@pytest.mark.usefixtures("demucs")
def test_each_stem_becomes_a_song(songs: Path, tmp_path: Path) -> None:
    built = build(songs, tmp_path / "out", _set(stems=("bass", "vocals")), jobs=1)
    assert not built.failed
    assert [song.name for song in built.manifest.songs] == ["A Song.wav/bass", "A Song.wav/vocals"]
    kept = {window.file: window.caption for window in built.manifest.windows}
    assert set(kept.values()) == {"bass, A Song", "vocals, A Song"}
    assert {name.split("_")[0] for name in kept} == {"A-Song-bass", "A-Song-vocals"}
    again = build(songs, tmp_path / "out", _set(stems=("bass", "vocals")), jobs=1)
    assert again.resumed == 2
    assert again.manifest == built.manifest


@pytest.mark.usefixtures("demucs")
def test_stems_add_up_to_the_song(songs: Path, tmp_path: Path) -> None:
    song = Song(songs / "A Song.wav", "A Song.wav")
    bass, vocals = stems.separate(Store(tmp_path), song, ("bass", "vocals"), "htdemucs")
    assert bass.whole == song.path
    whole = read_audio(song.path).samples
    parts = [read_audio(part.path).samples for part in (bass, vocals)]
    np.testing.assert_allclose(parts[0] + parts[1], whole, atol=2e-4)
    for samples, frequency in zip(parts, (110, 1760), strict=True):
        assert np.abs(np.fft.rfft(samples[0])).argmax() * RATE / samples.shape[1] == pytest.approx(frequency, abs=1)


@pytest.mark.usefixtures("demucs")
@pytest.mark.parametrize(
    ("model", "wanted", "words"),
    [("nonesuch", ("bass",), "cannot load the model nonesuch"), ("htdemucs", ("piano",), "no piano; it has bass")],
)
def test_separation_model_without_the_wanted_stems_is_refused(
    model: str, wanted: tuple[str, ...], words: str, songs: Path, tmp_path: Path
) -> None:
    with pytest.raises(RiffusionError, match=words):
        build(songs, tmp_path / "out", _set(stems=wanted, stems_model=model), jobs=1)


def test_missing_demucs_is_reported_in_one_sentence(
    songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stems._load_model.cache_clear()
    monkeypatch.setitem(sys.modules, "demucs", None)
    monkeypatch.setitem(sys.modules, "demucs.pretrained", None)
    with pytest.raises(RiffusionError, match=r"stems need the package demucs.*put stems as files"):
        build(songs, tmp_path / "out", _set(stems=("bass",)), jobs=1)


def test_unknown_stems_are_refused() -> None:
    with pytest.raises(RiffusionError, match="a stem must be one of drums, bass"):
        SliceSettings(stems=("kazoo",))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("vocals.wav", "vocals"),
        ("A Song (Drums).flac", "drums"),
        ("song_bass.ogg", "bass"),
        ("song-Piano.ogg", "piano"),
        ("contrabass.ogg", ""),
        ("another.ogg", ""),
        ("drums of war.ogg", ""),
    ],
)
def test_stem_is_recognised_in_the_file_name(name: str, stem: str) -> None:
    assert file_fields(Path("/songs") / name).get("stem", "") == stem
