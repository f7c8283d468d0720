"""Choosing diverse windows: spread out, deterministic, and fair to all songs."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.dataset.curation import diversity
from riffusion_ext.dataset.curation.diversity import choose_diverse

seeds = st.integers(0, 10**6)


def points(count: int, seed: int, size: int = 16) -> np.ndarray:
    """Return points in clusters of unequal size."""
    rng = np.random.default_rng(seed)
    heads = rng.standard_normal((6, size))
    cloud = np.minimum(rng.geometric(0.4, count) - 1, 5)
    return (heads[cloud] + 0.3 * rng.standard_normal((count, size))).astype(np.float32)


def least_distance(embedding: np.ndarray, chosen: np.ndarray) -> float:
    """Return the smallest distance between two chosen windows."""
    distance = np.linalg.norm(embedding[chosen][:, None] - embedding[chosen], axis=2)
    return float(distance[np.triu_indices(len(chosen), 1)].min())


def reach(embedding: np.ndarray, chosen: np.ndarray) -> float:
    """Return the largest distance of any window from the nearest chosen one."""
    return float(np.linalg.norm(embedding[:, None] - embedding[chosen], axis=2).min(axis=1).max())


def counts(song: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.bincount(song[chosen], minlength=int(song.max()) + 1)


# --- any input --------------------------------------------------------------------------------------------------------


@given(seed=seeds, count=st.integers(0, 120), target=st.integers(0, 150), songs=st.integers(1, 30))
def test_choice_has_the_target_size_is_unique_and_deterministic(seed: int, count: int, target: int, songs: int) -> None:
    embedding, song = points(count, seed), np.random.default_rng(seed).integers(0, songs, count)
    chosen = choose_diverse(embedding, song, target)
    assert len(chosen) == min(target, count)
    assert (np.diff(chosen) > 0).all(), "in rising order"
    assert ((chosen >= 0) & (chosen < count)).all()
    np.testing.assert_array_equal(choose_diverse(embedding.copy(), song.copy(), target), chosen)


@given(seed=seeds, count=st.integers(1, 120), target=st.integers(1, 120), songs=st.integers(1, 12))
def test_songs_get_an_equal_share_or_all_they_have(seed: int, count: int, target: int, songs: int) -> None:
    song = np.random.default_rng(seed).integers(0, songs, count)
    has = np.bincount(song)
    got = counts(song, choose_diverse(points(count, seed), song, target))
    most = got.max()
    for have, share in zip(has, got, strict=True):
        assert share == have or share >= most - 1


@given(seed=seeds, sizes=st.lists(st.integers(0, 50), min_size=1, max_size=12), part=st.floats(0, 1))
def test_quotas_add_up_and_are_equal_or_full(seed: int, sizes: list[int], part: float) -> None:
    total = round(part * sum(sizes))
    shares = diversity._quotas(sizes, total)
    assert sum(shares) == total
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    most = max(shares)
    assert all(share in (size, most, most - 1) for share, size in zip(shares, sizes, strict=True))


@given(seed=seeds)
def test_choice_does_not_depend_on_the_origin(seed: int) -> None:
    embedding, song = points(60, seed), np.arange(60) // 20
    np.testing.assert_array_equal(choose_diverse(embedding + 2, song, 12), choose_diverse(embedding, song, 12))


# --- spread -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("songs", [1, 5])
@pytest.mark.parametrize("target", [5, 20, 60])
@pytest.mark.parametrize("seed", range(3))
def test_chosen_windows_are_more_diverse_than_random_ones(seed: int, target: int, songs: int) -> None:
    embedding, song = points(300, seed), np.arange(300) % songs
    chosen = choose_diverse(embedding, song, target)
    rng = np.random.default_rng(seed)
    draws = [rng.choice(300, target, replace=False) for _ in range(30)]
    assert least_distance(embedding, chosen) > max(least_distance(embedding, draw) for draw in draws)
    assert reach(embedding, chosen) < np.median([reach(embedding, draw) for draw in draws])


def test_choice_from_one_song_is_farthest_point_sampling() -> None:
    embedding = points(80, 4)
    chosen: list[int] = []
    nearest = np.linalg.norm(embedding - embedding.mean(axis=0), axis=1)
    chosen.append(int(nearest.argmin()))
    while len(chosen) < 9:
        distance = np.linalg.norm(embedding[:, None] - embedding[chosen], axis=2).min(axis=1)
        chosen.append(int(distance.argmax()))
    assert choose_diverse(embedding, np.zeros(80, int), 9).tolist() == sorted(chosen)


def test_block_size_does_not_change_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    embedding, song = points(200, 7), np.arange(200) // 40
    whole = choose_diverse(embedding, song, 90)
    monkeypatch.setattr(diversity, "_BLOCK", 7)
    np.testing.assert_array_equal(choose_diverse(embedding, song, 90), whole)


def test_every_cluster_is_represented() -> None:
    rng = np.random.default_rng(2)
    heads = 5 * np.eye(6, 16)
    cloud = np.repeat(np.arange(6), [500, 300, 20, 5, 2, 1])
    embedding = (heads[cloud] + 0.1 * rng.standard_normal((len(cloud), 16))).astype(np.float32)
    chosen = choose_diverse(embedding, np.zeros(len(cloud), int), 12)
    assert set(cloud[chosen]) == set(range(6))


def test_choice_from_a_long_song_is_spread_over_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversity, "_MAX_GROUP_WINDOWS", 25)
    chosen = choose_diverse(points(200, 1), np.zeros(200, int), 16)
    assert np.bincount(chosen // 25, minlength=8).tolist() == [2] * 8


def test_target_below_the_number_of_songs_spreads_over_the_songs() -> None:
    song = np.repeat(np.arange(10), 5)
    chosen = choose_diverse(points(50, 3), song, 5)
    assert sorted(song[chosen] // 2) == [0, 1, 2, 3, 4], "one of each two neighbours"
    assert len(choose_diverse(points(50, 3), song, 1)) == 1


def test_songs_with_few_windows_leave_their_share_to_others() -> None:
    song = np.repeat([0, 1, 2], [2, 50, 50])
    assert counts(song, choose_diverse(points(102, 3), song, 22)).tolist() == [2, 10, 10]


def test_song_numbers_may_be_arbitrary() -> None:
    song = np.arange(60) % 3 * 1000 - 5
    chosen = choose_diverse(points(60, 3), song, 9)
    assert np.unique(song[chosen], return_counts=True)[1].tolist() == [3, 3, 3]


def test_identical_windows_are_chosen_evenly() -> None:
    chosen = choose_diverse(np.ones((40, 16), np.float32), np.arange(40) // 10, 8)
    assert len(np.unique(chosen)) == 8
    assert counts(np.arange(40) // 10, chosen).tolist() == [2, 2, 2, 2]


def test_memory_use_is_small_for_many_windows() -> None:
    embedding = np.random.default_rng(0).standard_normal((20_000, 96), np.float32)
    tracemalloc.start()
    choose_diverse(embedding, np.arange(20_000) // 50, 500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * embedding.nbytes
