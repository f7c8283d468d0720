"""Random clips are cut where the original library cuts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.random import RandomState

from riffusion_ext.audio import AudioClip, read_audio, sound_length, write_audio
from riffusion_ext.convert.sample import random_starts, sample_clips
from riffusion_ext.errors import AudioError


def ramp(path: Path, seconds: float = 2.0, rate: int = 8000, channels: int = 1) -> Path:
    """Write a sound whose samples encode their position."""
    wave = np.linspace(0, 1, round(seconds * rate), endpoint=False, dtype=np.float32)
    return write_audio(AudioClip(np.tile(wave, (channels, 1)), rate), path, subtype="pcm24")


@example(seed=1, length=5003, duration=5000, count=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 10**7), st.integers(1, 6000), st.integers(1, 20))
def test_random_starts_equal_those_of_the_original(seed: int, length: int, duration: int, count: int) -> None:
    if length < duration:
        with pytest.raises(AudioError, match="shorter than a clip"):
            random_starts(RandomState(seed), length, duration, count)
        return
    starts = random_starts(RandomState(seed), length, duration, count)
    assert all(0 <= start <= length - duration for start in starts)
    if length > duration:  # the original fails if there is only one possible start
        theirs = RandomState(seed)
        assert starts == [theirs.randint(0, length - duration) for _ in range(count)]


def test_sampled_clip_equals_its_part_of_the_sound(tmp_path: Path) -> None:
    source = ramp(tmp_path / "ramp.wav", channels=2)
    result = sample_clips(
        source, lambda n, start: tmp_path / f"{n}_{start}.wav", RandomState(3), count=4, duration_ms=500
    )
    assert len(result.outputs) == 4
    for path, start in zip(result.outputs, result.details["starts"], strict=True):
        assert path.name.endswith(f"_{start}.wav")
        clip = read_audio(path)
        assert clip.samples.shape == (2, 4000)
        assert clip.sample_rate == 8000
        assert clip.samples[0, 0] == pytest.approx(start / 2000, abs=1e-4)


def test_mono_mixes_both_channels(tmp_path: Path) -> None:
    sides = np.stack([np.full(8000, 0.5, np.float32), np.full(8000, -0.1, np.float32)])
    source = write_audio(AudioClip(sides, 8000), tmp_path / "sides.wav")
    result = sample_clips(source, lambda n, start: tmp_path / "m.wav", RandomState(0), duration_ms=300, mono=True)
    clip = read_audio(result.outputs[0])
    assert clip.channels == 1
    assert clip.samples.mean() == pytest.approx(0.2, abs=1e-3)


def test_short_unreadable_and_missing_files_are_reported(tmp_path: Path) -> None:
    def name(number: int, start: int) -> Path:
        return tmp_path / f"{number}.wav"

    short = sample_clips(ramp(tmp_path / "short.wav", 0.2), name, RandomState(0), duration_ms=500)
    assert "0.20 s long, shorter than a clip of 0.50 s" in short.error
    (tmp_path / "text.mp3").write_text("hello")
    assert "cannot be read" in sample_clips(tmp_path / "text.mp3", name, RandomState(0)).error
    assert "no such file" in sample_clips(tmp_path / "none.wav", name, RandomState(0)).error
    assert not list(tmp_path.glob("0.*"))


def test_truncated_sound_has_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riffusion_ext.audio.io.sound_length", lambda path: 100.0)
    source = ramp(tmp_path / "ramp.wav")
    result = sample_clips(source, lambda n, start: tmp_path / "a.wav", RandomState(3), duration_ms=90_000)
    assert "cannot be read" in result.error or "breaks off at 2.00 s" in result.error


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_length_is_read_without_decoding_the_file(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_audio(AudioClip(np.zeros((1, 44100 * 3), np.float32), 44100), tmp_path / f"a{suffix}")
    monkeypatch.setattr("riffusion_ext.audio.io.read_audio", None)
    assert sound_length(path) == pytest.approx(3.0, abs=0.06)
