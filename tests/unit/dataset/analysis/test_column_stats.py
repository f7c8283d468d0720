"""Statistics of the samples of each column."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.dataset.analysis.column_stats import ColumnStats


def stats_of(samples: np.ndarray, *cuts: int, rate: int = 1000, seconds: float = 0.01, columns: int | None = None):
    stats = ColumnStats(rate, seconds)
    samples = samples.astype(np.float32)
    mixed = samples if len(samples) == 1 else samples.mean(axis=0, keepdims=True)
    edges = [0, *sorted(set(cuts) - {0, samples.shape[1]}), samples.shape[1]]
    for a, b in pairwise(edges):
        stats.add(samples[:, a:b], mixed[:, a:b])
    return stats.finish(1 + int(samples.shape[1] / rate / seconds) if columns is None else columns)


@settings(max_examples=100, deadline=None)
@given(
    rate=st.sampled_from([1000, 1033, 8000, 44100]),
    seconds=st.sampled_from([0.01, 0.0125, 0.007]),
    samples=st.integers(1, 3000),
    channels=st.integers(1, 2),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
    seed=st.integers(0, 99),
)
def test_piece_sizes_do_not_change_the_statistics(
    rate: int, seconds: float, samples: int, channels: int, cuts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(samples) * rng.uniform(0.02, 0.8, (channels, 1)))
    values = np.clip(1.4 * waves + 0.1 * rng.standard_normal((channels, samples)), -0.9, 0.9)
    whole = stats_of(values, rate=rate, seconds=seconds)
    parts = stats_of(values, *(min(cut, samples) for cut in cuts), rate=rate, seconds=seconds)
    for name, numbers in whole.items():
        assert np.array_equal(parts[name], numbers), name


def test_peak_and_energy_of_known_columns_are_exact() -> None:
    samples = np.zeros((1, 40))
    samples[0, 10:20] = 0.5
    samples[0, 20:30] = [1, -1] * 5
    numbers = stats_of(samples, columns=4)
    assert numbers["peak"].tolist() == [0, 0.5, 1, 0]
    assert numbers["file_energy"].tolist() == numbers["mixed_energy"].tolist() == [0, 0.25, 1, 0]


def test_energy_of_file_and_mix_is_measured_separately() -> None:
    wave = 0.5 * np.sin(np.arange(100.0))
    numbers = stats_of(np.stack([wave, -wave]), columns=10)
    assert numbers["file_energy"].mean() == pytest.approx(0.125, abs=0.01)
    assert not numbers["mixed_energy"].any()
    assert numbers["still"].all()


def test_column_is_still_when_its_samples_are_constant() -> None:
    samples = np.full((1, 2000), 0.3)
    samples[0, 700:1400] = np.repeat([0.3, -0.3], 350)  # a square wave of 14 Hz
    samples[0, 1450] += 0.01
    still = stats_of(samples, rate=10_000)["still"]
    assert still[:7].all()
    assert still[[7, 11, 13]].all(), "within a side of the wave"
    assert not still[[10, 14]].any(), "an edge, and a click"


def test_columns_past_the_end_repeat_the_last_value() -> None:
    numbers = stats_of(np.full((1, 25), 0.3), columns=6)
    assert numbers["peak"] == pytest.approx([0.3] * 6)
    assert stats_of(np.full((1, 1), 0.3), columns=3)["peak"] == pytest.approx([0.3] * 3)
    nothing = ColumnStats(1000, 0.01).finish(2)
    assert not nothing["clipped"].any()
