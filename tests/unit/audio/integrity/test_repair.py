"""Non-finite and implausible samples: every reader repairs a few with a note and refuses many."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip, read_audio
from riffusion_ext.audio.integrity.repair import MAX_BAD, MAX_SAMPLE, SampleRepairer, repair_samples
from riffusion_ext.audio.stream import PIECE_SECONDS, read_pieces
from riffusion_ext.errors import AudioError

RATE = 8000
BAD = [np.nan, np.inf, -np.inf, 3e38, -1e38, 1e20, 1e10, 1e7]


def tone(seconds: float = 2.0, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * 100 * np.arange(round(seconds * RATE)) / RATE)
    return np.tile(wave.astype(np.float32), (channels, 1))


def float_wav(path: Path, samples: np.ndarray, rate: int = RATE, width: int = 4) -> Path:
    channels, data = samples.shape[0], samples.T.astype(f"<f{width}").tobytes()
    form = struct.pack("<IHHIIHH", 16, 3, channels, rate, rate * channels * width, channels * width, 8 * width)
    head = struct.pack("<4sI8s", b"RIFF", 36 + len(data), b"WAVEfmt ") + form
    path.write_bytes(head + struct.pack("<4sI", b"data", len(data)) + data)
    return path


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("channels", [1, 2])
def test_one_bad_sample_is_repaired_with_a_note(bad: float, channels: int) -> None:
    good = tone(channels=channels)
    samples = good.copy()
    samples[-1, 4000] = bad
    clip = repair_samples(samples, RATE)
    assert np.abs(clip.samples - good).max() < 0.01
    (note,) = clip.notes
    assert "1 bad sample was repaired, at 0.500 s" in note


def test_bad_samples_are_interpolated_linearly() -> None:
    samples = np.array([[1.0, 2.0, np.nan, np.inf, 5.0, 6.0] * 20], np.float32)
    samples[0, 6:] = 6.0
    assert repair_samples(samples, RATE).samples[0, :6].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize("place", [0, -1])
def test_bad_samples_at_the_ends_repeat_their_neighbour(place: int) -> None:
    samples = np.full((1, 100), 0.25, np.float32)
    samples[0, place] = np.nan
    assert (repair_samples(samples, RATE).samples == 0.25).all()


@pytest.mark.parametrize("scale", [1.0, 32.0, 100.0, 32768.0, 2.0**31])
def test_floats_above_full_scale_are_kept(scale: float) -> None:
    samples = tone() * np.float32(scale)
    clip = repair_samples(samples.copy(), RATE)
    assert np.array_equal(clip.samples, samples)
    assert clip.notes == ()


@pytest.mark.parametrize("scale", [100.0, 32767.0])
def test_single_click_in_silence_is_kept(scale: float) -> None:
    samples = np.zeros((1, RATE), np.float32)
    samples[0, 500] = scale
    assert repair_samples(samples.copy(), RATE).peak == np.float32(scale)


@pytest.mark.parametrize(("seconds", "count"), [(60, MAX_BAD + 1), (2, 20), (0.01, 9), (0.001, 5)])
def test_many_bad_samples_are_refused_with_count_and_position(seconds: float, count: int) -> None:
    samples = tone(seconds)
    samples[0, samples.shape[1] - count :] = np.nan
    with pytest.raises(AudioError, match=rf"{count} of {samples.size} samples.*the first at .* s; up to \d+ are"):
        repair_samples(samples, RATE)


def test_sound_with_only_bad_samples_is_refused() -> None:
    for bad in BAD[:-2]:
        with pytest.raises(AudioError, match="not finite"):
            repair_samples(np.full((1, 5), bad, np.float32), RATE)


@settings(max_examples=100, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 19999)), max_size=12, unique=True),
    values=st.lists(st.floats(width=32), min_size=12, max_size=12),
)
def test_accepted_samples_are_finite_and_of_plausible_scale(places: list[tuple[int, int]], values: list[float]) -> None:
    samples = np.full((2, 20000), 0.1, np.float32)
    for place, value in zip(places, values, strict=False):
        samples[place] = value
    before = samples.copy()
    clip = repair_samples(samples, RATE)
    assert np.isfinite(clip.samples).all()
    assert clip.peak <= MAX_SAMPLE
    assert bool(clip.notes) == (not np.array_equal(clip.samples, before))


def test_bad_samples_are_counted_across_pieces(tmp_path: Path) -> None:
    seconds = 2 * PIECE_SECONDS + 1
    samples = tone(seconds)
    for at in (5, 25, 40.5):
        samples[0, round(at * RATE)] = np.nan
    path = float_wav(tmp_path / "a.wav", samples)
    last = list(read_pieces(path))[-1]
    assert last.notes == read_audio(path).notes
    assert "3 bad samples were repaired, the first at 5.000 s" in last.notes[0]
    samples[0, RATE :: RATE // 20] = np.inf
    float_wav(path, samples)
    for read in (read_audio, lambda path: list(read_pieces(path))):
        with pytest.raises(AudioError, match=r"the first at 1\.000 s"):
            read(path)


def test_note_on_a_part_gives_the_position_in_the_file(tmp_path: Path) -> None:
    samples = tone(4)
    samples[0, 3 * RATE] = np.nan
    path = float_wav(tmp_path / "a.wav", samples)
    assert "at 3.000 s" in read_audio(path, start=2.5).notes[0]
    assert read_audio(path, duration=2).notes == ()


def test_doubles_beyond_float32_are_bad_samples(tmp_path: Path) -> None:
    samples = tone().astype(np.float64)
    samples[0, 800] = 1e300
    assert "at 0.100 s" in read_audio(float_wav(tmp_path / "a.wav", samples, width=8)).notes[0]


def test_soundfile_and_ffmpeg_give_the_same_samples_and_notes(tmp_path: Path, real_ffmpeg: None) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = tone()
    samples[0, 4000] = np.nan
    soundfile.write(tmp_path / "a.aiff", samples.T, RATE, subtype="FLOAT")
    wav = float_wav(tmp_path / "a.wav", samples)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(wav), "-c:a", "copy", str(tmp_path / "a.mka")],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    expected = read_audio(wav)
    assert expected.notes
    for name in ("a.aiff", "a.mka"):
        found = read_audio(tmp_path / name)
        assert found.notes == expected.notes
        assert np.array_equal(found.samples, expected.samples)
        assert list(read_pieces(tmp_path / name))[-1].notes == expected.notes


def test_repair_counts_the_samples_of_every_piece() -> None:
    repairer = SampleRepairer()
    for start in range(0, 1000, 100):
        repairer.clip(np.zeros((1, 100), np.float32), RATE, start=start, last=False)
    assert (repairer.total, repairer.count, repairer.notes) == (1000, 0, ())
    assert isinstance(repairer.clip(np.zeros((1, 0), np.float32), RATE), AudioClip)
