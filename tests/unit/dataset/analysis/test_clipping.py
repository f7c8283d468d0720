"""Clipping is distinguished from waves that are flat by nature."""

from __future__ import annotations

import numpy as np
import pytest

from riffusion_ext.dataset.analysis.column_stats import ColumnStats
from tests.unit.dataset.music import song

RATE = 44100
SECONDS = 2.0
TIME = np.arange(round(SECONDS * RATE)) / RATE


def clipped(samples: np.ndarray, bits: int | None = 16) -> float:
    """Return the mean share of clipped samples of a file with a number of bits."""
    samples = np.atleast_2d(samples)
    if bits:
        full = 2.0 ** (bits - 1)
        samples = np.round(np.clip(samples, -1, 1 - 1 / full) * full) / full
    samples = samples.astype(np.float32)
    stats = ColumnStats(RATE, 0.01)
    stats.add(samples, samples.mean(axis=0, keepdims=True))
    return float(stats.finish(round(100 * SECONDS))["clipped"].mean())


def music(gain_db: float) -> np.ndarray:
    """Synthesise a song amplified by a number of decibels, and clip it."""
    sound = song(7, SECONDS)[: len(TIME)]
    return np.clip(sound / np.abs(sound).max() * 10 ** (gain_db / 20), -1, 1)


def at_limit(samples: np.ndarray) -> float:
    return float((np.abs(samples) >= np.abs(samples).max()).mean())


# --- found ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [16, 24, None])
@pytest.mark.parametrize("gain_db", [6, 9, 12])
def test_clipped_music_is_detected(gain_db: float, bits: int | None) -> None:
    sound = music(gain_db)
    assert max(0.01, 0.4 * at_limit(sound)) < clipped(0.99 * sound, bits) < at_limit(sound)
    assert clipped(music(-1), bits) == 0


@pytest.mark.parametrize("level", [0.2, 0.7, 1.8])
def test_clipping_below_or_above_full_scale_is_detected(level: float) -> None:
    assert clipped(level * music(9), bits=None if level > 1 else 16) > 0.01


def test_clipping_is_detected_in_one_channel_one_polarity_or_with_an_offset() -> None:
    loud, good = music(9), music(-1)
    everywhere = clipped(0.99 * loud)
    assert clipped(np.stack([0.6 * loud, good])) == pytest.approx(everywhere, rel=0.2)
    assert clipped(np.where(loud > 0, 0.7 * loud, 0.9 * good)) > 0.3 * everywhere
    assert clipped(0.6 * loud + 0.3) == pytest.approx(everywhere, rel=0.3)


@pytest.mark.parametrize("hertz", [50, 110, 441, 1000, 2205.5])
def test_clipped_sines_are_detected_and_clean_sines_are_not(hertz: float) -> None:
    wave = np.clip(1.6 * np.sin(2 * np.pi * hertz * TIME), -0.8, 0.8)
    assert clipped(wave) == pytest.approx(at_limit(wave), rel=0.35)
    assert clipped(0.9 * np.sin(2 * np.pi * hertz * TIME)) == 0, "it touches its peak and leaves it"


def test_a_louder_sample_elsewhere_disproves_clipping() -> None:
    wave = np.append(0.8 * music(9)[:-1], 0.99)
    assert clipped(wave) < 0.6 * clipped(0.8 * music(9)), "but for the other polarity"


# --- not found --------------------------------------------------------------------------------------------------------


def played(wave: object, seed: int = 0, low: int = 40, high: int = 90) -> np.ndarray:
    """Play an arpeggio on an oscillator (a function of phase) with envelopes of 16 steps."""
    rng = np.random.default_rng(seed)
    out = np.zeros(len(TIME))
    for start in range(0, len(TIME), RATE // 16):
        part = out[start : start + RATE // 16]
        phase = np.arange(len(part)) * 440 * 2 ** ((rng.integers(low, high) - 69) / 12) / RATE
        part += wave(phase % 1) * np.maximum(15 - np.arange(len(part)) * 96 // RATE, 4) / 15  # type: ignore[operator]
    return out


def pulse(duty: float, level: float = 1.0):
    return lambda phase: level * np.where(phase < duty, 1.0, -1.0)


def steps(count: int, shape: object):
    """Return a wave of steps with 16 levels."""
    return lambda phase: np.round(7.5 + 7.5 * shape(np.floor(phase * count) / count)) / 7.5 - 1  # type: ignore[operator]


def triangle(phase: np.ndarray) -> np.ndarray:
    return 4 * np.abs(phase - 0.5) - 1


CHIPS = {
    **{f"pulse {duty}": played(pulse(duty)) for duty in (0.125, 0.25, 0.5, 0.75)},
    "a square wave, held": np.sign(np.sin(2 * np.pi * 220 * TIME) + 1e-9),
    "unipolar": played(lambda phase: (phase < 0.25) * 1.0),
    "staircase": played(steps(32, triangle)),
    "table of 4 bits": played(steps(32, lambda phase: np.sin(2 * np.pi * phase)), high=108),
    "two pulses and a triangle": 0.4
    * (played(pulse(0.5)) + played(pulse(0.25), 1) + played(steps(32, triangle), 2))
    / 1.2,
    "pulse and noise": 0.6 * played(pulse(0.5)) + 0.3 * np.random.default_rng(1).choice([-1, 1], len(TIME)),
    "saw": played(lambda phase: 2 * phase - 1),
    "8 bits": np.round(120 * played(lambda phase: np.sin(2 * np.pi * phase), low=24)) / 128,
}


@pytest.mark.parametrize("gain", [0.999, 0.6])
@pytest.mark.parametrize("name", list(CHIPS))
def test_chiptunes_do_not_count_as_clipped(name: str, gain: float) -> None:
    assert clipped(gain * CHIPS[name] / np.abs(CHIPS[name]).max()) < 0.004


@pytest.mark.parametrize("hertz", [20, 55, 110, 440])
def test_square_waves_with_soft_edges_do_not_count_as_clipped(hertz: float) -> None:
    from scipy.signal import lfilter

    wave = np.sign(np.sin(2 * np.pi * hertz * TIME) + 1e-9)
    for cutoff in (1000, 3000, 10000):
        decay = np.exp(-2 * np.pi * cutoff / RATE)
        assert clipped(0.95 * lfilter([1 - decay], [1, -decay], wave)) < 0.002
    slower = np.interp(np.arange(len(wave)) / 5.3, np.arange(len(wave)), wave)  # a sampler that interpolates
    assert clipped(0.95 * slower) < 0.002
    between = (wave + np.roll(wave, 1)) / 2
    assert clipped(0.95 * between) < 0.002


@pytest.mark.parametrize("hertz", [110, 220, 440])
def test_interpolated_pulse_waves_do_not_count_as_clipped(hertz: float) -> None:
    pulses = np.where(np.sin(2 * np.pi * 5.3 * hertz * TIME) > 0.7, 0.9, -0.3)  # one of its two levels is lower
    assert clipped(np.interp(np.arange(len(TIME)) / 5.3, np.arange(len(TIME)), pulses)) < 0.004


@pytest.mark.parametrize("duty", [0.125, 0.25, 0.5])
@pytest.mark.parametrize("rate", [22050, 32000, 11025])
def test_linearly_resampled_chiptunes_do_not_count_as_clipped(rate: int, duty: float) -> None:
    tune = played(pulse(duty), 3, low=36, high=76)
    place = np.arange(int(len(tune) * 48000 / rate)) * rate / 48000  # of a player that runs at this rate
    for steady in (tune, np.where(np.arange(len(tune)) // (RATE // 16) % 4 < 3, np.sign(tune), 0.0)):
        assert clipped(0.9 * np.interp(place, np.arange(len(tune)), steady)) < 0.004
