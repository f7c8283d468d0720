"""Resampling between any two rates: exact length and time, no aliases, and memory independent of the ratio."""

from __future__ import annotations

import hashlib
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip, resampling
from riffusion_ext.audio.fit import fit_pieces
from riffusion_ext.audio.resampling import MAX_PHASES, ratio, reach, resample, resampled_length

ODD = [(44101, 44100), (44100, 44101), (767999, 44100), (44100, 191999), (1009, 44100), (44100, 8009)]
"""Rates without a common factor, as recorders with a clock of their own write them."""


def sine(frequency: float, rate: int, seconds: float) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)
    return wave[None].astype(np.float32)


def heard(samples: np.ndarray, frequency: float, rate: int) -> tuple[complex, float]:
    """Return the complex amplitude of a sine in the middle of a sound, and the RMS of the rest."""
    time = np.arange(samples.shape[1]) / rate
    inside = slice(len(time) // 4, -len(time) // 4)
    terms = np.stack([np.sin(2 * np.pi * frequency * time), np.cos(2 * np.pi * frequency * time)], axis=1)[inside]
    wave = samples[0, inside].astype(np.float64)
    (a, b), *_ = np.linalg.lstsq(terms, wave, rcond=None)
    return complex(a, b), float(np.sqrt(np.mean((wave - terms @ np.array([a, b])) ** 2)))


def _dbfs(level: float) -> float:
    return 20 * math.log10(max(level, 1e-12))


@pytest.mark.parametrize(("source", "rate"), [*ODD, (48000, 44100), (44100, 96000)])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.42])
def test_resampled_sine_keeps_level_and_phase(source: int, rate: int, share: float) -> None:
    frequency = share * min(source, rate)
    amplitude, rest = heard(resample(sine(frequency, source, 0.4), source, rate), frequency, rate)
    assert abs(amplitude - 0.5) < 1e-4, "level or phase changed"
    assert _dbfs(rest) < -95


@pytest.mark.parametrize(("source", "rate"), [(767999, 44100), (44100, 8009), (44101, 24007)])
def test_aliases_are_suppressed(source: int, rate: int) -> None:
    out = resample(sine(0.55 * rate, source, 0.4), source, rate)
    middle = out[:, out.shape[1] // 4 : -out.shape[1] // 4]
    assert _dbfs(float(np.sqrt(np.mean(middle**2)))) < -70


@pytest.mark.parametrize("rates", [(48000, 44100), (22050, 44100), (44100, 192000)])
def test_interpolated_filter_table_agrees_with_the_exact_filter(
    rates: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 5000)).astype(np.float32)
    exact = resample(samples, *rates)
    monkeypatch.setattr(resampling, "MAX_PHASES", 0)
    between = resample(samples, *rates)
    assert between.shape == exact.shape
    assert _dbfs(float(np.sqrt(np.mean((between - exact) ** 2)))) < -90


def test_common_rates_give_the_same_bytes_as_scipy() -> None:
    from scipy.signal import firwin, resample_poly

    samples = np.random.default_rng(0).uniform(-1, 1, (2, 3001)).astype(np.float32)
    for source, rate in [(44100, 48000), (48000, 44100), (22050, 44100), (96000, 44100), (192000, 44100)]:
        up, down = ratio(source, rate)
        taps = firwin(64 * max(up, down) + 1, 0.94 / max(up, down), window=("kaiser", 8.0)).astype(np.float32)
        expected = resample_poly(samples, up, down, axis=1, window=taps)
        found = AudioClip(samples, source).resample(rate).samples
        assert hashlib.sha256(found.tobytes()).digest() == hashlib.sha256(expected.tobytes()).digest()


@settings(max_examples=60, deadline=None)
@given(
    source=st.integers(1000, 768000),
    rate=st.integers(1000, 768000),
    samples=st.integers(0, 400),
    channels=st.integers(1, 3),
)
def test_length_is_exact_for_all_rates(source: int, rate: int, samples: int, channels: int) -> None:
    clip = AudioClip(np.full((channels, samples), 0.25, np.float32), source).resample(rate)
    assert clip.samples.shape == (channels, math.ceil(samples * rate / source))
    assert clip.samples.shape[1] == resampled_length(samples, source, rate)
    assert clip.peak < 0.4


@settings(max_examples=100, deadline=None)
@given(source=st.integers(1000, 768000), rate=st.integers(1000, 768000))
def test_filter_is_small_for_all_rates(source: int, rate: int) -> None:
    up, down = ratio(source, rate)
    if max(up, down) > MAX_PHASES:
        rows, taps = resampling.table_shape(up, down)
        assert rows * taps < 200_000
    assert reach(up, down) % down == 0


@pytest.mark.parametrize(("source", "rate"), [(767999, 44100), (44101, 44100), (1009, 768000), (768000, 1009)])
def test_memory_use_is_bounded_by_the_result_and_a_few_blocks(source: int, rate: int) -> None:
    samples = np.zeros((1, source // 4), np.float32)
    resample(samples[:, :10], source, rate)  # imports
    resampling._table.cache_clear()
    tracemalloc.start()
    try:
        result = resample(samples, source, rate)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * result.nbytes + (16 << 20)  # the filter alone had up to 2.4 GB


@pytest.mark.parametrize(("source", "rate"), [(44101, 44100), (1009, 8000), (9001, 1000)])
def test_unusual_rates_in_pieces_equal_the_whole(source: int, rate: int) -> None:
    clip = AudioClip(np.random.default_rng(2).uniform(-0.5, 0.5, (1, 5 * source + 7)).astype(np.float32), source)
    step = source + 11
    pieces = [AudioClip(clip.samples[:, at : at + step], source) for at in range(0, clip.samples.shape[1], step)]
    fitted = np.concatenate(list(fit_pieces(pieces, rate, 1)), axis=1)
    np.testing.assert_allclose(fitted, clip.resample(rate).samples, rtol=0, atol=1e-6, equal_nan=False)
