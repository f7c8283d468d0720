"""Numbers about the samples of each column."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.dataset.analysis.column_stats import ColumnStats


def stats_of(samples: np.ndarray, *cuts: int, rate: int = 1000, seconds: float = 0.01, columns: int | None = None):
    stats = ColumnStats(rate, seconds)
    edges = [0, *sorted(cuts), samples.shape[1]]
    for a, b in pairwise(edges):
        stats.add(samples[:, a:b].astype(np.float32))
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
def test_cutting_changes_nothing(
    rate: int, seconds: float, samples: int, channels: int, cuts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = np.clip(rng.standard_normal((channels, samples)), -0.9, 0.9)
    whole = stats_of(values, rate=rate, seconds=seconds)
    parts = stats_of(values, *(min(cut, samples) for cut in cuts), rate=rate, seconds=seconds)
    for name, numbers in whole.items():
        tolerance = 0.5 if name in ("clipped", "flat") else 1e-6  # a run across a cut may lose a sample
        assert parts[name] == pytest.approx(numbers, abs=tolerance), name


def test_levels_of_known_columns() -> None:
    samples = np.zeros((1, 40))
    samples[0, 10:20] = 0.5
    samples[0, 20:30] = [1, -1] * 5
    numbers = stats_of(samples, columns=4)
    assert numbers["peak"].tolist() == [0, 0.5, 1, 0]
    assert numbers["energy"].tolist() == [0, 0.25, 1, 0]
    assert numbers["offset"].tolist() == [0, 0.5, 0, 0]
    assert numbers["flat"] == pytest.approx([0.9, 0.9, 0.0, 0.9])


def test_clipping_is_runs_at_the_file_s_own_limit() -> None:
    wave = np.sin(np.linspace(0, 40 * np.pi, 4000))[None]
    assert not stats_of(wave)["clipped"].any(), "a sine touches its peak and leaves it"
    clipped = np.clip(1.6 * wave, -0.8, 0.8)
    share = stats_of(clipped)["clipped"][:400].mean()
    assert share == pytest.approx((np.abs(clipped) == 0.8).mean(), abs=0.02)
    assert not stats_of(np.clip(0.4 * wave, -0.2, 0.2))["clipped"].any(), "so quiet a limit is a square wave"
    louder = np.concatenate([clipped, [[1.0]]], axis=1)
    assert not stats_of(louder)["clipped"].any(), "what passes the limit elsewhere was not clipped there"


def test_columns_past_the_end_repeat_the_last() -> None:
    numbers = stats_of(np.full((1, 25), 0.3), columns=6)
    assert numbers["peak"] == pytest.approx([0.3] * 6)
    assert stats_of(np.full((1, 1), 0.3), columns=3)["peak"] == pytest.approx([0.3] * 3)
