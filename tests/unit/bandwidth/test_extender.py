"""Bandwidth extension of waveforms, as a whole and as a stream."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt, welch

from riffusion_ext.bandwidth import BandwidthExtender, can_extend, extend, output_rate
from riffusion_ext.bandwidth.weights import WEIGHTS
from riffusion_ext.errors import RiffusionError

RATE = 44100


def below(samples: np.ndarray, frequency: float = 10000.0, rate: int = RATE) -> np.ndarray:
    return sosfiltfilt(butter(12, frequency, fs=rate, output="sos"), samples).astype(np.float32)


def hi_hats(seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    """Return bright bursts [S] every quarter of a second, over a bass."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    bursts = 0.3 * rng.normal(size=len(time)) * np.exp(-(time % 0.25) / 0.03)
    bright = bursts - sosfiltfilt(butter(4, 3000, fs=RATE, output="sos"), bursts)
    return (bright + 0.3 * np.sin(2 * np.pi * 110 * time)).astype(np.float32)


def power_db(samples: np.ndarray, low: float, high: float, rate: int = RATE) -> float:
    """Return the power between two frequencies, in dB of full scale."""
    frequency, density = welch(samples, rate, "blackmanharris", nperseg=4096)
    inside = (frequency >= low) & (frequency < high)
    return float(10 * np.log10(density[inside].sum() * (frequency[1] - frequency[0]) + 1e-30))


@pytest.fixture(scope="module")
def dull() -> np.ndarray:
    return below(hi_hats())[None]


def test_bursts_get_high_frequencies_at_their_times(dull: np.ndarray) -> None:
    extended = extend(dull, RATE, 10000.0)
    added = (extended - dull)[0]
    assert -20 < power_db(added, 10500, 19000) - power_db(dull[0], 5000, 9500) < 6
    energy = (added[: RATE * 3] ** 2).reshape(-1, RATE // 4)
    start, rest = energy[:, : RATE // 20].mean(), energy[:, RATE // 8 :].mean()
    assert start > 100 * rest


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("channels", [1, 2])
def test_a_stream_has_the_samples_of_one_pass(dull: np.ndarray, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = np.concatenate([dull, np.roll(dull, 5000, axis=1)])[:channels]
    extender, parts, start = BandwidthExtender(channels, RATE, 10000.0), [], 0
    while start < samples.shape[1]:
        stop = min(start + int(rng.integers(0, 70000)), samples.shape[1])
        parts.append(extender.advance(samples[:, start:stop], last=stop == samples.shape[1]))
        done = sum(part.shape[1] for part in parts)
        assert stop == samples.shape[1] or done >= stop - extender.delay
        start = stop
    assert np.array_equal(np.concatenate(parts, axis=1), extend(samples, RATE, 10000.0))


@pytest.mark.parametrize("blocks", [1, 4, 7])
def test_smaller_chunks_shorten_the_delay_and_keep_the_samples(dull: np.ndarray, blocks: int) -> None:
    extender = BandwidthExtender(1, RATE, 10000.0, blocks=blocks)
    assert extender.delay < BandwidthExtender(1, RATE, 10000.0).delay
    assert np.abs(extender.advance(dull, last=True) - extend(dull, RATE, 10000.0)).max() < 1e-5


@pytest.mark.parametrize("length", [0, 1, 441, 5000, 32768, 100001])
@pytest.mark.parametrize(
    ("rate", "cutoff"), [(44100, 10000), (48000, 8000), (22050, 11025), (16000, 8000), (96000, 15000), (10500, 5200)]
)
def test_the_length_is_a_multiple_of_that_of_the_input(length: int, rate: int, cutoff: float) -> None:
    samples = np.random.default_rng(0).normal(size=(2, length)).astype(np.float32) * 0.1
    extended = extend(samples, rate, cutoff)
    assert extended.shape == (2, length * (output_rate(rate) // rate))
    assert extended.dtype == np.float32
    assert np.isfinite(extended).all()


def test_output_rates_are_at_least_40_khz() -> None:
    assert [output_rate(rate) for rate in (8000, 16000, 22050, 32000, 44100, 48000)] == [
        40000,
        48000,
        44100,
        64000,
        44100,
        48000,
    ]


def test_samples_below_the_cutoff_are_unchanged(dull: np.ndarray) -> None:
    added = (extend(dull, RATE, 10000.0) - dull)[0]
    assert power_db(added, 0, 9500) < power_db(dull[0], 0, 9500) - 80


@pytest.mark.parametrize("rate", [16000, 22050])
def test_lower_sample_rates_are_raised_without_a_shift(rate: int) -> None:
    time = np.arange(2 * rate) / rate
    samples = (0.5 * np.sin(2 * np.pi * 1000 * time) * np.hanning(len(time))).astype(np.float32)[None]
    extended = extend(samples, rate, rate / 2)
    factor = output_rate(rate) // rate
    assert np.abs(extended[:, ::factor] - samples).max() < 1e-3


def test_the_level_does_not_matter(dull: np.ndarray) -> None:
    loud, quiet = extend(dull, RATE, 10000.0), extend(dull * np.float32(0.05), RATE, 10000.0)
    assert np.abs(quiet * 20 - loud).max() < 0.02 * np.abs(loud).max()


@pytest.mark.parametrize("frequency", [100.0, 1000.0, 4000.0, 8000.0])
def test_a_sine_gets_no_hiss(frequency: float) -> None:
    samples = 0.5 * np.sin(2 * np.pi * frequency * np.arange(3 * RATE) / RATE)
    extended = extend(samples.astype(np.float32)[None], RATE, 10000.0)[0]
    assert power_db(extended[RATE // 2 : -RATE // 2], 10500, 20000) < -80


def test_silence_stays_silent() -> None:
    assert np.abs(extend(np.zeros((2, 2 * RATE), np.float32), RATE, 10000.0)).max() < 1e-8


def test_pauses_stay_silent(dull: np.ndarray) -> None:
    samples = dull.copy()
    samples[:, RATE : 2 * RATE] = 0.0
    extended = extend(samples, RATE, 10000.0)[0]
    assert power_db(extended[RATE + 3000 : 2 * RATE - 3000], 10000, 20000) < -80


@pytest.mark.parametrize("cutoff", [4000.0, 6000.0, 8000.0])
def test_dull_noise_stays_dull(cutoff: float) -> None:
    noise = below(0.2 * np.random.default_rng(1).normal(size=3 * RATE), cutoff)
    extended = extend(noise[None], RATE, 10000.0)[0]
    assert power_db(extended[RATE // 2 : -RATE // 2], 10500, 20000) < -70


def test_equal_channels_stay_equal(dull: np.ndarray) -> None:
    both = extend(np.concatenate([dull, dull]), RATE, 10000.0)
    assert np.array_equal(both[0], both[1])
    assert np.abs(both[0] - extend(dull, RATE, 10000.0)[0]).max() < 1e-5


def test_a_panned_sound_keeps_its_place(dull: np.ndarray) -> None:
    both = extend(np.concatenate([dull, dull * np.float32(0.5)]), RATE, 10000.0)
    assert np.abs(both[0] - 2 * both[1]).max() < 1e-3 * np.abs(both[0]).max()


def test_channels_of_opposite_signs_stay_opposite(dull: np.ndarray) -> None:
    both = extend(np.concatenate([dull, -dull]), RATE, 10000.0)
    assert np.abs(both[0] + both[1]).max() < 1e-3 * np.abs(both[0]).max()


def test_a_nan_spoils_its_own_sample_only(dull: np.ndarray) -> None:
    damaged = dull.copy()
    damaged[0, RATE] = np.nan
    assert np.isnan(extend(damaged, RATE, 10000.0)).sum() == 1


def test_a_silent_side_stays_silent(dull: np.ndarray) -> None:
    both = extend(np.concatenate([dull, np.zeros_like(dull)]), RATE, 10000.0)
    assert np.abs(both[1]).max() < 1e-8
    assert power_db(both[0], 10500, 19000) > power_db(dull[0], 10500, 19000) + 20


@pytest.mark.parametrize("kind", ["white noise", "square", "clipped"])
def test_extreme_sounds_are_extended_within_bounds(kind: str) -> None:
    rng = np.random.default_rng(2)
    time = np.arange(2 * RATE) / RATE
    sound = {
        "white noise": 0.2 * rng.normal(size=len(time)),
        "square": 0.5 * np.sign(np.sin(2 * np.pi * 441 * time)),
        "clipped": np.clip(4 * hi_hats(2.0), -0.9, 0.9),
    }[kind]
    dull = below(sound)[None]
    added = (extend(dull, RATE, 10000.0) - dull)[0]
    assert np.isfinite(added).all()
    assert power_db(added, 10500, 20000) < power_db(dull[0], 5000, 10000) + 6


def test_the_result_is_deterministic(dull: np.ndarray) -> None:
    assert np.array_equal(extend(dull, RATE, 10000.0), extend(dull, RATE, 10000.0))


@pytest.mark.parametrize("cutoff", [0.0, 4999.0, 16000.0, 20000.0])
def test_other_cutoffs_are_refused(cutoff: float) -> None:
    assert not can_extend(cutoff)
    with pytest.raises(RiffusionError, match=f"{cutoff:g} Hz"):
        extend(np.zeros((1, 100), np.float32), RATE, cutoff)


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size <= 500_000
