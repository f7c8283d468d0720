"""Cuts between unrelated pieces score higher than any change within music."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hard_songs import hard_song
from riffusion_ext.dataset.analysis import transitions
from riffusion_ext.dataset.analysis.transitions import (
    STRIDE,
    FineChange,
    SpectralChange,
    largest_transition,
    transition_curve,
)
from tests.unit.dataset.music import RATE, chords, curve_of, drums, seconds, sketch_of, song, tune
from tests.unit.magnitudes import mel_of

THRESHOLD = 0.5


def random_mel(seed: int, columns: int, bands: int = 64) -> np.ndarray:
    """Return mel magnitudes of random notes."""
    generator = np.random.default_rng(seed)
    notes = generator.random((columns // 20 + 1, bands)) ** 8
    return (1000 * np.repeat(notes, 20, axis=0)[:columns] * generator.uniform(0.5, 1, (columns, bands))).astype(
        np.float32
    )


def random_sketch(seed: int, columns: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    levels = np.repeat(generator.normal(-35, 12, (columns // 15 + 1, 32)), 15, axis=0)[:columns]
    return (levels + generator.normal(0, 1, levels.shape)).clip(-60, 0)


def change_of(mel: np.ndarray, sizes: tuple[int, ...] = ()) -> FineChange:
    """Add magnitudes in pieces of these sizes, repeated as often as needed."""
    change, start, turn = SpectralChange(), 0, 0
    while start < len(mel):
        size = sizes[turn % len(sizes)] if sizes else len(mel)
        change.add(mel[start : start + size])
        start, turn = start + size, turn + 1
    return change.finish()


def random_change(seed: int, columns: int) -> FineChange:
    generator = np.random.default_rng(seed)
    values = generator.uniform(0, [[30], [30], [2], [1], [1]], (5, -(-columns // STRIDE)))
    return FineChange(*values.astype(np.float32))


def largest(sound: np.ndarray) -> tuple[float, float]:
    """Return the largest transition of a sound as one window, and its time in seconds."""
    value, at = largest_transition(curve_of(sound), np.array([0]), len(sound) // 441)
    return float(value[0]), float(at[0]) / 100


# --- change of the partials -------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99), columns=st.integers(0, 300), sizes=st.lists(st.integers(1, 90), min_size=1, max_size=5))
def test_change_of_a_song_in_pieces_equals_the_whole(seed: int, columns: int, sizes: list[int]) -> None:
    mel = random_mel(seed, columns)
    for part, whole in zip(change_of(mel, tuple(sizes)), change_of(mel), strict=True):
        assert part.shape == (-(-columns // STRIDE),)
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, whole)


def test_pieces_and_songs_may_be_empty() -> None:
    mel = random_mel(1, 90)
    change = SpectralChange()
    for piece in (mel[:0], mel[:50], mel[50:50], mel[50:]):
        change.add(piece)
    np.testing.assert_array_equal(change.finish(), change_of(mel))
    assert [len(values) for values in SpectralChange().finish()] == [0] * 5
    assert len(transition_curve(np.zeros((0, 32)), SpectralChange().finish())) == 0


@given(seed=st.integers(0, 99), bands=st.integers(3, 80), scale=st.floats(1e-3, 1e3))
def test_spectral_change_has_its_range_at_any_level(seed: int, bands: int, scale: float) -> None:
    mel = random_mel(seed, 200, bands)
    change = change_of(mel * np.float32(scale))
    assert (np.stack(change) >= -1e-5).all()
    assert change.fallen.max() <= 30
    assert change.risen.max() <= 30
    assert change.unlike.max() <= 2 + 1e-5
    for louder, plain in zip(change, change_of(mel), strict=True):
        np.testing.assert_allclose(louder, plain, atol=2e-2)


@given(seed=st.integers(0, 99))
def test_reversed_song_has_reversed_transitions(seed: int) -> None:
    mel = random_mel(seed, 200)  # a multiple of the stride
    forwards, backwards = change_of(mel), change_of(mel[::-1])
    for one, other in ((forwards.fallen, backwards.risen), (forwards.unlike, backwards.unlike)):
        np.testing.assert_allclose(one[2:-1], other[2:-1][::-1], atol=1e-3)


def test_change_is_where_the_notes_change() -> None:
    mel = np.full((400, 256), 1e-3, np.float32)
    mel[:200, ::40], mel[200:, 17::40] = 100.0, 100.0
    fallen, risen, unlike, fresh, gone = change_of(mel)
    before = np.arange(100) < 47
    after = np.arange(100) > 53
    for values, least in ((fallen, 25), (risen, 25), (unlike, 0.9)):
        assert values[50] > least
        assert values[before | after].max() < 0.05
    assert min(fresh[50], gone[50]) > 0.8
    assert change_of(np.ones((400, 256)))[2][2:-1].max() < 1.01, "without partials there is nothing to compare"


def test_held_note_reduces_the_change() -> None:
    mel = np.full((400, 256), 1e-3, np.float32)
    mel[:200, 20::40], mel[200:, 37::40] = 100.0, 100.0
    bare = change_of(mel)
    mel[:, 100:110] = 100.0
    held = change_of(mel)
    assert held.unlike[50] < bare.unlike[50] - 0.1
    assert held.fallen[50] < bare.fallen[50] - 2


# --- the curve --------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99), columns=st.integers(1, 1500))
def test_transition_curve_is_between_0_and_1(seed: int, columns: int) -> None:
    curve = transition_curve(random_sketch(seed, columns), random_change(seed, columns))
    assert curve.shape == (-(-columns // STRIDE),)
    assert curve.dtype == np.float32
    assert ((curve >= 0) & (curve <= 1)).all()


@given(seed=st.integers(0, 99), gain=st.floats(-18, 18))
def test_transition_curve_does_not_depend_on_the_level(seed: int, gain: float) -> None:
    sketch, change = random_sketch(seed, 1200), random_change(seed, 1200)
    np.testing.assert_allclose(transition_curve(sketch + gain, change), transition_curve(sketch, change), atol=1e-4)


def test_transition_curve_in_parts_equals_the_whole() -> None:
    columns = 16384 + 3000  # more than a part
    sketch, change = random_sketch(3, columns), random_change(3, columns)
    whole = transition_curve(sketch, change)
    start, stop = 16384 - 2600, 16384 + 2600
    part = slice(start // STRIDE, stop // STRIDE)
    alone = transition_curve(sketch[start:stop], FineChange(*(values[part] for values in change)))
    inner = slice(1400 // STRIDE, 3800 // STRIDE)
    np.testing.assert_allclose(whole[part][inner], alone[inner], atol=1e-5)


def test_memory_use_for_an_hour_is_small() -> None:
    columns = 360_000
    sketch = np.full((columns, 32), -30, np.float16)
    change = FineChange(*np.ones((5, columns // STRIDE), np.float32))
    tracemalloc.start()
    transition_curve(sketch, change)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6


def test_repeated_changes_are_rhythm_not_transitions() -> None:
    sketch = random_sketch(5, 2000)
    values = np.zeros((5, 500), np.float32)
    values[:, 250] = 25, 25, 1, 0.7, 0.7
    once = transition_curve(sketch, FineChange(*values))
    values[:, 250 - 50] = 25, 25, 1, 0.7, 0.7  # 2 s before
    again = transition_curve(sketch, FineChange(*values))
    values[:, 250 - 50], values[:, 250 - 150] = 0, (25, 25, 1, 0.7, 0.7)  # 6 s before
    long_ago = transition_curve(sketch, FineChange(*values))
    assert once[250] > 0.9
    assert again[250] < once[250] - 0.05
    assert long_ago[250] == once[250]


def test_neighbouring_columns_of_a_cut_do_not_lower_its_value() -> None:
    sketch = random_sketch(5, 2000)
    values = np.zeros((5, 500), np.float32)
    values[:, 250] = 25, 25, 1, 0.7, 0.7
    sharp = transition_curve(sketch, FineChange(*values))
    values[:, 245:256] = np.array([[25], [25], [1], [0.7], [0.7]])
    assert transition_curve(sketch, FineChange(*values))[250] == sharp[250]


# --- the largest in each window ---------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 99),
    columns=st.integers(1, 1500),
    width=st.one_of(st.integers(16, 60), st.integers(16, 700)),
    firsts=st.lists(st.one_of(st.integers(0, 20), st.integers(0, 1800)), max_size=6),
)
def test_largest_transition_is_searched_inside_the_window(
    seed: int, columns: int, width: int, firsts: list[int]
) -> None:
    curve = np.random.default_rng(seed).random(-(-columns // STRIDE)).astype(np.float32)
    values, at = largest_transition(curve, np.array(firsts, int), width)
    assert values.shape == at.shape == (len(firsts),)
    for first, value, where in zip(firsts, values, at, strict=True):
        inside = [n for n in range(len(curve)) if first + 25 <= n * STRIDE < first + width - 25]
        if inside:
            assert value == curve[inside].max()
            assert value == curve[where // STRIDE]
            assert where in [n * STRIDE for n in inside]
        else:
            assert (value, where) == (0, first)


# --- music ------------------------------------------------------------------------------------------------------------


@cache
def piece(seed: int) -> np.ndarray:
    return song(seed, 10)


@pytest.mark.parametrize("seed", range(8))
def test_steady_music_and_drums_have_no_transition(seed: int) -> None:
    assert largest(piece(seed))[0] < THRESHOLD
    assert largest(drums(seed, 8))[0] < 0.3


@pytest.mark.parametrize("play", [chords, tune])
def test_changes_of_chord_and_note_score_below_a_cut(play: Callable[[int, float], np.ndarray]) -> None:
    found = sorted(largest(play(seed, 8))[0] for seed in range(6))
    assert found[3] < THRESHOLD
    assert found[-1] < 0.8


@pytest.mark.parametrize("seed", range(4))
def test_fades_and_noise_are_no_transitions(seed: int) -> None:
    sound, t = piece(seed), seconds(10)
    assert largest(sound * np.minimum(1, t / 4))[0] < THRESHOLD
    assert largest(sound * np.clip((10 - t) / 4, 0, 1))[0] < THRESHOLD
    assert largest(sound * np.clip((6.5 - t) / 4, 0, 1))[0] < THRESHOLD, "faded out, and silence after it"


def test_noise_is_steady() -> None:
    assert largest(0.1 * np.random.default_rng(1).standard_normal(6 * RATE))[0] < 0.3


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gain", [1.0, 0.4])
def test_a_cut_between_two_songs_is_found_and_located(seed: int, gain: float) -> None:
    cut = 4.0 + 0.3 * seed
    before, after = piece(seed)[: round(cut * RATE)], gain * piece((seed + 3) % 8)[3 * RATE : 8 * RATE]
    value, at = largest(np.concatenate([before, after]))
    assert value > THRESHOLD
    assert at == pytest.approx(cut, abs=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_start_and_stop_of_music_are_no_transitions(seed: int) -> None:
    sound = piece(seed)
    for begin, end in ((0, 5), (5, 10), (4, 5)):
        paused = sound.copy()
        paused[begin * RATE : end * RATE] = 0
        curve = curve_of(paused)
        for edge in {begin, end} - {0, 10}:
            assert curve[(edge - 1) * 25 : (edge + 1) * 25].max() < 0.4
    assert largest(0.0 * sound)[0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_stop_into_tape_hiss_is_no_transition(seed: int) -> None:
    sound = piece(seed)
    sound = sound * (seconds(10) < 5) + 3e-4 * np.random.default_rng(seed).standard_normal(len(sound))
    assert largest(sound)[0] < THRESHOLD


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_a_cut_is_found_in_music_with_rests(seed: int) -> None:
    sound = np.concatenate([piece(seed)[: 5 * RATE], piece((seed + 3) % 8)[3 * RATE : 8 * RATE]])
    value, at = largest(sound * ((seconds(10) + 0.4) % 1.0 < 0.8))
    assert value > 0.75
    assert at == pytest.approx(5, abs=0.1)


def test_a_pause_far_from_a_cut_does_not_hide_it() -> None:
    sound = np.concatenate([piece(0)[: 5 * RATE], piece(3)[3 * RATE :]])
    sound[: round(1.5 * RATE)] = 0
    value, at = largest(sound)
    assert value > 0.9
    assert at == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    ("genre", "seed", "length"),
    [
        ("rock with stops", 3, 30),
        ("alternating cymbals", 0, 30),
        ("drum fills", 0, 30),
        ("chiptune", 0, 30),
        ("techno sweeps", 0, 30),
        ("funk", 0, 30),
        ("dubstep drop", 0, 45),
    ],
)
def test_change_in_one_band_is_no_transition(genre: str, seed: int, length: float) -> None:
    curve = curve_of(hard_song(genre, seed, length))
    values, _ = largest_transition(curve, np.arange(0, len(curve) * STRIDE - 512, 512), 512)
    assert values.max() < THRESHOLD


@pytest.mark.parametrize("fade", [0.0, 0.02, 0.1])
@pytest.mark.parametrize(
    ("before", "after"), [("rock with stops", "techno sweeps"), ("chiptune", "funk"), ("drum fills", "solo piano")]
)
def test_a_cut_from_one_band_to_another_is_found(before: str, after: str, fade: float) -> None:
    one, other = hard_song(before, 1, 14)[: 12 * RATE], hard_song(after, 2, 14)[2 * RATE : 14 * RATE]
    ramp = np.linspace(0, 1, round(fade * RATE))
    joint = one[len(one) - len(ramp) :] * np.sqrt(1 - ramp) + other[: len(ramp)] * np.sqrt(ramp)
    curve = curve_of(np.concatenate([one[: len(one) - len(ramp)], joint, other[len(ramp) :]]))
    assert curve[295:306].max() > THRESHOLD


def test_transition_curve_of_audio_does_not_depend_on_its_gain() -> None:
    sound = np.concatenate([piece(1)[: 4 * RATE], piece(4)[3 * RATE : 7 * RATE]])
    soft = curve_of(0.1 * sound)
    np.testing.assert_allclose(curve_of(sound), soft, atol=0.02)


def test_mel_in_pieces_gives_the_same_curve() -> None:
    mel = mel_of(piece(2)[: 5 * RATE])
    whole, pieces = change_of(mel), change_of(mel, (7, 100, 33))
    sketch = sketch_of(mel)
    np.testing.assert_allclose(transition_curve(sketch, pieces), transition_curve(sketch, whole), atol=1e-6)
    assert transitions.STRIDE * len(whole.fallen) >= len(mel)
