"""Near-duplicates: the same as by comparing all pairs, each represented by a kept window."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from riffusion_ext.dataset.analysis.features import Features, window_features
from riffusion_ext.dataset.analysis.levels import BANDS
from riffusion_ext.dataset.analysis.measure import measure_song
from riffusion_ext.dataset.curation import duplicates
from riffusion_ext.dataset.curation.curate import Verdict, curate
from riffusion_ext.dataset.curation.duplicates import find_duplicates
from riffusion_ext.dataset.settings import CurateSettings
from tests.unit.dataset.music import PARAMS, RATE, song

COLUMNS = 512


def all_pairs(
    embedding: np.ndarray,
    quality: np.ndarray,
    limit: float,
    song_of: np.ndarray,
    first: np.ndarray,
    columns: int,
    pairs: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Compare each window, from the best to the worst, with all kept ones."""
    representative = np.arange(len(embedding))
    kept: list[int] = []
    given = set(zip(*(part.tolist() for part in pairs), strict=True)) if pairs else set()
    for one in sorted(range(len(embedding)), key=lambda n: (-quality[n], n)):
        for better in kept:
            exempt = song_of[one] == song_of[better] and abs(int(first[one]) - int(first[better])) < columns
            near = not exempt and ((embedding[one] - embedding[better]) ** 2).sum() <= limit**2
            if near or (better, one) in given:
                representative[one] = better
                break
        else:
            kept.append(one)
    return representative


def units(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def families(count: int, size: int, seed: int) -> np.ndarray:
    """Return unit vectors in groups whose members are 0 to 0.6 apart, some of them equal."""
    rng = np.random.default_rng(seed)
    heads = rng.standard_normal((max(count // 6, 1), size))
    heads /= np.linalg.norm(heads, axis=1, keepdims=True)
    members = heads[rng.integers(0, len(heads), count)]
    members += rng.choice([0.0, 0.05, 0.15, 0.4], (count, 1)) * rng.standard_normal((count, size)) / np.sqrt(size)
    members += 1e-9
    return units(members)


@pytest.fixture(autouse=True)
def _small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use small leaves and batches, so that a few windows fill many of them."""
    for name, value in (("_LEAF", 7), ("_BATCH", 5), ("_PAIRS", 11)):
        monkeypatch.setattr(duplicates, name, value)


seeds = st.integers(0, 10**6)


# --- against all pairs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leaf", "batch", "pairs"), [(7, 5, 11), (1, 1, 1), (20, 200, 3), (512, 1024, 16384)])
@pytest.mark.parametrize("size", [1, 3, 40, 96])
@pytest.mark.parametrize("limit", [0.0, 0.1, 0.2, 0.5, 2.0])
def test_duplicates_equal_an_exhaustive_search(
    size: int, limit: float, leaf: int, batch: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_LEAF", leaf), ("_BATCH", batch), ("_PAIRS", pairs)):
        monkeypatch.setattr(duplicates, name, value)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        embedding = families(70, size, seed)
        quality = rng.integers(0, 4, 70)
        song_of, first = np.sort(rng.integers(0, 6, 70)), 64 * rng.integers(0, 9, 70)
        found = find_duplicates(embedding, quality, limit, song=song_of, first_column=first, columns=200)
        np.testing.assert_array_equal(found, all_pairs(embedding, quality, limit, song_of, first, 200))


@given(seed=seeds, count=st.integers(1, 60), size=st.integers(1, 40), limit=st.floats(0, 2), best=st.integers(1, 60))
def test_duplicates_of_any_input_equal_an_exhaustive_search(
    seed: int, count: int, size: int, limit: float, best: int
) -> None:
    rng = np.random.default_rng(seed)
    embedding, quality = families(count, size, seed), rng.integers(0, best, count) / 10
    distance = np.linalg.norm(embedding[:, None].astype(float) - embedding, axis=2)
    assume(limit == 0 or not (np.abs(distance - limit) < 1e-5).any())  # rounding decides there
    song_of, first = rng.integers(0, 3, count), rng.integers(0, 1000, count)
    found = find_duplicates(embedding, quality, limit, song=song_of, first_column=first, columns=300)
    np.testing.assert_array_equal(found, all_pairs(embedding, quality, limit, song_of, first, 300))


@given(seed=seeds, count=st.integers(2, 60), number=st.integers(0, 80), best=st.integers(1, 60))
def test_given_pairs_are_treated_like_found_pairs(seed: int, count: int, number: int, best: int) -> None:
    rng = np.random.default_rng(seed)
    embedding, quality = families(count, 24, seed), rng.integers(0, best, count) / 10
    one = rng.integers(0, count, number)
    other = (one + rng.integers(1, count, number)) % count
    pairs = np.unique(np.stack([np.concatenate([one, other]), np.concatenate([other, one])]), axis=1)
    given_ = (pairs[0], pairs[1])
    song_of, first = np.arange(count), np.zeros(count, int)
    found = find_duplicates(embedding, quality, 0.2, pairs=given_)
    np.testing.assert_array_equal(found, all_pairs(embedding, quality, 0.2, song_of, first, 0, given_))
    assert (found[found] == found).all(), "representatives are kept"


@given(seed=seeds, count=st.integers(1, 80), limit=st.floats(0, 1.5))
def test_kept_windows_are_apart_and_duplicates_near_a_better_one(seed: int, count: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    embedding, quality = families(count, 24, seed), rng.random(count)
    found = find_duplicates(embedding, quality, limit)
    distance = np.linalg.norm(embedding[:, None] - embedding, axis=2)
    kept = np.flatnonzero(found == np.arange(count))
    between = distance[np.ix_(kept, kept)] + 9 * np.eye(len(kept))
    assert (between > limit - 1e-5).all(), "no two kept windows are closer than the limit"
    assert np.isin(found, kept).all(), "representatives are kept"
    assert (distance[np.arange(count), found] <= limit + 1e-5).all()
    assert (quality[found] >= quality).all(), "the better one is kept"


@given(seed=seeds)
def test_order_of_the_windows_does_not_change_the_result(seed: int) -> None:
    rng = np.random.default_rng(seed)
    embedding, quality = families(50, 12, seed), rng.permutation(50)
    order = rng.permutation(50)
    found = find_duplicates(embedding, quality, 0.2)
    np.testing.assert_array_equal(order[find_duplicates(embedding[order], quality[order], 0.2)], found[order])


# --- edges ------------------------------------------------------------------------------------------------------------


def test_no_window_and_one_window_have_no_duplicates() -> None:
    assert find_duplicates(np.zeros((0, 96), np.float32), np.zeros(0), 0.2).shape == (0,)
    assert find_duplicates(units(np.ones((1, 96))), np.zeros(1), 0.2).tolist() == [0]


def test_identical_windows_are_duplicates_at_limit_0() -> None:
    embedding = np.repeat(families(8, 96, 3), 4, axis=0)
    embedding[1::4] = units(embedding[1::4] + 1e-4)
    found = find_duplicates(embedding, np.zeros(32), 0.0)
    assert {(n // 4, n % 4) for n in np.flatnonzero(found == np.arange(32))} >= {(0, 0), (0, 1)}
    np.testing.assert_array_equal(found, all_pairs(embedding, np.zeros(32), 0.0, np.arange(32), np.zeros(32), 0))


def test_only_the_best_window_is_left_at_limit_2() -> None:
    quality = np.array([1, 5, 5, 2])
    assert find_duplicates(units(np.eye(4) - 0.3), quality, 2.0).tolist() == [1, 1, 1, 1]


def test_first_of_the_best_identical_windows_is_kept() -> None:
    found = find_duplicates(np.repeat(units(np.ones((1, 96))), 100, axis=0), np.arange(100) % 10, 0.2)
    assert (found == 9).all(), "the first of the best"


def test_similarity_is_not_transitive() -> None:
    angle = 0.15 * np.arange(9)
    chain = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    assert find_duplicates(chain, np.zeros(9), 0.2).tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8]


def test_windows_that_share_columns_are_no_duplicates() -> None:
    same = np.repeat(units(np.ones((1, 96))), 6, axis=0)
    options = {
        "song": np.array([0, 0, 0, 0, 1, 1]),
        "first_column": np.array([0, 256, 512, 600, 0, 511]),
        "columns": 512,
    }
    assert find_duplicates(same, np.zeros(6), 0.2, **options).tolist() == [0, 1, 0, 0, 0, 0]
    options["columns"] = 0
    assert find_duplicates(same, np.zeros(6), 0.2, **options).tolist() == [0] * 6
    assert find_duplicates(same, np.zeros(6), 0.2, columns=512).tolist() == [0] * 6, (
        "without songs, each window is its own song"
    )


def test_inputs_are_not_changed() -> None:
    embedding, quality = families(60, 24, 1), np.arange(60) % 3
    song_of, first = np.arange(60) // 10, np.arange(60) % 10 * 100
    copies = [values.copy() for values in (embedding, quality, song_of, first)]
    find_duplicates(embedding, quality, 0.3, song=song_of, first_column=first, columns=150)
    for values, copy in zip((embedding, quality, song_of, first), copies, strict=True):
        np.testing.assert_array_equal(values, copy)


@pytest.mark.parametrize("kind", ["unrelated", "identical"])
def test_memory_use_is_small_for_many_windows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    count = 6000
    rng = np.random.default_rng(0)
    embedding = units(rng.standard_normal((count, 96))) if kind == "unrelated" else units(np.ones((count, 96)))
    tracemalloc.start()
    found = find_duplicates(embedding, np.zeros(count), 0.2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(np.unique(found)) == (count if kind == "unrelated" else 1)
    assert peak < 80e6, "all pairs would be 144 MB"


# --- songs ------------------------------------------------------------------------------------------------------------


def copies_in(folder: Path) -> list[Path]:
    """Write three songs as WAV, and the second one again: softer, 30 ms later, at a low bit rate."""
    paths = []
    for seed in range(3):
        sound = song(seed, 16.2)
        sound *= 0.5 / np.abs(sound).max()
        paths.append(folder / f"{seed}.wav")
        soundfile.write(paths[-1], sound, RATE)
        if seed == 1:
            later = 0.4 * np.concatenate([np.zeros(RATE * 30 // 1000), sound])
    paths.append(folder / "copy.ogg")
    # In blocks, because libsndfile's encoder keeps them on the stack.
    with soundfile.SoundFile(paths[-1], "w", RATE, 1, format="OGG", subtype="VORBIS", compression_level=0.9) as file:
        for start in range(0, len(later), RATE):
            file.write(later[start : start + RATE])
    return paths


def test_a_compressed_copy_is_found_and_other_songs_are_kept(tmp_path: Path) -> None:
    paths = copies_in(tmp_path)
    assert paths[-1].stat().st_size < paths[1].stat().st_size / 10
    firsts = np.array([0, 512, 1024])
    features = Features.concatenate([window_features(measure_song(path, PARAMS)[0], firsts, COLUMNS) for path in paths])
    verdicts = curate(
        features, np.repeat(np.arange(4), 3), np.tile(firsts, 4), COLUMNS, CurateSettings(first=0, last=0)
    )
    assert [verdict.kept for verdict in verdicts[:3] + verdicts[6:9]] == [True] * 6
    for one, other in zip(range(3, 6), range(9, 12), strict=True):
        left_out = [n for n in (one, other) if not verdicts[n].kept]
        assert len(left_out) == 1, "one of each pair is kept"
        (reason,) = verdicts[left_out[0]].reasons
        assert reason.kind == "duplicate"
        assert {left_out[0], reason.other} == {one, other}


def test_louder_copy_is_a_duplicate() -> None:
    rng = np.random.default_rng(1)
    features = _features(units(rng.standard_normal((20, 96))))
    copies = Features.concatenate([features, features])
    copies.level_db[20:] += 12
    verdicts = curate(copies, np.arange(40), np.zeros(40, int), COLUMNS, CurateSettings(first=0, last=0))
    assert [found.kept for found in verdicts] == [True] * 20 + [False] * 20
    assert [_other(found) for found in verdicts[20:]] == list(range(20))


def _other(verdict: Verdict) -> int | None:
    return verdict.reasons[0].other


def _features(embedding: np.ndarray) -> Features:
    zeros = np.zeros(len(embedding), np.float32)
    return Features(
        level_db=zeros - 20, file_db=zeros - 20, mixed_db=zeros - 20, quiet=zeros, burst=zeros, transition=zeros,
        transition_at=zeros, clipped=zeros, dropout=zeros, rumble=zeros, embedding=embedding,
        levels=np.zeros((len(zeros), 64, BANDS), np.uint8),
    )  # fmt: skip
