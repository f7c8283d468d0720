"""Images to clips and one track: in time, independent of each other, and without overwriting files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext import metadata
from riffusion_ext.analysis.image_beats import BeatFinder, find_beats
from riffusion_ext.audio import AudioClip, read_audio
from riffusion_ext.convert import images_to_clips, joined_path
from riffusion_ext.convert.crop import CropSettings, darkness_of
from riffusion_ext.convert.result import Result
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import PRESETS
from riffusion_ext.spectrogram.codec import DecodeSettings, audio_to_image

from .conftest import RATE, drums

SETTINGS = DecodeSettings(device="cpu")
HOP = 441


def save(path: Path, clip: AudioClip, max_value: float | None = None) -> Path:
    image = audio_to_image(clip)
    return metadata.save_image(image.image, path, image.params, max_value or image.max_value)


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four images at 100 beats per minute, each starting at another position of the beat."""
    folder = tmp_path_factory.mktemp("takes")
    phases = (0.1, 0.23, 0.05, 0.55)
    return [save(folder / f"take{n}.png", drums(100, phase, 5.115, seed=n)) for n, phase in enumerate(phases)]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two images of 128 columns."""
    folder = tmp_path_factory.mktemp("short")
    return [save(folder / f"take{n}.png", drums(100, 0.1, 1.275, seed=n)) for n in range(2)]


def run(sources: list[Path], target: Path | None = None, **options: object) -> list[Result]:
    pairs = [(path, target / f"{path.stem}.wav" if target else None) for path in sources]
    return list(images_to_clips(pairs, SETTINGS, **options))  # type: ignore[arg-type]


def drift(path: Path) -> np.ndarray:
    """Return the distance in seconds of each loud onset of a track from the nearest beat of one steady pulse."""
    image = audio_to_image(read_audio(path).to_mono()).image
    beats = find_beats(darkness_of(image), BeatFinder())
    assert beats.period == pytest.approx(60.0, abs=0.3)
    strong = [hit for hit in beats.hits if beats.row[round(hit)] > 0.4 * beats.row.max()]
    off = (np.array(strong) + 2.5 - beats.first + beats.period / 2) % beats.period - beats.period / 2
    assert len(strong) >= 28
    return np.abs(off) / 100


@pytest.mark.parametrize("crossfade", [0.0, 0.15])
def test_joined_loops_stay_on_the_beat_at_any_crossfade(takes: list[Path], tmp_path: Path, crossfade: float) -> None:
    joined = tmp_path / "joined.wav"
    results = run(takes, joined=joined, crop=CropSettings("every"), crossfade=crossfade)
    assert [result.details["cut"]["bars"] for result in results[:4]] == [2] * 4
    assert [result.details["cut"]["wrapped"] for result in results[:4]] == [False, False, False, True]
    assert read_audio(joined).duration == pytest.approx(4 * 4.8, abs=0.03)
    assert drift(joined).max() < 0.02


def test_uncut_clips_drift_off_the_beat(takes: list[Path], tmp_path: Path) -> None:
    """Shows that `drift` detects clips that are not cut."""
    joined = tmp_path / "joined.wav"
    run(takes, joined=joined)
    image = audio_to_image(read_audio(joined).to_mono()).image
    beats = find_beats(darkness_of(image), BeatFinder())
    if beats.period:
        off = (np.array(beats.hits) + 2.5 - beats.first + beats.period / 2) % beats.period - beats.period / 2
        assert np.abs(off).max() > 5


def test_cut_lengths_are_exact_to_the_sample(takes: list[Path], tmp_path: Path) -> None:
    results = run(takes[:2], tmp_path, joined=tmp_path / "joined.wav", crop=CropSettings("fixed", 200), crossfade=0.3)
    assert [read_audio(tmp_path / f"take{n}.wav").samples.shape[1] for n in (0, 1)] == [200 * HOP] * 2
    assert read_audio(tmp_path / "joined.wav").samples.shape[1] == 2 * 200 * HOP
    assert [result.details["duration"] for result in results] == [2.0, 2.0, 4.0]


def test_the_cut_is_a_part_of_the_whole_sound(takes: list[Path], tmp_path: Path) -> None:
    run(takes[:1], tmp_path / "whole")
    run(takes[:1], tmp_path / "part", crop=CropSettings("fixed", 200))
    whole, part = (read_audio(tmp_path / name / "take0.wav").samples[0] for name in ("whole", "part"))
    edge = 300  # where the seam of the loop is faded
    inner = slice(edge, 200 * HOP - edge)
    gain = np.dot(whole[inner], part[inner]) / np.dot(whole[inner], whole[inner])
    np.testing.assert_allclose(part[inner], gain * whole[inner], atol=2e-4)


def test_image_narrower_than_the_cut_is_not_cut(takes: list[Path], tmp_path: Path) -> None:
    (result,) = run(takes[:1], tmp_path, crop=CropSettings("fixed", 600))
    assert "cut" not in result.details
    assert read_audio(tmp_path / "take0.wav").samples.shape[1] == 511 * HOP


def test_joined_track_alone_leaves_no_other_file(short: list[Path], tmp_path: Path) -> None:
    results = run(short[:2], joined=tmp_path / "all.wav")
    assert [result.outputs for result in results] == [(), (), (tmp_path / "all.wav",)]
    assert [result.details["duration"] for result in results] == [1.27, 1.27, 2.54]
    assert [path.name for path in tmp_path.iterdir()] == ["all.wav"]


def test_bad_image_affects_neither_the_others_nor_the_track(short: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    results = run([short[0], bad, short[1]], tmp_path, joined=tmp_path / "joined.wav")
    assert [bool(result.error) for result in results] == [False, True, False, False]
    assert results[3].details["pictures"] == 2
    assert read_audio(tmp_path / "joined.wav").samples.shape[1] == 2 * 127 * HOP
    (only, track) = run([bad], tmp_path, joined=tmp_path / "none.wav")
    assert only.error
    assert "nothing to join" in track.error


def test_joined_track_keeps_the_relative_levels_of_the_images(takes: list[Path], tmp_path: Path) -> None:
    loud = save(tmp_path / "1.png", drums(100, 0.1, 5.115), 4e7)
    quiet = save(tmp_path / "2.png", drums(100, 0.1, 5.115), 4e6)
    run([loud, quiet], tmp_path, joined=tmp_path / "joined.wav")
    one, two = np.array_split(read_audio(tmp_path / "joined.wav").samples[0], 2)
    assert np.abs(one).max() / np.abs(two).max() == pytest.approx(10, rel=0.1)
    peaks = [read_audio(tmp_path / f"{n}.wav").peak for n in (1, 2)]
    assert peaks == [pytest.approx(10 ** (-0.1 / 20), abs=1e-3)] * 2


@pytest.mark.parametrize("existing", ["refuse", "skip", "overwrite"])
def test_existing_files_are_refused_skipped_or_overwritten(short: list[Path], tmp_path: Path, existing: str) -> None:
    existing_result = tmp_path / "take0.wav"
    existing_result.write_bytes(b"mine")
    one, two, track = run(short[:2], tmp_path, joined=tmp_path / "joined.wav", existing=existing)
    assert (existing_result.read_bytes() == b"mine") == (existing != "overwrite")
    assert ("exists" in one.error, one.skipped) == (existing == "refuse", existing == "skip")
    assert two.outputs == (tmp_path / "take1.wav",)
    assert track.details["pictures"] == 2  # images whose files exist are still part of the track
    again = run(short[:2], tmp_path, joined=tmp_path / "joined.wav", existing=existing)
    if existing == "refuse":
        assert all("exists" in result.error for result in again)
    else:
        assert [result.skipped for result in again] == [existing == "skip"] * 3


def test_existing_results_are_not_decoded_again(
    short: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(short[:1], tmp_path, joined=tmp_path / "joined.wav")
    monkeypatch.setattr("riffusion_ext.spectrogram.codec.images_to_audio", None)
    assert all(r.skipped for r in run(short[:1], tmp_path, joined=tmp_path / "joined.wav", existing="skip"))


def test_requested_parameters_determine_the_duration(takes: list[Path], tmp_path: Path) -> None:
    slow = DecodeSettings(device="cpu", params=PRESETS["riffusion-v1"].replace(step_size_ms=20))
    pairs = [(takes[0], tmp_path / "slow.wav")]
    (result,) = images_to_clips(pairs, slow, crop=CropSettings("fixed", 200))
    assert result.details["duration"] == pytest.approx(4.0)
    assert read_audio(tmp_path / "slow.wav").samples.shape == (1, 4 * RATE)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("", "joined.wav"),
        ("  mix ", "mix.wav"),
        ("mix.wav", "mix.wav"),
        ("mix.WAV", "mix.wav"),
        ("take 2.5", "take 2.5.wav"),
        ("{date}_joined", "2026-01-02_03-04-05_joined.wav"),
        ("{folder}", "out.wav"),
    ],
)
def test_name_of_the_joined_track_is_completed(name: str, path: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert joined_path(folder, name, ".wav", now=datetime(2026, 1, 2, 3, 4, 5)) == folder / path


@pytest.mark.parametrize("name", ["a/b", "../up", "/tmp", "a\\b", "..", "mix.mp3"])
def test_invalid_track_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RiffusionError, match="name"):
        joined_path(tmp_path, name, ".wav")
