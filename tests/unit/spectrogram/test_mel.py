"""The mel filters: bit-identical to torchaudio's, and the sparse projection equal to the full product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.params.mel_scale import hz_to_mel
from riffusion_ext.spectrogram import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.mel import MelProjection, encoder_filters, mel_filters, mel_projection

CPU = torch.device("cpu")
RATES_OF_AUDIO = (16000, 22050, 32000, 44100, 48000, 96000)


def dense(params: SpectrogramParams) -> np.ndarray:
    """Return the filters on the bins of the encoder: [n_fft // 2 + 1, n_mels]."""
    return encoder_filters(params).dense(slice(0, params.n_fft // 2 + 1), slice(0, params.num_frequencies))


def full_weights(params: SpectrogramParams, spacing: float, bins: int) -> np.ndarray:
    """Return MelProjection's matrix by its definition: filters times linear interpolation."""
    fine = dense(params)
    at = np.arange(fine.shape[0]) * params.sample_rate / params.n_fft
    interpolate = np.stack([np.interp(at, np.arange(bins) * spacing, unit) for unit in np.eye(bins)], axis=1)
    return fine.T @ interpolate


@pytest.mark.parametrize("rate", RATES_OF_AUDIO)
@pytest.mark.parametrize(("n_mels", "f_min", "f_max"), [(512, 0, 8000), (128, 30, 4000), (1024, 10, 7999)])
def test_filters_equal_torchaudio_to_the_bit(torchaudio: Any, rate: int, n_mels: int, f_min: int, f_max: int) -> None:
    params = SpectrogramParams(sample_rate=rate, num_frequencies=n_mels, min_frequency=f_min, max_frequency=f_max)
    theirs = torchaudio.functional.melscale_fbanks(
        params.n_fft // 2 + 1, float(f_min), float(f_max), n_mels, rate, norm=None, mel_scale="htk"
    )
    assert np.array_equal(dense(params), theirs.numpy())


@pytest.mark.parametrize("name", [name for name, params in PRESETS.items() if params.is_original])
def test_filters_of_the_presets_equal_torchaudio_to_the_bit(torchaudio: Any, name: str) -> None:
    params = PRESETS[name]
    theirs = torchaudio.functional.melscale_fbanks(
        8821, float(params.min_frequency), float(params.max_frequency), 512, 44100, norm=None, mel_scale="htk"
    )
    assert np.array_equal(dense(params), theirs.numpy())


def test_mel_scale_is_that_of_htk() -> None:
    assert hz_to_mel(0.0) == 0.0
    assert hz_to_mel(1000.0) == pytest.approx(999.9855, abs=1e-3)


def test_filter_corners_are_equidistant_in_mel() -> None:
    n_mels, f_min, f_max = 40, 50, 7000
    params = SpectrogramParams(num_frequencies=n_mels, min_frequency=f_min, max_frequency=f_max)
    mel = np.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2)
    corners = 700 * (10 ** (mel / 2595) - 1)
    between = (corners[:-1] + corners[1:]) / 2
    at_corners = mel_filters(torch.tensor(corners, dtype=torch.float32), params)
    assert at_corners.dense(slice(0, n_mels + 2), slice(0, n_mels)) == pytest.approx(
        np.eye(n_mels + 2, n_mels, k=-1), abs=1e-3
    )
    half_way = mel_filters(torch.tensor(between, dtype=torch.float32), params)
    expected = 0.5 * (np.eye(n_mels + 1, n_mels) + np.eye(n_mels + 1, n_mels, k=-1))
    assert half_way.dense(slice(0, n_mels + 1), slice(0, n_mels)) == pytest.approx(expected, abs=1e-3)


def test_filters_are_zero_outside_their_edges() -> None:
    params = SpectrogramParams(min_frequency=300, max_frequency=2000)
    heard = dense(params).sum(axis=1) > 0
    frequencies = np.arange(params.n_fft // 2 + 1) * params.sample_rate / params.n_fft
    assert not heard[(frequencies < 299.9) | (frequencies > 2000.1)].any()
    assert heard[(frequencies > 300.1) & (frequencies < 1999.9)].all()


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("spacing", [5.0, 10.0])
def test_the_projection_equals_the_full_product(name: str, spacing: float) -> None:
    params = PRESETS[name].replace(num_frequencies=200)
    projection = MelProjection(params, spacing, CPU)
    weights = full_weights(params, spacing, projection.bins)
    magnitude = np.random.default_rng(1).random((5, projection.bins))
    mel = projection.forward(torch.tensor(magnitude, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(mel, magnitude @ weights.T, rtol=2e-5, equal_nan=False)
    assert projection.column_sum.numpy() == pytest.approx(weights.sum(axis=1), rel=1e-5)


def test_spread_is_the_mean_of_the_bands_weighted_by_the_filters() -> None:
    params = SpectrogramParams(num_frequencies=200)
    projection = MelProjection(params, 10.0, CPU)
    weights = full_weights(params, 10.0, projection.bins)
    gain = np.random.default_rng(1).random((3, 200))
    spread = projection.spread(torch.tensor(gain, dtype=torch.float32), torch.zeros(3, projection.bins)).numpy()
    heard = weights.sum(axis=0) > 1e-6
    expected = gain @ weights[:, heard] / weights.sum(axis=0)[heard]
    assert spread[:, heard] == pytest.approx(expected, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    spacing=st.floats(3, 60),
    n_mels=st.integers(16, 300),
    f_min=st.integers(0, 300),
    f_max=st.integers(400, 8000),
    window=st.sampled_from([20, 40, 100]),
    longer=st.sampled_from([1, 1.5, 2, 4]),
    seed=st.integers(0, 9),
)
def test_mel_projection_keeps_its_invariants(
    spacing: float, n_mels: int, f_min: int, f_max: int, window: int, longer: float, seed: int
) -> None:
    params = SpectrogramParams(
        sample_rate=16000, num_frequencies=n_mels, min_frequency=f_min, max_frequency=f_max,
        window_duration_ms=window, padded_duration_ms=window * longer,
    )  # fmt: skip
    projection = MelProjection(params, spacing, CPU)
    gains = torch.rand(2, n_mels, generator=torch.Generator().manual_seed(seed))
    spread = projection.spread(gains, torch.zeros(2, projection.bins))
    # A mean lies within the bounds of the gains, and keeps constant gains in every bin between the edges.
    assert float(spread.max()) <= float(gains.max()) * (1 + 1e-5)
    constant = projection.spread(torch.full((1, n_mels), 0.7), torch.zeros(1, projection.bins))[0]
    frequency = torch.arange(projection.bins) * spacing
    inside = (frequency > f_min + 0.5) & (frequency < f_max - 0.5)
    heard = dense(params).sum(axis=0) >= 1e-3
    if heard.all():
        assert constant[inside].numpy() == pytest.approx(0.7, rel=1e-5)
    else:
        assert set(constant.numpy().round(4)) <= {np.float32(0), np.float32(0.7)}
    # Bands without any bin of the encoder do not contribute.
    only_deaf = projection.spread(torch.from_numpy(~heard).float()[None], torch.zeros(1, projection.bins))
    assert not only_deaf.any()
    # Linear and non-negative.
    a, b = torch.rand(2, 4, projection.bins, generator=torch.Generator().manual_seed(seed))
    assert projection.forward(a + 2 * b).numpy() == pytest.approx(
        (projection.forward(a) + 2 * projection.forward(b)).numpy(), rel=1e-4, abs=1e-5
    )
    assert bool((projection.forward(a) >= 0).all())
    # A spectrum of ones has the bands that the encoder gives it.
    assert projection.column_sum.numpy() == pytest.approx(
        np.maximum(dense(params).sum(axis=0), 1e-3), rel=1e-4, abs=1e-6
    )


def test_filters_too_narrow_for_every_bin_are_silent_and_no_error() -> None:
    params = SpectrogramParams(
        sample_rate=8000, step_size_ms=1, window_duration_ms=2, padded_duration_ms=2, max_frequency=100
    )
    projection = MelProjection(params, 500.0, CPU)
    assert projection.bins == 1
    assert not projection.forward(torch.ones(3, 1)).any()
    assert not projection.spread(torch.ones(3, 512), torch.zeros(3, 1)).any()


def test_projection_is_cached() -> None:
    assert mel_projection(SpectrogramParams(), 10.0, CPU) is mel_projection(SpectrogramParams(), 10.0, CPU)
