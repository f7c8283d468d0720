"""Copies of a recording are found at any offset, and other music is not mistaken for it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from riffusion_ext.dataset.analysis.levels import BANDS, HOP, window_levels
from riffusion_ext.dataset.curation.shifted import Shifted, find_shifted
from tests.unit.dataset.music import RATE, drums, sketch_of, song, tune
from tests.unit.magnitudes import mel_of

COLUMNS = 512
LIMIT = 0.5


@cache
def played(seed: int) -> np.ndarray:
    """Return 26 s of a song: five windows."""
    return song(seed, 26.0)


def levels_of(sound: np.ndarray) -> np.ndarray:
    sketch = sketch_of(mel_of(sound))
    return window_levels(sketch, np.arange(0, len(sketch) - COLUMNS + 1, COLUMNS), COLUMNS)


def found(*songs: np.ndarray, step: int = COLUMNS) -> tuple[Shifted, np.ndarray, np.ndarray]:
    """Find pairs in the levels of songs; also return song and first column of each window."""
    number = np.repeat(np.arange(len(songs)), [len(part) for part in songs])
    first = np.concatenate([COLUMNS * np.arange(len(part)) for part in songs])
    levels = np.concatenate(songs)
    return find_shifted(levels, np.zeros(len(levels)), number, first, step, LIMIT), number, first


def later(sound: np.ndarray, seconds: float) -> np.ndarray:
    """Delay a sound by prepending some of its end, reversed."""
    return np.concatenate([sound[::-1][: round(seconds * RATE)], sound])


# --- levels -----------------------------------------------------------------------------------------------------------


def test_window_levels_quantise_the_sketch() -> None:
    sketch = np.full((1500, 32), -40.0)
    sketch[:, 20:] = -120.0
    levels = window_levels(sketch, np.array([0, 512, 1400]), COLUMNS)
    assert levels.shape == (3, COLUMNS // HOP, BANDS)
    assert (levels[1, :, 0] == 160).all(), "-40 dB in half decibels over -120"
    assert (levels[1, :, 10] == 166).all(), "two bands together are 3 dB more"
    assert (levels[2, 20:] == 0).all(), "silence after the end"


def test_windows_are_slices_of_the_levels_of_the_song() -> None:
    sketch = np.random.default_rng(0).normal(-40, 10, (1200, 32))
    whole = window_levels(sketch, np.array([0]), 1200)
    parts = window_levels(sketch, np.array([160, 672]), COLUMNS)
    np.testing.assert_array_equal(parts[0], whole[0, 20:84])
    np.testing.assert_array_equal(parts[1][:-1], whole[0, 84:147])


# --- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0, 2.0, 2.5, 3.7])
def test_delayed_copy_is_found(seconds: float) -> None:
    rng = np.random.default_rng(0)
    copy = 0.5 * later(played(1), seconds) + 1e-3 * rng.standard_normal(len(played(1)) + round(seconds * RATE))
    pairs, number, first = found(levels_of(played(1)), levels_of(copy), levels_of(played(2)))
    here = pairs.one[(number[pairs.one] == 1) & (number[pairs.other] == 0)]
    assert set(here) >= set(np.flatnonzero((number == 1) & (first >= 100 * seconds))), "every window of the copy"
    assert not (number[pairs.one] == 2).any(), "no window of another song"
    for one, other, columns in zip(pairs.one, pairs.other, pairs.later, strict=True):
        moved = 100 * seconds * (number[one] - number[other])  # windows of the copy are earlier in the music
        assert columns == pytest.approx(first[other] - first[one] + moved, abs=3)
        assert abs(columns) <= 0.56 * COLUMNS
        assert pairs.of(int(one), int(other)) == columns
    assert pairs.of(0, len(number) - 1) is None


def test_excerpt_of_a_song_is_found() -> None:
    piece = played(1)[round(9.3 * RATE) : round(15.0 * RATE)]
    pairs, number, _ = found(levels_of(played(1)), levels_of(piece))
    assert 0 < (number[pairs.one] == 1).sum() <= 2


def test_repeated_window_has_at_most_two_partners_in_another_song() -> None:
    loop = song(5, 2.6)
    often = np.tile(loop, 12)
    pairs, number, _ = found(levels_of(often), levels_of(later(often, 1.3)))
    assert len(pairs.one), "they are the same recording"
    assert np.bincount(pairs.one, minlength=len(number)).max() <= 2


# --- other music ------------------------------------------------------------------------------------------------------


def test_different_songs_have_no_pairs() -> None:
    pairs, _, _ = found(*(levels_of(played(seed)) for seed in range(5)))
    assert len(pairs.one) == 0


def test_same_drums_with_different_tunes_have_no_pairs() -> None:
    beat = drums(3, 26.0)
    pairs, _, _ = found(*(levels_of(beat + tune(seed, 26.0)) for seed in range(4)))
    assert len(pairs.one) == 0
    alone, number, _ = found(levels_of(beat), levels_of(beat[RATE:]))
    assert len(alone.one), "the drums alone are one recording"
    assert set(number[alone.one]) == {0, 1}


def test_windows_of_one_song_are_not_compared() -> None:
    loop = np.tile(song(5, 2.6), 12)
    levels = levels_of(loop)
    assert len(found(levels)[0].one) == 0
    assert (found(levels, levels_of(played(1)))[1] == 0).sum() == len(levels)
    assert len(found(levels, levels_of(played(1)))[0].one) == 0


@pytest.mark.parametrize("kind", ["silence", "tone", "hiss"])
def test_silent_windows_have_no_duplicates(kind: str) -> None:
    sound = np.zeros(RATE * 16)
    if kind == "tone":
        sound = 0.3 * np.sin(2 * np.pi * 440 * np.arange(len(sound)) / RATE)
    noises = [1e-2 * np.random.default_rng(n).standard_normal(len(sound)) * (kind == "hiss") for n in range(2)]
    pairs, _, _ = found(levels_of(sound + noises[0]), levels_of(later(sound, 2.0)[: len(sound)] + noises[1]))
    assert len(pairs.one) == 0


def test_many_identical_windows_have_no_pairs() -> None:
    levels = np.repeat(levels_of(played(1))[:1], 300, axis=0)
    pairs = find_shifted(levels, np.zeros(300), np.arange(300) // 3, 512 * (np.arange(300) % 3), COLUMNS, LIMIT)
    assert len(pairs.one) == 0, "windows found very often are ignored; these would be 45,000 pairs"


@pytest.mark.parametrize("count", [0, 1])
def test_no_window_and_one_window_have_no_pairs(count: int) -> None:
    zeros = np.zeros(count, int)
    pairs = find_shifted(np.zeros((count, 64, BANDS), np.uint8), zeros, zeros, zeros, COLUMNS, LIMIT)
    assert len(pairs.one) == len(pairs.other) == len(pairs.later) == 0


def test_overlapping_windows_are_paired_with_their_nearest_counterpart() -> None:
    sketch, other = (sketch_of(mel_of(sound)) for sound in (played(1), later(played(1), 0.5)))
    firsts = [np.arange(0, len(part) - COLUMNS + 1, 128) for part in (sketch, other)]
    levels = np.concatenate(
        [window_levels(part, first, COLUMNS) for part, first in zip((sketch, other), firsts, strict=True)]
    )
    number = np.repeat([0, 1], [len(first) for first in firsts])
    pairs = find_shifted(levels, np.zeros(len(levels)), number, np.concatenate(firsts), 128, LIMIT)
    assert np.abs(pairs.later).max() <= 0.56 * 128
    assert np.bincount(pairs.one).max() <= 2
