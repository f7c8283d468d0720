"""From the working rate to the sample rate: exact lengths, no loss below the highest frequency, no aliases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.spectrogram import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.inversion.resample import to_sample_rate
from riffusion_ext.spectrogram.stft import working_rate

RATES = (22050, 32000, 44100, 48000, 96000)


def working(params: SpectrogramParams) -> tuple[float, int]:
    """Return the working sample rate and hop."""
    up, down = working_rate(params)
    return params.sample_rate * up / down, params.hop_length * up // down


@pytest.mark.parametrize("rate", RATES)
def test_resampled_tone_keeps_level_and_time(rate: int) -> None:
    params = SpectrogramParams(sample_rate=rate)
    lower, hop = working(params)
    count = 100 * hop
    for frequency in (100.0, 1000.0, 9900.0):
        tone = np.sin(2 * np.pi * frequency * np.arange(count) / lower).astype(np.float32)[None]
        out = to_sample_rate(tone, params)
        assert out.shape == (1, 100 * params.hop_length)
        assert out.dtype == np.float32
        expected = np.sin(2 * np.pi * frequency * np.arange(out.shape[1]) / rate)
        edge = rate // 50
        assert out[0, edge:-edge] == pytest.approx(expected[edge:-edge], abs=3e-3)


@pytest.mark.parametrize("name", [name for name, params in PRESETS.items() if working_rate(params) != (1, 1)])
def test_aliases_above_the_working_rate_are_suppressed(name: str) -> None:
    params = PRESETS[name]
    lower, hop = working(params)
    count = 200 * hop
    tone = np.sin(2 * np.pi * params.max_frequency * 0.99 * np.arange(count) / lower).astype(np.float32)[None]
    out = to_sample_rate(tone, params)[0]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    frequency = np.fft.rfftfreq(len(out), 1 / params.sample_rate)
    image = spectrum[frequency > lower - params.max_frequency].max()
    assert image < 10 ** (-75 / 20) * spectrum.max()


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from([8000, *RATES]),
    step=st.floats(1, 20),
    ratio=st.floats(2, 10),
    highest=st.integers(100, 4000),
    columns=st.integers(1, 12),
    channels=st.integers(1, 2),
)
def test_lengths_are_exact_for_any_parameters(
    rate: int, step: float, ratio: float, highest: int, columns: int, channels: int
) -> None:
    params = SpectrogramParams(
        sample_rate=rate, step_size_ms=step, window_duration_ms=ratio * step, padded_duration_ms=ratio * step,
        max_frequency=highest,
    )  # fmt: skip
    _, hop = working(params)
    signal = np.ones((channels, (columns - 1) * hop), np.float32)
    out = to_sample_rate(signal, params)
    assert out.shape == (channels, params.samples_of_columns(columns))
    assert out == pytest.approx(1.0, abs=0.02)  # a constant is kept up to both ends


def test_channels_are_resampled_independently() -> None:
    params = SpectrogramParams()
    signal = np.random.default_rng(1).standard_normal((2, 2100)).astype(np.float32)
    both = to_sample_rate(signal, params)
    assert np.array_equal(both[1:], to_sample_rate(signal[1:], params))


def test_no_resampling_when_no_lower_rate_fits() -> None:
    params = SpectrogramParams(sample_rate=22050, max_frequency=11025)
    signal = np.random.default_rng(1).standard_normal((1, 220)).astype(np.float32)
    assert np.array_equal(to_sample_rate(signal, params), signal)
