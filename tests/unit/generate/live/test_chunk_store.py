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


def used(tape: ChunkStore, first: int, stop: int) -> np.ndarray:
    got: list[np.ndarray] = []

    def keep(clip: AudioClip) -> None:
        got.append(np.array(clip.samples))

    tape.use(first, stop, keep)
    return got[0]


@pytest.fixture
def tape(tmp_path: Path) -> ChunkStore:
    """Return a store of three chunks, at a rate where every sample has an exact time."""
    tape = ChunkStore(tmp_path / "tape", 8192, 2, 80)
    for number, length in enumerate((1000, 1, 0, 500)):
        tape.add(noise(length, number))
    return tape


@pytest.mark.parametrize(("rate", "grid"), [(44100, 11025), (48000, 375), (8000, 125), (22050, 11025), (16384, 1)])
def test_chunks_start_at_exactly_representable_times(tmp_path: Path, rate: int, grid: int):
    assert grid_of(rate) == grid
    tape = ChunkStore(tmp_path, rate, 1, 80)
    rng = np.random.default_rng(1)
    lengths = [int(rng.integers(0, 3 * grid + 1)) for _ in range(12)]
    for number, length in enumerate(lengths):
        tape.add(noise(length, number)[:1])
        assert sum(lengths[: number + 1]) - grid < tape.samples <= sum(lengths[: number + 1])
    for chunk in tape.chunks():
        assert (chunk.start / rate) * rate == chunk.start
        assert chunk.start % grid == chunk.stop % grid == 0
    tape.add(noise(0)[:1], last=True)
    assert tape.samples == sum(lengths)
    whole = np.concatenate([noise(length, number)[:1] for number, length in enumerate(lengths)], axis=1)
    np.testing.assert_allclose(used(tape, 0, tape.samples), whole, atol=1 / 32000)


def test_chunks_are_contiguous_and_empty_ones_are_dropped(tape: ChunkStore):
    assert [(chunk.number, chunk.start, chunk.stop) for chunk in tape.chunks()] == [
        (0, 0, 1000),
        (1, 1000, 1001),
        (2, 1001, 1501),
    ]
    assert tape.samples == 1501
    assert [chunk.number for chunk in tape.chunks(2)] == [2]
    data = np.frombuffer(tape.path("chunk", 0).read_bytes(), "<i2").reshape(-1, 2).T
    np.testing.assert_array_equal(data, np.clip(np.rint(noise(1000) * 32768), -32768, 32767))


@pytest.mark.parametrize(("first", "stop"), [(0, 1501), (0, 1), (999, 1002), (1000, 1001), (1200, 1400)])
def test_any_part_can_be_read_to_the_sample(tape: ChunkStore, first: int, stop: int):
    whole = np.concatenate([noise(1000, 0), noise(1, 1), noise(500, 3)], axis=1)
    np.testing.assert_array_equal(
        used(tape, first, stop), np.clip(np.rint(whole * 32768), None, 32767)[:, first:stop] / 32768
    )
    assert not list(tape.folder.glob("take*"))


def test_old_chunks_and_strips_are_removed_one_by_one(tape: ChunkStore):
    tape.add_image(0, Image.new("RGB", (10, 64)))
    tape.add_image(10, Image.new("RGB", (10, 64)))
    tape.forget(999)
    assert [len(tape.chunks()), len(tape.strips())] == [3, 1]
    assert not tape.path("strip", 0).exists()
    tape.forget(1000)
    assert [chunk.number for chunk in tape.chunks()] == [1, 2]
    assert not tape.path("chunk", 0).exists()
    assert not tape.has("chunk", 0)
    assert tape.has("chunk", 1)
    with pytest.raises(RiffusionError, match="are not there"):
        used(tape, 999, 1200)
    assert used(tape, 1000, 1501).shape == (2, 501)
    tape.forget(10**9)
    assert list(tape.folder.iterdir()) == []
    tape.add(noise(10))
    assert tape.chunks()[0].start == 1501, "the sample count continues"


@pytest.mark.parametrize(("first", "stop"), [(0, 1502), (5, 5), (7, 3)])
def test_missing_parts_are_refused(tape: ChunkStore, first: int, stop: int):
    with pytest.raises(RiffusionError, match="are not there"):
        used(tape, first, stop)
