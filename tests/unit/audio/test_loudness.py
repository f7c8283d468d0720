"""Loudness: properties for any sound, the cases of EBU Tech 3341, and a literal implementation of the standard."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio.loudness import Loudness, k_weighting
from riffusion_ext.errors import AudioError

RATE = 48000

# BS.1770-4, tables 1 and 2: b0 b1 b2 1 a1 a2 at 48 kHz.
TABLE = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585),
    (1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621),
)


def measure(samples: np.ndarray, rate: int = RATE) -> float:
    meter = Loudness(rate, samples.shape[0])
    meter.add(samples)
    return meter.integrated()


def sine(seconds: float, levels_db: Sequence[float], *, rate: int = RATE, hertz: float = 1000) -> np.ndarray:
    """Return the same sine in channels of these peak levels; -inf is silence."""
    time = np.arange(round(seconds * rate)) / rate
    gains = 10 ** (np.array(levels_db)[:, None] / 20)
    return (gains * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def noise(seed: int, seconds: float, channels: int = 2, rate: int = RATE) -> np.ndarray:
    """Return noise of changing level, partly below the gates."""
    generator = np.random.default_rng(seed)
    length = round(seconds * rate)
    level = np.repeat(generator.uniform(-3.5, -0.3, max(1, round(seconds * 2))), rate)[:length]
    return (10 ** np.resize(level, length) * generator.standard_normal((channels, length))).astype(np.float32)


def biquads(signal: list[float]) -> list[float]:
    for b0, b1, b2, _, a1, a2 in TABLE:
        x1 = x2 = y1 = y2 = 0.0
        out = []
        for x in signal:
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            x1, x2, y1, y2 = x, x1, y, y1
            out.append(y)
        signal = out
    return signal


def standard(samples: np.ndarray, weights: Sequence[float]) -> float:
    """Measure loudness by BS.1770-4 at 48 kHz, literally step by step."""
    filtered = np.stack([biquads(channel.tolist()) for channel in samples])
    block, step = RATE * 4 // 10, RATE // 10
    powers = []
    for start in range(0, samples.shape[1] - block + 1, step):
        z = (filtered[:, start : start + block] ** 2).mean(axis=1)
        powers.append(float(np.dot(weights, z)))
    loudness = [-0.691 + 10 * math.log10(power) for power in powers]
    first = [power for power, level in zip(powers, loudness, strict=True) if level > -70]
    gate = -0.691 + 10 * math.log10(sum(first) / len(first)) - 10
    second = [power for power, level in zip(powers, loudness, strict=True) if level > -70 and level > gate]
    return -0.691 + 10 * math.log10(sum(second) / len(second))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rate=st.sampled_from([8000, 11025, 22050, 44100, 48000]),
    channels=st.integers(1, 3),
    cuts=st.lists(st.integers(0, 60000), max_size=12),
)
def test_piece_sizes_do_not_change_the_loudness(seed: int, rate: int, channels: int, cuts: list[int]) -> None:
    sound = noise(seed, 60000 / rate, channels, rate)
    meter = Loudness(rate, channels)
    for piece in np.split(sound, sorted(cuts), axis=1):
        meter.add(piece)
    assert meter.integrated() == pytest.approx(measure(sound, rate), abs=1e-9)


def test_pieces_of_one_sample_give_the_same_loudness() -> None:
    sound = noise(3, 0.5, rate=8000)
    meter = Loudness(8000, 2)
    for n in range(sound.shape[1]):
        meter.add(sound[:, n : n + 1])
    assert meter.integrated() == pytest.approx(measure(sound, 8000), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), gain_db=st.floats(-20, 20))
def test_gain_changes_the_loudness_by_the_same_amount(seed: int, gain_db: float) -> None:
    generator = np.random.default_rng(seed)
    sound = (0.1 * generator.standard_normal((2, RATE))).astype(np.float32)  # steady: no block near a gate
    louder = sound.astype(np.float64) * 10 ** (gain_db / 20)
    assert measure(louder) == pytest.approx(measure(sound) + gain_db, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_swapping_channels_and_inverting_polarity_do_not_change_the_loudness(seed: int) -> None:
    sound = noise(seed, 1.2)
    assert measure(sound[::-1]) == pytest.approx(measure(sound), abs=1e-9)
    assert measure(-sound) == pytest.approx(measure(sound), abs=1e-9)


def test_loudness_can_be_read_after_each_piece() -> None:
    sound = noise(1, 2)
    meter = Loudness(RATE, 2)
    for start in range(0, 2 * RATE, RATE // 2):
        meter.add(sound[:, start : start + RATE // 2])
        assert meter.integrated() == pytest.approx(measure(sound[:, : start + RATE // 2]), abs=1e-9)


def test_silence_and_less_than_one_block_have_no_loudness() -> None:
    assert Loudness(RATE, 2).integrated() == -math.inf
    assert measure(np.zeros((2, 3 * RATE), np.float32)) == -math.inf
    assert measure(sine(0.399, (-10, -10))) == -math.inf
    assert measure(sine(0.4, (-10, -10))) == pytest.approx(-10, abs=0.2)


def test_sound_below_the_absolute_gate_has_no_loudness() -> None:
    assert measure(sine(5, (-70.1, -70.1))) == -math.inf
    assert measure(sine(5, (-69.9, -69.9))) == pytest.approx(-69.9, abs=0.01)


def test_coefficients_at_48_khz_equal_those_of_the_standard() -> None:
    np.testing.assert_allclose(k_weighting(48000), TABLE, atol=1e-8)


@pytest.mark.parametrize(("seed", "channels"), [(1, 1), (2, 2), (3, 6)])
def test_loudness_equals_a_literal_implementation_of_the_standard(seed: int, channels: int) -> None:
    sound = noise(seed, 2.05, channels)
    weights = {1: [1.0], 2: [1.0, 1.0], 6: [1.0, 1.0, 1.0, 0.0, 1.41, 1.41]}[channels]
    assert measure(sound) == pytest.approx(standard(sound, weights), abs=1e-6)


# Tech 3341, table 1, "minimum requirements": (seconds, peak level in dBFS) of each part, and the expected LUFS +-0.1.
EBU = {
    "1": ([(20, -23)], -23.0),
    "2": ([(20, -33)], -33.0),
    "3": ([(10, -36), (60, -23), (10, -36)], -23.0),
    "4": ([(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)], -23.0),
    "5": ([(20, -26), (20.1, -20), (20, -26)], -23.0),
}


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("case", EBU)
def test_loudness_meets_the_ebu_test_cases_in_stereo(case: str, rate: int) -> None:
    parts, expected = EBU[case]
    meter = Loudness(rate, 2)
    for seconds, level in parts:
        meter.add(sine(seconds, (level, level), rate=rate))
    assert meter.integrated() == pytest.approx(expected, abs=0.1)


def test_loudness_meets_ebu_case_6_with_five_channels() -> None:
    levels = (-28, -28, -24, -30, -30)
    assert measure(sine(20, levels)) == pytest.approx(-23.0, abs=0.1)


def test_lfe_channel_is_ignored() -> None:
    levels = [-28, -28, -24, -3, -30, -30]
    assert measure(sine(20, levels)) == pytest.approx(-23.0, abs=0.1)


def test_surround_channels_count_1_5_db_more() -> None:
    for channels, surround in ((4, 3), (5, 4), (6, 5), (7, 6), (8, 7)):
        levels = np.full(channels, -math.inf)
        levels[surround] = -20
        front = np.full(channels, -math.inf)
        front[0] = -20
        assert measure(sine(1, levels)) - measure(sine(1, front)) == pytest.approx(1.5, abs=0.01)


def test_two_channels_are_3_db_louder_than_one() -> None:
    assert measure(sine(2, (-20,))) == pytest.approx(-23.0, abs=0.02)
    assert measure(sine(2, (-20, -20))) == pytest.approx(-20.0, abs=0.02)


RATES = (1000, 4000, 8000, 11025, 16000, 22050, 32000, 44100, 96000, 192000)
TONES = (40, 100, 400, 1000, 1700, 3000, 8000)


@pytest.mark.parametrize(("rate", "hertz"), [(r, f) for r in RATES for f in TONES if f < 0.45 * r])
def test_loudness_does_not_depend_on_the_sample_rate(rate: int, hertz: float) -> None:
    assert measure(sine(3, (-20, -20), rate=rate, hertz=hertz), rate) == pytest.approx(
        measure(sine(3, (-20, -20), rate=192000, hertz=hertz), 192000), abs=0.1
    )


def test_block_borders_do_not_drift_at_fractional_block_lengths() -> None:
    """100 ms are 1102.5 samples; the borders must not drift and no block may be lost."""
    seconds = 600
    meter = Loudness(11025, 1)
    for _ in range(seconds):
        meter.add(sine(1, (-20,), rate=11025, hertz=500))
    assert len(meter._segments) == 10 * seconds
    assert meter.integrated() == pytest.approx(measure(sine(10, (-20,), rate=44100, hertz=500), 44100), abs=0.1)


def test_leading_silence_does_not_change_the_loudness() -> None:
    song = sine(20, (-20, -30))
    meter = Loudness(RATE, 2)
    for _ in range(30):
        meter.add(np.zeros((2, RATE), np.float32))
    meter.add(song)
    assert meter.integrated() == pytest.approx(measure(song), abs=0.05)  # three blocks overlap the border


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros((1, 10), np.float32), r"\[2, time\].*\(1, 10\)"),
        (np.zeros(10, np.float32), r"\[2, time\].*\(10,\)"),
        (np.full((2, 10), np.nan, np.float32), "finite"),
        (np.full((2, 10), np.inf, np.float32), "finite"),
    ],
)
def test_invalid_samples_are_refused(samples: np.ndarray, words: str) -> None:
    with pytest.raises(AudioError, match=words):
        Loudness(RATE, 2).add(samples)


@pytest.mark.parametrize(("rate", "channels", "words"), [(999, 2, "999"), (48000, 0, "got 0"), (48000, 9, "got 9")])
def test_impossible_formats_are_refused(rate: int, channels: int, words: str) -> None:
    with pytest.raises(AudioError, match=words):
        Loudness(rate, channels)


def test_refused_piece_does_not_change_the_meter() -> None:
    sound = noise(5, 1)
    meter = Loudness(RATE, 2)
    meter.add(sound)
    broken = noise(6, 3)
    broken[1, -1] = np.nan
    with pytest.raises(AudioError):
        meter.add(broken)
    assert meter.integrated() == measure(sound)
