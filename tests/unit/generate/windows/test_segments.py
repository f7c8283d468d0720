"""Segments of a song: they are adjacent and sound like the song at their position."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import write_audio
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.loop import Loop, LoopSettings
from riffusion_ext.generate.restore import settings_in
from riffusion_ext.generate.riff import Riff
from riffusion_ext.generate.riff_settings import RiffSettings
from riffusion_ext.generate.score.automation import parse_curve
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.generate.windows.plan import plan_song
from riffusion_ext.generate.windows.segments import plan_part, segments_of
from riffusion_ext.params import PRESETS
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.unit.generate.fake_backends import FakeBackend, by_seed

PARAMS = PRESETS["riffusion-v1"]


@given(st.integers(1, 500), st.integers(2, 12))
def test_segments_cover_all_windows_and_start_with_a_single_one(windows: int, most: int):
    found = segments_of(windows, most)
    assert [number for first, stop in found for number in range(first, stop)] == list(range(windows))
    assert found[0] == (0, 1)
    assert len(found) <= most
    lengths = [stop - first for first, stop in found[1:]]
    assert not lengths or max(lengths) - min(lengths) <= 1


@given(st.floats(3, 200), st.integers(2, 9))
def test_parts_are_adjacent(seconds: float, most: int):
    plan = plan_song(Score((Keyframe("a", seed=1, seconds=seconds),)), PARAMS)
    parts = [plan_part(plan, first, stop) for first, stop in segments_of(len(plan.windows), most)]
    assert parts[0].first_sample == 0
    for part in parts:
        assert [window.number for window in part.windows] == list(range(len(part.windows)))
        assert part.windows[0].first == 0
        assert 0 <= part.columns * PARAMS.hop_length - part.samples <= PARAMS.hop_length or part is parts[-1]
    begins = [part.first_sample + part.columns * PARAMS.hop_length for part in parts[:-1]]
    assert begins == [part.first_sample for part in parts[1:]]
    assert parts[-1].first_sample + parts[-1].samples <= plan.samples


@pytest.mark.parametrize(("first", "stop"), [(-1, 1), (1, 1), (0, 99)])
def test_missing_windows_are_refused(first: int, stop: int):
    plan = plan_song(Score((Keyframe("a", seed=1, seconds=9.0),)), PARAMS)
    with pytest.raises(RiffusionError, match="windows must lie between 0 and"):
        plan_part(plan, first, stop)


def test_part_sounds_like_the_song_at_its_position(tmp_path: Path):
    settings = SongSettings(parse_score("0:12 | a | seed 3"), width=256, overlap=64, level="recorded")
    song = Song(settings, tmp_path)
    with pytest.raises(RiffusionError, match="nothing has been generated"):
        song.part(0, 1)
    list(song.generate(FakeBackend(by_seed, max_batch=4)))
    whole = song.sound()
    assert whole is not None
    part = song.part(2, 5)
    begin = plan_part(song.plan, 2, 5).first_sample
    there = whole.samples[0, begin : begin + part.samples.shape[1]]

    def loudness(samples: np.ndarray) -> np.ndarray:  # waves differ, because phases depend on the surroundings
        return np.sqrt(np.square(samples[: len(samples) // 4410 * 4410].reshape(-1, 4410)).mean(1))

    inner = slice(2, -2)
    ratio = loudness(part.samples[0])[inner] / loudness(there)[inner]
    assert np.abs(20 * np.log10(ratio)).max() < 3


def test_part_of_a_riff_is_mixed_with_its_own_part_of_the_song(tmp_path: Path):
    rng = np.random.default_rng(0)
    # Quiet, because a part whose peak exceeds full scale is attenuated as a whole.
    song = AudioClip(rng.uniform(-0.05, 0.05, (2, 5 * 44100)).astype(np.float32), 44100)
    dry = parse_curve("0", name="the share", low=0, high=1)
    settings = RiffSettings((Keyframe("a", seed=1, seconds=1.0),), start=0.5, wet=dry, width=128, overlap=32)
    riff = Riff(song, settings, tmp_path)
    with pytest.raises(RiffusionError, match="nothing has been generated"):
        riff.part(0, 1)
    list(riff.generate(FakeBackend(by_seed, max_batch=4)))
    plan = plan_part(riff.plan, 2, 4)
    part = riff.part(2, 4)
    there = song.samples[:, plan.first_sample :][:, : part.samples.shape[1]]
    assert np.array_equal(part.samples, there)
    late = replace(settings, wet=parse_curve("0:02.5 0, 0:03 1", name="the share", low=0, high=1))
    riff = Riff(song, late, tmp_path)
    list(riff.generate(FakeBackend(by_seed, max_batch=4)))
    begin = plan.first_sample - riff.plan.first_sample
    mixed = riff.part(2, 4).samples
    still = round(2.5 * 44100) - begin
    assert still > 4410, "the part starts with the original song"
    assert np.array_equal(mixed[:, :still], there[:, :still])
    assert not np.allclose(mixed[:, still + 4410 :], there[:, still + 4410 :])


def test_parts_use_the_fast_engine_and_the_whole_the_chosen_one(tmp_path: Path):
    backend = FakeBackend(by_seed, max_batch=4)
    settings = SongSettings(parse_score("0:04 | a | seed 3"), width=128, overlap=32)
    song, fast = (Song(settings, tmp_path, decode=DecodeSettings(engine=name)) for name in ("best", "fast"))
    clip = AudioClip(np.random.default_rng(0).uniform(-0.2, 0.2, (2, 4 * 44100)).astype(np.float32), 44100)
    keyframes = RiffSettings((Keyframe("a", seed=1, seconds=1.0),), width=128, overlap=32)
    riff, fast_riff = (Riff(clip, keyframes, tmp_path, decode=DecodeSettings(engine=name)) for name in ("best", "fast"))
    for piece in (song, fast, riff, fast_riff):
        list(piece.generate(backend))
    assert np.array_equal(song.part(1, 3).samples, fast.part(1, 3).samples)
    assert np.array_equal(riff.part(1, 3).samples, fast_riff.part(1, 3).samples)
    wholes = [piece.sound() for piece in (song, fast)] + [piece.wet() for piece in (riff, fast_riff)]
    waves = [whole.samples for whole in wholes if whole is not None]
    assert not np.allclose(waves[0], waves[1])
    assert not np.allclose(waves[2], waves[3])


# --- files tell how they were made ---------------------------------------------------------------------------------


def test_settings_are_read_from_audio_files_and_window_images(tmp_path: Path):
    text = '8 bars | a "quoted", b: c -- no, drums | seed 7\n4 bars | x'
    settings = SongSettings(parse_score(text, bpm=240), beat="backbeat", width=256, overlap=64)
    song = Song(settings, tmp_path / "work")
    list(song.generate(FakeBackend(by_seed, max_batch=4), limit=1))
    clip = song.sound()
    assert clip is not None
    for ending in ("wav", "flac", "ogg", "mp3"):
        assert settings_in(song.write(tmp_path / f"song.{ending}", clip)) == ("song", song.settings)
    (image,) = (tmp_path / "work").rglob("00000.png")
    assert settings_in(image) == ("song", song.settings)


def test_recipe_of_a_loop_is_stored_as_a_loop(tmp_path: Path):
    loop = Loop(LoopSettings("a", bars=1, bpm=200), tmp_path / "work")
    list(loop.generate(FakeBackend(by_seed)))
    clip = loop.sound()
    assert clip is not None
    assert settings_in(loop.write(tmp_path / "loop.wav", clip)) == ("loop", loop.settings)


def test_foreign_files_are_refused(tmp_path: Path):
    song = Song(SongSettings(parse_score("1 | a"), width=64, overlap=16), tmp_path / "work")
    list(song.generate(FakeBackend(by_seed)))
    clip = song.sound()
    assert clip is not None
    write_audio(clip, tmp_path / "other.wav")
    (tmp_path / "note.txt").write_text("Riffusion song: nothing")
    for name in ("other.wav", "note.txt"):
        with pytest.raises(RiffusionError, match=r"their\.file does not say how it was made"):
            settings_in(tmp_path / name, "their.file")
