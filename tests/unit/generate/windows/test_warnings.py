"""Warnings about keyframes that are too short to be heard."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip
from riffusion_ext.generate.riff import Riff
from riffusion_ext.generate.riff_settings import RiffSettings
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.generate.windows.plan import plan_plain, plan_riff, plan_song
from riffusion_ext.generate.windows.warnings import skipped_keyframes
from riffusion_ext.params import PRESETS, SpectrogramParams
from tests.unit.generate.conftest import MakeSong

PARAMS = PRESETS["riffusion-v1"]


@pytest.mark.parametrize("join", ["outpaint", "plain"])
def test_short_keyframes_are_named(tmp_path: Path, join: str) -> None:
    score = parse_score("0:18.5 | a\n0:00.5 | a\n0:00.9 | b\n0:20 | a\n0 | c")
    song = Song(SongSettings(score, join=join), tmp_path)
    step = {"outpaint": "3.84", "plain": "5.12"}[join]
    assert song.notes == [f"keyframe 3, 'b', is passed over: it is too short, there is a window every {step} s"]


@settings(deadline=None)
@given(
    lengths=st.lists(st.floats(3.85, 20.0), min_size=1, max_size=8),
    power=st.floats(0.3, 3.0),
    overlap=st.sampled_from([64, 128, 256]),
)
def test_keyframes_of_sufficient_length_are_not_skipped(lengths: list[float], power: float, overlap: int) -> None:
    keyframes = tuple(Keyframe(str(number), seed=1, seconds=5.12 + n) for number, n in enumerate(lengths))
    score = Score((*keyframes, Keyframe("end", seed=1, seconds=0.0)), power=power)
    for plan in (
        plan_song(score, PARAMS, overlap=overlap),
        plan_riff(score.samples(44100), PARAMS, score.at, overlap=overlap),
        plan_plain(score, PARAMS),
    ):
        assert skipped_keyframes(plan, score.keyframes) == []


def test_keyframes_skipped_in_a_single_window_are_named(
    tmp_path: Path, small: SpectrogramParams, song: MakeSong
) -> None:
    keyframes = (Keyframe("a", seed=1, seconds=1.0), Keyframe("b", seed=1, seconds=1.0))
    clip: AudioClip = song(1.0)
    riff = Riff(clip, RiffSettings(keyframes, width=128, overlap=32, params=small), tmp_path)
    assert riff.notes == ["keyframe 2, 'b', is passed over: the whole is one window, which has one prompt"]
    assert Riff(song(9.0), RiffSettings(keyframes, width=128, overlap=32, params=small), tmp_path).notes == []
