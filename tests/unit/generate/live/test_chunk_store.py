"""The chunks of a live session on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.live.chunk_store import ChunkStore, grid_of


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (2, samples)).astype(np.float32)


def used(store: ChunkStore, first: int, stop: int) -> np.ndarray:
    got: list[np.ndarray] = []

    def keep(clip: AudioClip) -> None:
        got.append(np.array(clip.samples))

    store.with_samples(first, stop, keep)
    return got[0]


@pytest.fixture
def store(tmp_path: Path) -> ChunkStore:
    """Return a store of three chunks, at a rate where every sample has an exact time."""
    store = ChunkStore(tmp_path / "store", 8192, 2, 80)
    for number, length in enumerate((1000, 1, 0, 500)):
        store.add(noise(length, number))
    return store


@pytest.mark.parametrize(("rate", "grid"), [(44100, 11025), (48000, 375), (8000, 125), (22050, 11025), (16384, 1)])
def test_chunks_start_at_exactly_representable_times(tmp_path: Path, rate: int, grid: int):
    assert grid_of(rate) == grid
    store = ChunkStore(tmp_path, rate, 1, 80)
    rng = np.random.default_rng(1)
    lengths = [int(rng.integers(0, 3 * grid + 1)) for _ in range(12)]
    for number, length in enumerate(lengths):
        store.add(noise(length, number)[:1])
        assert sum(lengths[: number + 1]) - grid < store.samples <= sum(lengths[: number + 1])
    for chunk in store.chunks():
        assert (chunk.start / rate) * rate == chunk.start
        assert chunk.start % grid == chunk.stop % grid == 0
    store.add(noise(0)[:1], last=True)
    assert store.samples == sum(lengths)
    whole = np.concatenate([noise(length, number)[:1] for number, length in enumerate(lengths)], axis=1)
    np.testing.assert_allclose(used(store, 0, store.samples), whole, atol=1 / 32000)


def test_chunks_are_contiguous_and_empty_ones_are_dropped(store: ChunkStore):
    assert [(chunk.number, chunk.start, chunk.stop) for chunk in store.chunks()] == [
        (0, 0, 1000),
        (1, 1000, 1001),
        (2, 1001, 1501),
    ]
    assert store.samples == 1501
    assert [chunk.number for chunk in store.chunks(2)] == [2]
    data = np.frombuffer(store.path("chunk", 0).read_bytes(), "<i2").reshape(-1, 2).T
    np.testing.assert_array_equal(data, np.clip(np.rint(noise(1000) * 32768), -32768, 32767))


@pytest.mark.parametrize(("first", "stop"), [(0, 1501), (0, 1), (999, 1002), (1000, 1001), (1200, 1400)])
def test_any_part_can_be_read_to_the_sample(store: ChunkStore, first: int, stop: int):
    whole = np.concatenate([noise(1000, 0), noise(1, 1), noise(500, 3)], axis=1)
    np.testing.assert_array_equal(
        used(store, first, stop), np.clip(np.rint(whole * 32768), None, 32767)[:, first:stop] / 32768
    )
    assert not list(store.folder.glob("recording*"))


def test_old_chunks_and_strips_are_removed_one_by_one(store: ChunkStore):
    store.add_image(0, Image.new("RGB", (10, 64)))
    store.add_image(10, Image.new("RGB", (10, 64)))
    store.forget(999)
    assert [len(store.chunks()), len(store.strips())] == [3, 1]
    assert not store.path("strip", 0).exists()
    store.forget(1000)
    assert [chunk.number for chunk in store.chunks()] == [1, 2]
    assert not store.path("chunk", 0).exists()
    assert not store.has("chunk", 0)
    assert store.has("chunk", 1)
    with pytest.raises(RiffusionError, match="are not there"):
        used(store, 999, 1200)
    assert used(store, 1000, 1501).shape == (2, 501)
    store.forget(10**9)
    assert list(store.folder.iterdir()) == []
    store.add(noise(10))
    assert store.chunks()[0].start == 1501, "the sample count continues"


@pytest.mark.parametrize(("first", "stop"), [(0, 1502), (5, 5), (7, 3)])
def test_missing_parts_are_refused(store: ChunkStore, first: int, stop: int):
    with pytest.raises(RiffusionError, match="are not there"):
        used(store, first, stop)
