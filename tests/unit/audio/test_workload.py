"""Estimates of memory and work are upper bounds, and oversized work is refused before it starts."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip, join, read_audio, resampling
from riffusion_ext.audio.formats.wav import write_wav
from riffusion_ext.audio.workload import (
    Allowance,
    Workload,
    allowance,
    check,
    current_allowance,
    join_workload,
    machine_memory,
    read_workload,
)
from riffusion_ext.audio.workload import resample_workload as estimate
from riffusion_ext.errors import RiffusionError

rates = st.one_of(st.integers(1000, 768000), st.sampled_from([8000, 22050, 44100, 44101, 48000, 192000, 767999]))


@settings(max_examples=25, deadline=None)
@given(source=rates, rate=rates, samples=st.integers(1, 20000), channels=st.integers(1, 8))
def test_resampling_never_exceeds_its_memory_estimate(source: int, rate: int, samples: int, channels: int) -> None:
    samples = min(samples, max(1, 500_000 * source // rate // channels))
    sound = np.zeros((channels, samples), np.float32)
    resampling._filter.cache_clear()
    resampling._table.cache_clear()
    tracemalloc.start()
    try:
        resampling.resample(sound, source, rate)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= estimate(channels, samples, source, rate).memory or source == rate


@given(
    source=rates, rate=rates, samples=st.integers(0, 10**15), channels=st.integers(1, 8), more=st.integers(0, 10**15)
)
def test_estimates_grow_with_the_work_and_never_overflow(
    source: int, rate: int, samples: int, channels: int, more: int
) -> None:
    for function in (
        lambda c, n: estimate(c, n, source, rate),
        lambda c, n: read_workload(c, n, rate),
        lambda c, n: join_workload(c, n, rate),
    ):
        small, large = function(channels, samples), function(channels + 1, samples + more)
        assert 0 <= small.memory <= large.memory
        assert 0 <= small.products <= large.products
        assert isinstance(large.memory, int)


def test_refusal_names_the_estimate_and_the_limit() -> None:
    with (
        allowance(Allowance(memory=2e9)),
        pytest.raises(RiffusionError, match=r"^this needs up to 7\.6 GB .* 2\.0 GB are"),
    ):
        check(Workload("this", int(7.6e9)))
    with allowance(Allowance(1e12, products=1e9)), pytest.raises(RiffusionError, match=r"2e\+12 mult.* 1e\+09 are"):
        check(Workload("this", 1, 2 * 10**12))


def test_nested_allowance_cannot_widen_the_outer_one() -> None:
    assert current_allowance().memory < machine_memory()
    with allowance(Allowance(1000, 5)):
        with allowance(Allowance(2000, 4)):
            assert current_allowance() == Allowance(1000, 4)
        assert current_allowance() == Allowance(1000, 5)
    assert current_allowance().products == float("inf")


@pytest.fixture
def nothing_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if more than 64 MB are allocated by numpy at once."""
    for name in ("empty", "zeros"):
        make = getattr(np, name)

        def small(shape: object, *args: object, _make: object = make, **more: object) -> object:
            assert np.prod(np.atleast_1d(shape), dtype=float) < 16e6, f"{shape} was asked for"
            return _make(shape, *args, **more)  # type: ignore[operator]

        monkeypatch.setattr(np, name, small)


@pytest.mark.usefixtures("nothing_large")
def test_oversized_work_is_refused_before_it_begins(tmp_path: Path) -> None:
    clip = AudioClip(np.zeros((2, 120_000), np.float32), 1000)
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        write_wav(file, clip, subtype="pcm16", tags={})
    with allowance(Allowance(memory=100e6)):
        with pytest.raises(RiffusionError, match=r"from 1000 to 192000 Hz needs up to .* 100 MB are allowed"):
            clip.resample(192000)
        with pytest.raises(RiffusionError, match="joining"):
            join([AudioClip(clip.samples[:, :10], 192000), clip])
    with (
        allowance(Allowance(memory=1e6)),
        pytest.raises(RiffusionError, match=r"a\.wav cannot be read: reading|reading"),
    ):
        read_audio(path)
