"""Measuring a song in one pass and little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset.analysis import measure as measuring
from riffusion_ext.dataset.analysis.measure import BANDS, SongMeasure, measure_song, mel_of_song
from riffusion_ext.errors import AudioError
from riffusion_ext.params import PRESETS
from tests.unit.dataset.conftest import MakeSong

V1 = PRESETS["riffusion-v1"]
STEREO = V1.replace(stereo=True)


def in_pieces(monkeypatch: pytest.MonkeyPatch, clip: AudioClip, seconds: float) -> None:
    """Make every file read as the clip, in pieces."""
    step = round(seconds * clip.sample_rate)

    def pieces(path: Path) -> Iterator[AudioClip]:
        for start in range(0, clip.samples.shape[1], step):
            yield AudioClip(np.ascontiguousarray(clip.samples[:, start : start + step]), clip.sample_rate)

    monkeypatch.setattr(measuring, "read_pieces", pieces)


def sine(seconds: float, pitch: float = 440.0, amplitude: float = 1.0, rate: int = 44100) -> AudioClip:
    time = np.arange(round(seconds * rate)) / rate
    return AudioClip((amplitude * np.sin(2 * np.pi * pitch * time))[None].astype(np.float32), rate)


@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (48000, 2), (11025, 1)])
def test_piece_sizes_do_not_change_the_measurements(rate: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    noise = 0.3 * rng.standard_normal((channels, 3 * rate + 77)).clip(-3, 3)
    clip = AudioClip((noise * np.linspace(1, 0.1, noise.shape[1])).astype(np.float32), rate)  # fading out
    found: list[SongMeasure] = []
    for seconds in (60.0, 1.0, 0.37):
        in_pieces(monkeypatch, clip, seconds)
        found.append(measure_song(Path("a"), V1)[0])
    whole = found[0]
    assert whole.duration == pytest.approx(clip.samples.shape[1] / rate)
    assert (whole.sample_rate, whole.channels) == (rate, channels)
    loudest = max(float(mel.max()) for mel in mel_of_song(Path("a"), V1))
    assert found[-1].max_value == loudest, "the loudest, not the last"
    for other in found[1:]:
        for name in (
            "sketch",
            "low",
            "peak",
            "energy",
            "file_energy",
            "mixed_energy",
            "clipped",
            "still",
            "last_step",
            "chroma",
        ):
            assert getattr(other, name) == pytest.approx(getattr(whole, name), rel=2e-3, abs=2e-5), name
        assert other.loudness == pytest.approx(whole.loudness, abs=1e-6)
        assert other.max_value == pytest.approx(whole.max_value, rel=1e-5)


def test_all_arrays_have_one_entry_per_column(make_song: MakeSong, tmp_path: Path) -> None:
    measure, _ = measure_song(make_song(tmp_path / "a.wav", 2.345), V1)
    assert measure.sketch.shape == (235, BANDS)
    assert {getattr(measure, name).shape for name in _ARRAYS - {"sketch"}} == {(235,)}
    assert measure.columns == 235
    assert measure.column_seconds == 0.01
    assert measure.sketch.dtype == np.float16


@pytest.mark.parametrize(("pitch", "level"), [(60, 4), (440, 7), (1000, 10), (8000, 17)])
def test_sketch_has_the_level_of_a_sine(pitch: float, level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces(monkeypatch, sine(1.0, pitch), 60.0)
    loud = measure_song(Path("a"), V1)[0].sketch[30:70].astype(float)
    assert loud.max(axis=1) == pytest.approx(np.full(40, level), abs=1.0)
    in_pieces(monkeypatch, sine(1.0, pitch, 0.01), 60.0)
    soft = measure_song(Path("a"), V1)[0].sketch[30:70].astype(float)
    audible = loud > -40  # below are rounding errors and the floor
    assert (loud - soft)[audible] == pytest.approx(40, abs=0.1)


def test_bands_go_from_low_to_high(monkeypatch: pytest.MonkeyPatch) -> None:
    strongest = []
    for pitch in (100.0, 440.0, 1500.0, 5000.0, 9000.0):
        in_pieces(monkeypatch, sine(0.6, pitch), 60.0)
        strongest.append(int(measure_song(Path("a"), V1)[0].sketch[30].argmax()))
    assert strongest == sorted(set(strongest))


def test_silence_is_at_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces(monkeypatch, AudioClip(np.zeros((1, 44100), np.float32), 44100), 60.0)
    measure, _ = measure_song(Path("a"), V1)
    assert (measure.sketch == -120).all()
    assert measure.loudness == -np.inf
    assert measure.max_value == 0
    assert measure.still.all()
    assert measure.energy.max() == measure.file_energy.max() == 0


def test_gain_changes_levels_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    wave = 0.2 * rng.standard_normal((1, 44100)).astype(np.float32).clip(-2, 2)
    in_pieces(monkeypatch, AudioClip(wave, 44100), 60.0)
    loud, _ = measure_song(Path("a"), V1)
    in_pieces(monkeypatch, AudioClip(wave / 4, 44100), 60.0)
    soft, _ = measure_song(Path("a"), V1)
    assert loud.loudness - soft.loudness == pytest.approx(12.04, abs=0.01)
    assert loud.max_value / soft.max_value == pytest.approx(4, rel=1e-5)
    assert loud.chroma / loud.chroma.sum() == pytest.approx(soft.chroma / soft.chroma.sum(), rel=1e-4)


@pytest.mark.parametrize("params", [V1, STEREO], ids=["mono", "stereo"])
def test_magnitudes_are_kept_for_a_short_song_only(params: object, make_song: MakeSong, tmp_path: Path) -> None:
    path = make_song(tmp_path / "a.wav", 2.0, channels=2)
    measure, kept = measure_song(path, params, keep_columns=201)
    assert kept is not None
    assert kept.shape[1] == measure.columns == 201
    assert np.array_equal(kept, np.concatenate(list(mel_of_song(path, params)), axis=1))
    assert measure.max_value == kept.max()
    assert measure_song(path, params, keep_columns=200)[1] is None


def test_error_in_the_progress_callback_is_raised(make_song: MakeSong, tmp_path: Path) -> None:
    path = make_song(tmp_path / "a.wav", 1.0)

    def tick() -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        measure_song(path, V1, tick=tick)


def test_unreadable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("no music")
    with pytest.raises(AudioError, match="cannot be read"):
        measure_song(tmp_path / "a.mp3", V1)


def test_memory_use_is_one_piece_and_a_few_numbers_per_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long song needs more memory than a short one only for its numbers per column."""
    rate, seconds = 11025, 10
    piece = AudioClip(0.1 * np.random.default_rng(1).standard_normal((1, rate * seconds)).astype(np.float32), rate)
    # Only the length matters here, so few rows keep it fast.
    params = V1.replace(sample_rate=rate, num_frequencies=64, max_frequency=5000)

    def peak_of(pieces: int) -> tuple[int, SongMeasure]:
        monkeypatch.setattr(measuring, "read_pieces", lambda path: iter([piece] * pieces))
        tracemalloc.start()
        measure, kept = measure_song(Path("a"), params, keep_columns=1000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert kept is None
        return peak, measure

    peak_of(1)
    short, _ = peak_of(3)
    long, measure = peak_of(60)
    assert measure.columns == 1 + 60 * len(piece.samples[0]) // params.hop_length
    columns = sum(getattr(measure, item.name).nbytes for item in fields(measure) if item.name in _ARRAYS)
    samples = 57 * piece.samples.nbytes
    assert long - short < 3 * columns + 2_000_000
    assert long - short < samples, "so the samples are not kept"


_ARRAYS = {
    "sketch",
    "low",
    "peak",
    "energy",
    "file_energy",
    "mixed_energy",
    "clipped",
    "still",
    "last_step",
    "min_step",
}


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_file_formats_give_the_same_measurements(suffix: str, tmp_path: Path) -> None:
    clip = sine(1.0, 440.0, 0.5)
    measure, _ = measure_song(write_audio(clip, tmp_path / f"a.{suffix}"), V1)
    assert measure.duration == pytest.approx(1.0)
    assert measure.loudness == pytest.approx(
        measure_song(write_audio(clip, tmp_path / "b.wav"), V1)[0].loudness, abs=0.1
    )
    assert int(measure.chroma.argmax()) == 9, "A"
