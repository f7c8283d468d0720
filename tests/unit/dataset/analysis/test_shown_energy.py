"""The energy of a song within the frequency range of its image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset.analysis.features import Features, window_features
from riffusion_ext.dataset.analysis.measure import measure_song
from riffusion_ext.dataset.analysis.shown_energy import ShownEnergy
from riffusion_ext.dataset.curation.curate import Verdict, curate
from riffusion_ext.dataset.settings import CurateSettings
from riffusion_ext.params import PRESETS, SpectrogramParams
from tests.unit.dataset.music import song

RATE, COLUMNS = 22050, 128
MONO = SpectrogramParams(num_frequencies=128)
STEREO = MONO.replace(stereo=True)
TIME = np.arange(4 * RATE) / RATE


def tone(hertz: float, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * TIME)


def level_of(samples: np.ndarray, params: SpectrogramParams, *cuts: int) -> float:
    shown = ShownEnergy(params)
    for part in np.split(np.atleast_2d(samples).astype(np.float32), list(cuts), axis=1):
        shown.add(part)
    return float(10 * np.log10(shown.finish(samples.shape[-1] // params.hop_length)[50:].mean() + 1e-12))


@pytest.mark.parametrize("hertz", [25, 40, 110, 1000, 8000, 9700])
def test_energy_within_the_image_is_kept(hertz: float) -> None:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(2 * 44100) / 44100)
    assert level_of(wave, MONO) == pytest.approx(-9.03, abs=0.3)


@pytest.mark.parametrize("hertz", [0, 3, 8, 11, 11500, 16000])
def test_energy_outside_the_image_is_dropped(hertz: float) -> None:
    wave = 0.5 * np.cos(2 * np.pi * hertz * np.arange(4 * 44100) / 44100)
    assert level_of(wave, MONO) < -50


def test_frequency_range_is_that_of_the_image() -> None:
    wave = 0.5 * np.sin(2 * np.pi * 12000 * np.arange(2 * 44100) / 44100)
    assert level_of(wave, MONO.replace(max_frequency=20000)) == pytest.approx(-9.03, abs=0.2)
    assert level_of(wave, MONO.replace(max_frequency=22050)) == pytest.approx(-9.03, abs=0.2)
    assert level_of(wave, MONO.replace(min_frequency=19000, max_frequency=20000)) < -50


def test_energy_is_averaged_over_both_channels() -> None:
    wave = 0.5 * np.sin(np.arange(44100) / 5)
    assert level_of(np.stack([wave, 0 * wave]), STEREO) == pytest.approx(level_of(wave, MONO) - 3.01, abs=0.01)


def test_piece_sizes_do_not_change_the_energy() -> None:
    wave = np.random.default_rng(1).standard_normal(44100)
    assert level_of(wave, MONO, 0, 5000, 5001, 20000) == pytest.approx(level_of(wave, MONO), abs=1e-9)
    assert ShownEnergy(MONO).finish(3).tolist() == [0, 0, 0]


# --- from the file to the verdict -------------------------------------------------------------------------------------

Judge = Callable[..., tuple[Features, list[Verdict]]]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Return a function that judges the first two windows of samples [S] or [C, S]."""

    def judged(samples: np.ndarray, params: SpectrogramParams = MONO) -> tuple[Features, list[Verdict]]:
        clip = AudioClip(np.atleast_2d(samples).astype(np.float32), RATE if params is not WIDE else 44100)
        measure, _ = measure_song(write_audio(clip, tmp_path / "song.wav"), params)
        first = np.array([0, COLUMNS])
        features = window_features(measure, first, COLUMNS)
        settings = CurateSettings(first=0, last=0, transition=None, duplicate=None)
        return features, curate(features, np.zeros(2, int), first, COLUMNS, settings)

    return judged


WIDE = MONO.replace(max_frequency=20000)


def texts(verdicts: list[Verdict]) -> set[str]:
    return {reason.text for verdict in verdicts for reason in verdict.reasons}


def test_left_minus_right_is_silent_in_mono_only(judge: Judge) -> None:
    sound = song(3, 4.0)[: len(TIME)]
    sides = np.stack([sound, -sound])
    sides[1] += np.random.default_rng(1).choice([0, 1 / 32768], len(sound))  # rounding, as of a file of 16 bits
    features, verdicts = judge(sides)
    assert features.level_db.max() < -80
    assert all("cancel each other out" in text for text in texts(verdicts))
    assert [verdict.kept for verdict in verdicts] == [False, False]
    features, verdicts = judge(sides, STEREO)
    assert [verdict.kept for verdict in verdicts] == [True, True]
    assert features.level_db.min() > -40


@pytest.mark.parametrize("offset", [0.03, 0.3, -0.9])
def test_silence_is_silent_with_any_offset(offset: float, judge: Judge) -> None:
    features, verdicts = judge(np.full(len(TIME), offset))
    assert features.level_db.max() < -60
    assert all("an offset from zero" in text for text in texts(verdicts))
    assert [verdict.kept for verdict in verdicts] == [False, False]


@pytest.mark.parametrize("hertz", [6, 10.6])
def test_inaudible_energy_is_silent(hertz: float, judge: Judge) -> None:
    assert not any(verdict.kept for verdict in judge(tone(hertz))[1])


def test_energy_above_the_image_is_silent(judge: Judge) -> None:
    high = 0.5 * np.sin(2 * np.pi * 15000 * np.arange(4 * 44100) / 44100)
    assert all(verdict.kept for verdict in judge(high, WIDE)[1])
    _, verdicts = judge(AudioClip(high[None].astype(np.float32), 44100).resample(RATE).samples)
    assert not any(verdict.kept for verdict in verdicts)


def test_rounding_noise_counts_as_silence(judge: Judge) -> None:
    noise = np.random.default_rng(1).choice([-1, 0, 1], len(TIME)) / 32768
    assert not any(verdict.kept for verdict in judge(noise)[1])


@pytest.mark.parametrize("offset", [0.12, 0.4])
def test_inaudible_offset_is_no_fault(offset: float, judge: Judge) -> None:
    sound = song(4, 4.0)[: len(TIME)]
    sound *= 0.5 / np.abs(sound).max()
    plain, _ = judge(sound)
    moved, verdicts = judge(sound + offset)
    assert [verdict.kept for verdict in verdicts] == [True, True]
    assert moved.level_db == pytest.approx(plain.level_db, abs=0.05)
    assert np.linalg.norm(moved.embedding - plain.embedding, axis=1).max() < 0.3, "it is the same music"


def test_drop_out_is_judged_by_what_the_image_shows(judge: Judge) -> None:
    sound = song(5, 4.0)[: len(TIME)]
    sides = np.stack([sound, sound]) + 0.02
    gap = slice(RATE // 2, RATE // 2 + RATE // 10)
    sides[0, gap] = 0.1
    sides[1, gap] = -0.1
    assert judge(sides)[0].dropout[0] == pytest.approx(0.1, abs=0.02)
    sides[:, gap] = 0.3 * np.sin(np.arange(RATE // 10) / 4)
    sides[1, gap] *= -1
    assert judge(sides)[0].dropout[0] == pytest.approx(0.1, abs=0.02), "left and right cancel out"
    assert judge(sides, STEREO)[0].dropout[0] == 0


def test_level_of_usual_music_in_the_image_is_near_that_of_its_file(judge: Judge) -> None:
    features, _ = judge(song(6, 4.0)[: len(TIME)])
    assert features.level_db == pytest.approx(features.file_db, abs=0.5)
    assert PRESETS["riffusion-v1"].channels == 1
