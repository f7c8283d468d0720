"""Beats: properties for any onsets, then clicks, drums and sounds without a beat, all analysed from a spectrogram."""

from __future__ import annotations

import itertools
import math
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.analysis import beat_tracking, downbeats, tempo
from riffusion_ext.analysis import onset_strength as onset
from riffusion_ext.analysis.beat_tracking import Beats, onset_strength, track
from riffusion_ext.errors import AudioError
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.encode import mel_spectrogram

RATE = 44100
PARAMS = PRESETS["riffusion-v1"]
QUICK = PARAMS.replace(padded_duration_ms=200)  # in which onsets are the same, see below
Beat = Callable[[float], float]

# --- material ---------------------------------------------------------------------------------------------------------


def bands_of(sound: np.ndarray, params: SpectrogramParams = QUICK) -> np.ndarray:
    """Return the energy [columns, 32] of a mono sound in 32 mel bands."""
    mel = mel_spectrogram(torch.from_numpy(sound.astype(np.float32))[None] * 32768, params)[0].numpy()
    return (mel.reshape(len(mel), 32, 16) ** 2).sum(axis=2)


@cache
def full_scale(params: SpectrogramParams) -> float:
    return float(bands_of(np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), params)[50].max())


def sketch_of(sound: np.ndarray, params: SpectrogramParams = QUICK) -> np.ndarray:
    """Return the level [columns, 32] in dB: 0 for a full-scale sine, at least -120."""
    return np.maximum(10 * np.log10(bands_of(sound, params) / full_scale(params) + 1e-13), -120).astype(np.float16)


def beats_of(sound: np.ndarray, **options: int) -> Beats:
    sketch = sketch_of(sound)
    return track(onset_strength(sketch), sketch=sketch, **options)


def seconds(length: float) -> np.ndarray:
    return np.arange(round(length * RATE)) / RATE


def noise(length: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(length * RATE))


def burst() -> np.ndarray:
    return 0.1 * noise(0.1) * np.exp(-seconds(0.1) / 0.01)


def tick() -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 1000 * seconds(0.01))


def kick() -> np.ndarray:
    t = seconds(0.35)
    return 0.5 * np.sin(2 * np.pi * (46 * t + 2.4 * (1 - np.exp(-t * 32)))) * np.exp(-t * 11)


def snare() -> np.ndarray:
    return 0.05 * noise(0.3, 1) * np.exp(-seconds(0.3) / 0.045)


def hat() -> np.ndarray:
    return 0.02 * np.diff(noise(0.1, 2), prepend=0) * np.exp(-seconds(0.1) / 0.015)


def place(sound: np.ndarray, times: Sequence[float] | np.ndarray, length: float) -> np.ndarray:
    out = np.zeros(round(length * RATE))
    for start in times:
        first = round(start * RATE)
        part = out[first : first + len(sound)]
        part += sound[: len(part)]
    return out


EIGHTHS = tuple(n / 2 for n in range(8))
SWUNG = (0, 1, 1 + 2 / 3, 2, 3, 3 + 2 / 3)
# Positions in the bar, in beats, of bass drum, snare and cymbal.
PATTERNS: dict[str, tuple[Sequence[float], Sequence[float], Sequence[float]]] = {
    "rock": ((0, 2), (1, 3), EIGHTHS),
    "swing": ((0, 2), (1, 3), SWUNG),
    "shuffle": ((0, 2), (1, 3), tuple(n + part for n in range(4) for part in (0, 2 / 3))),
    "syncopated": ((0, 0.75, 2.5), (1, 3), EIGHTHS),
    "tresillo": ((0, 1.5, 3), (2,), EIGHTHS),
    "disco": ((0, 1, 2, 3), (1, 3), (0.5, 1.5, 2.5, 3.5)),
    "funk": ((0, 0.75, 1.5, 2.5), (1, 3), tuple(n / 4 for n in range(16))),
}


def drums(pattern: str, when: Beat, length: float, *, loose: float = 0.004) -> np.ndarray:
    """Play a pattern, a few milliseconds early or late."""
    generator = np.random.default_rng(5)
    out = np.zeros(round(length * RATE))
    for places, sound in zip(PATTERNS[pattern], (kick(), snare(), hat()), strict=True):
        times = [when(4 * bar + beat) for bar in range(500) for beat in places if when(4 * bar + beat) < length - 0.1]
        out += place(sound, np.array(times) + generator.normal(0, loose, len(times)), length)
    return out


@cache
def chords(when: Beat, length: float) -> np.ndarray:
    """Play a chord a bar: Am F C G."""
    out = np.zeros(round(length * RATE))
    for bar in range(500):
        start, stop = when(4 * bar), when(4 * bar + 4)
        if start >= length - 0.1:
            break
        root, third = ((45, 3), (41, 4), (48, 4), (43, 4))[bar % 4]
        t = seconds(stop - start)
        fade = np.minimum(t / 0.03, 1) * np.minimum((stop - start - t) / 0.03, 1)
        for note in (root - 12, root, root + third, root + 7):
            hertz = 440 * 2 ** ((note - 69) / 12)
            wave = sum(np.sin(2 * np.pi * hertz * n * t + note) / n for n in range(1, 7))
            first = round(start * RATE)
            part = out[first : first + len(t)]
            part += (0.03 * fade * wave)[: len(part)]
    return out


@cache
def steady(bpm: float) -> Beat:
    return lambda beat: 0.25 + beat * 60 / bpm


def changing(bpm_at: Callable[[np.ndarray], np.ndarray]) -> Beat:
    """Return the beats of a tempo that is a function of time in seconds."""
    t = np.arange(0, 120, 0.001)
    counted = np.concatenate([[0], np.cumsum(bpm_at(t) / 60 * 0.001)])[:-1]
    return lambda beat: 0.2 + float(np.interp(beat, counted, t))


def until(when: Beat, length: float) -> np.ndarray:
    return np.array([when(n) for n in itertools.takewhile(lambda n: when(n) < length - 0.5, itertools.count())])


def found(true: np.ndarray, times: np.ndarray, tolerance: float = 0.05) -> float:
    """Return the F-measure: 1 if every beat was found and nothing else."""
    distance = np.abs(true[:, None] - times)
    hits, right = (distance.min(axis=1) < tolerance).sum(), (distance.min(axis=0) < tolerance).sum()
    return (hits + right) / (len(true) + len(times))


# --- onsets -----------------------------------------------------------------------------------------------------------


def random_sketch(seed: int, columns: int, bands: int = 32) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (-40 + 10 * generator.standard_normal((columns, bands))).astype(np.float32)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), columns=st.integers(0, 700), bands=st.integers(1, 40))
def test_onsets_are_between_0_and_1(seed: int, columns: int, bands: int) -> None:
    strength = onset_strength(random_sketch(seed, columns, bands))
    assert strength.shape == (columns,)
    assert strength.dtype == np.float32
    assert ((strength >= 0) & (strength <= 1)).all()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), gain=st.floats(-12, 40))
def test_onset_strength_does_not_depend_on_the_level(seed: int, gain: float) -> None:
    sketch = np.maximum(random_sketch(seed, 300), -45)
    np.testing.assert_allclose(onset_strength(sketch + np.float32(gain)), onset_strength(sketch), atol=1e-4)


def test_steady_sound_has_no_onsets() -> None:
    steps = np.linspace(-120, 0, 32, dtype=np.float16)
    assert not onset_strength(np.tile(steps, (500, 1))).any()
    fading = np.linspace(0, -60, 500)[:, None] + steps.astype(np.float64)
    assert onset_strength(fading).max() < 1e-4


def test_decrease_in_level_is_no_onset() -> None:
    sketch = np.full((1000, 32), -40.0)
    sketch[:300] = -10
    assert not onset_strength(sketch).any()
    assert onset_strength(sketch[::-1]).max() > 0.1


def test_inaudible_sound_has_no_onsets() -> None:
    assert not onset_strength(np.maximum(random_sketch(1, 500) - 60, -120)).max() > 0.2
    assert not onset_strength(random_sketch(1, 500) - 120).any()
    assert not onset_strength(np.full((100, 32), -np.inf)).any()


@pytest.mark.parametrize("block", [50, 333, 1000])
def test_block_size_does_not_change_onsets_or_accents(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sketch = random_sketch(2, 1000)
    places = np.arange(20, 980, 47)
    whole = onset_strength(sketch), downbeats.bar_accents(places, sketch, 4, 100.0)
    monkeypatch.setattr(onset, "_BLOCK", block)
    monkeypatch.setattr(downbeats, "_BLOCK", block)
    np.testing.assert_allclose(onset_strength(sketch), whole[0], atol=1e-6)
    np.testing.assert_allclose(downbeats.bar_accents(places, sketch, 4, 100.0), whole[1], atol=1e-6)


@pytest.mark.parametrize("background", [0, 0.0005])
@pytest.mark.parametrize("sound", [burst, tick, kick, snare, hat])
def test_onsets_are_where_sounds_begin(sound: Callable[[], np.ndarray], background: float) -> None:
    times = 1 + 0.503 * np.arange(10)
    strength = onset_strength(sketch_of(place(sound(), times, 7) + background * noise(7)))
    for start in times:
        first = round(100 * start) - 15
        top = first + int(strength[first : first + 30].argmax())
        assert abs(top / 100 - start) <= 0.02


@pytest.mark.parametrize("pattern", ["rock", "swing", "funk"])
def test_onsets_agree_with_those_of_the_model_spectrogram(pattern: str) -> None:
    """An FFT of half the length is faster, and its resolution suffices for such wide bands."""
    sound = drums(pattern, steady(100), 12) + chords(steady(100), 12)
    ours, model = sketch_of(sound), sketch_of(sound, PARAMS)
    assert np.abs(ours.astype(float) - model).mean() < 0.1
    np.testing.assert_allclose(onset_strength(ours), onset_strength(model), atol=0.005)
    for found_in, expected in zip(
        *((got.times, got.downbeats) for got in (track(onset_strength(s), sketch=s) for s in (ours, model))),
        strict=True,
    ):
        np.testing.assert_allclose(found_in, expected, atol=0.01)


# --- the beats of any onsets ------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    columns=st.integers(0, 3000),
    sparse=st.floats(0, 1),
    scale=st.floats(-3, 0),
    rate=st.sampled_from([50.0, 86.13, 100.0]),
    beats_per_bar=st.integers(2, 7),
)
def test_beats_are_ordered_deterministic_and_include_the_downbeats(
    seed: int, columns: int, sparse: float, scale: float, rate: float, beats_per_bar: int
) -> None:
    generator = np.random.default_rng(seed)
    strength = 10**scale * generator.uniform(0, 1, columns) * (generator.uniform(0, 1, columns) < sparse)
    before = strength.copy()
    result = track(strength, rate, beats_per_bar=beats_per_bar)
    np.testing.assert_array_equal(strength, before)
    assert 0 <= result.confidence <= 1
    assert set(result.downbeats) <= set(result.times)
    if not len(result.times):
        assert result.tempo == 0
        return
    assert 26 < result.tempo < 361
    assert result.times[0] >= 0
    assert result.times[-1] <= columns / rate
    steps = np.diff(result.times)
    assert (steps > 0.15).all()
    assert (steps < 2.3).all()
    again = track(strength, rate, beats_per_bar=beats_per_bar)
    np.testing.assert_array_equal(again.times, result.times)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), columns=st.integers(1, 200), period=st.floats(4, 30))
def test_chosen_beats_have_the_highest_score(seed: int, columns: int, period: float) -> None:
    """Working in blocks gives the same best total as column by column."""
    strength = np.random.default_rng(seed).exponential(1, columns)
    total = strength.copy()
    for t in range(columns):
        for d in range(math.ceil(period / 1.5), math.floor(period * 1.5) + 1):
            if t - d >= 0:
                total[t] = max(total[t], strength[t] + total[t - d] - 100 * math.log(d / period) ** 2)
    chosen = beat_tracking._best_beats(strength, np.full(columns, period))
    steps = np.diff(chosen)
    score = strength[chosen].sum() - 100 * (np.log(steps / period) ** 2).sum()
    assert score == pytest.approx(total.max())
    assert (steps >= period / 1.5).all()
    assert (steps <= period * 1.5).all()


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_tempo_path_has_the_highest_score(seed: int) -> None:
    score = np.random.default_rng(seed).uniform(0, 1, (3, len(tempo._TEMPI)))
    a, b, c = tempo._best_path(score)
    value = score[0, a] - tempo._COST[a, b] + score[1, b] - tempo._COST[b, c] + score[2, c]
    every = (
        score[0][:, None, None]
        - tempo._COST[:, :, None]
        + score[1][None, :, None]
        - tempo._COST[None]
        + score[2][None, None]
    )
    assert value == pytest.approx(every.max())


@settings(deadline=None, max_examples=30)
@given(accents=st.lists(st.floats(-1, 1), min_size=1, max_size=7), beats_per_bar=st.integers(2, 4))
def test_chosen_downbeats_have_the_highest_score(accents: list[float], beats_per_bar: int) -> None:
    values = np.array(accents)
    spread = values.std()
    standard = (values - values.mean()) / (spread if spread > 1e-9 else 1.0)

    def score(places: tuple[int, ...]) -> float:
        early = sum(after != (before + 1) % beats_per_bar for before, after in itertools.pairwise(places))
        return sum(standard[n] for n, place in enumerate(places) if place == 0) - 4 * early

    best = max(score(places) for places in itertools.product(range(beats_per_bar), repeat=len(accents)))
    firsts = set(downbeats.choose_downbeats(values, beats_per_bar).tolist())
    chosen = max(
        score(places)
        for places in itertools.product(range(beats_per_bar), repeat=len(accents))
        if {n for n, place in enumerate(places) if place == 0} == firsts
    )
    assert chosen == pytest.approx(best)


def test_bar_count_recovers_after_an_extra_beat() -> None:
    accents = np.tile([1.0, 0, 0, 0], 20)
    accents = np.insert(accents, 41, 0.0)
    expected = [*range(0, 41, 4), *range(45, 81, 4)]
    assert downbeats.choose_downbeats(accents, 4).tolist() == expected


# --- clicks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [5.12, 20])
@pytest.mark.parametrize("sound", [burst, tick, kick], ids=["burst", "tick", "kick"])
def test_clicks_from_60_to_200_bpm_are_tracked(sound: Callable[[], np.ndarray], length: float) -> None:
    for bpm in (60, 66, 75, 90, 100, 111, 120, 128, 140, 155, 170, 185, 200):
        times = np.arange(0.3, length - 0.2, 60 / bpm)
        result = beats_of(place(sound(), times, length))
        assert result.tempo == pytest.approx(bpm, rel=0.01)
        if 66 <= bpm <= 185 and length > 10:  # clicks alone do not distinguish 200 from 100
            assert result.confidence > 0.8
        assert np.abs(result.times[:, None] - times).min(axis=1).max() <= 0.02
        assert len(times) - 1 <= len(result.times) <= len(times)


def test_clicks_in_noise_are_tracked_from_the_start() -> None:
    times = np.arange(0, 20, 0.5)
    result = beats_of(place(burst(), times, 20) + 0.002 * noise(20))
    assert result.tempo == pytest.approx(120, rel=0.01)
    assert result.confidence > 0.6
    assert found(times[1:], result.times, 0.02) > 0.95


def test_beats_continue_through_a_break() -> None:
    times = np.arange(0.5, 30, 0.6)
    played = times[(times < 12) | (times > 16)]
    result = beats_of(place(burst(), played, 30))
    assert found(times, result.times) > 0.98


def test_beats_start_and_end_with_the_music() -> None:
    times = np.arange(8, 24, 0.5)
    result = beats_of(place(burst(), times, 32) + 0.0003 * noise(32))
    assert result.times[0] == pytest.approx(8, abs=0.02)
    assert result.times[-1] == pytest.approx(times[-1], abs=0.02)


@pytest.mark.parametrize("rate", [50, 200])
def test_other_column_rates_are_supported(rate: int) -> None:
    strength = np.zeros(20 * rate)
    strength[(np.arange(0.5, 19.5, 60 / 96) * rate).astype(int)] = 0.5
    result = track(strength, rate)
    assert result.tempo == pytest.approx(96, rel=0.01)
    assert result.confidence > 0.8


# --- drums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_chords", [False, True], ids=["drums", "band"])
@pytest.mark.parametrize("bpm", [82, 100, 118])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_beats_of_drum_patterns_are_tracked(pattern: str, bpm: int, with_chords: bool) -> None:
    when = steady(bpm)
    sound = drums(pattern, when, 20)
    if with_chords:
        sound += chords(when, 20)
    result = beats_of(sound)
    assert result.tempo == pytest.approx(bpm, rel=0.01)
    assert result.on_beats > 0.5
    assert found(until(when, 20), result.times) > 0.9


@pytest.mark.parametrize("bpm", [70, 140, 174])
@pytest.mark.parametrize("pattern", ["rock", "swing", "syncopated"])
def test_tempo_far_from_120_is_right_up_to_an_octave(pattern: str, bpm: int) -> None:
    result = beats_of(drums(pattern, steady(bpm), 20))
    octaves = math.log2(result.tempo / bpm)
    assert abs(octaves) < 1.02
    assert octaves == pytest.approx(round(octaves), abs=0.015)


@pytest.mark.parametrize("bpm", [90, 110])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_bars_begin_where_the_chord_changes(pattern: str, bpm: int) -> None:
    when = steady(bpm)
    result = beats_of(drums(pattern, when, 24) + chords(when, 24))
    assert found(until(lambda bar: when(4 * bar), 24), result.downbeats) > 0.9


def test_bars_of_three_beats_are_found() -> None:
    when = steady(120)
    beats_played = np.arange(0, 44)
    sound = place(kick(), [when(n) for n in beats_played[::3]], 23)
    sound += place(snare(), [when(n) for n in beats_played if n % 3], 23)
    result = beats_of(sound, beats_per_bar=3)
    assert found(until(lambda bar: when(3 * bar), 22.5), result.downbeats) > 0.9


def test_without_a_sketch_bars_begin_at_the_strongest_onsets() -> None:
    strength = np.zeros(2000)
    strength[50::50] = 0.2
    strength[100::200] = 0.4
    result = track(strength)
    np.testing.assert_allclose(result.downbeats, np.arange(1, 20, 2), atol=0.02)


TEMPI: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "faster": (lambda t: np.where(t < 30, 100.0, 130.0), 130),
    "slower": (lambda t: np.where(t < 30, 90.0, 75.0), 90),
    "accelerando": (lambda t: 100 + 25 * t / 60, 113),
    "ritardando": (lambda t: 140 - 40 * t / 60, 122),
    "rubato": (lambda t: 110 * (1 + 0.05 * np.sin(2 * np.pi * t / 10)), 110),
    "worn tape": (lambda t: 110 * (1 + 0.01 * np.sin(2 * np.pi * t / 3)), 110),
}


SEVERAL = ("faster", "slower", "ritardando")  # a quarter of the song and more is far from its median


@pytest.mark.parametrize("course", TEMPI)
def test_tempo_changes_are_followed(course: str) -> None:
    bpm_at, median = TEMPI[course]
    when = changing(bpm_at)
    result = beats_of(drums("rock", when, 60) + chords(when, 60))
    assert found(until(when, 60), result.times) > 0.95
    assert result.tempo == pytest.approx(median, rel=0.02)
    assert result.on_beats > 0.4 or course == "rubato"
    assert (result.confidence > 0.4) == (course not in (*SEVERAL, "rubato"))


# --- no beat ----------------------------------------------------------------------------------------------------------


def saw(hertz: float, length: float = 30) -> np.ndarray:
    t = seconds(length)
    return 0.1 * sum(np.sin(2 * np.pi * hertz * n * t + n) / n for n in range(1, 20) if hertz * n < 15000)


DRONES: dict[str, Callable[[], np.ndarray]] = {
    "sine": lambda: 0.3 * np.sin(2 * np.pi * 440 * seconds(30)),
    "saw": lambda: saw(110),
    "chord": lambda: saw(110) + saw(165) + saw(220),
    "pad": lambda: sum(saw(f * d) for f in (110, 131, 165) for d in (1, 1.003, 0.996)),
    "hum and hiss": lambda: saw(50) + 0.01 * noise(30),
    "wind": lambda: 0.001 * np.cumsum(noise(30)) * (1 + 0.5 * np.sin(2 * np.pi * 0.13 * seconds(30))),
}


@pytest.mark.parametrize("drone", DRONES)
def test_drones_have_no_beat(drone: str) -> None:
    assert beats_of(DRONES[drone]()).confidence < 0.3


@pytest.mark.parametrize("length", [2, 5.12, 10, 40])
def test_noise_has_no_beat(length: float) -> None:
    for seed in range(8):
        assert beats_of(0.1 * noise(length, seed)).confidence < 0.3


def test_clicks_at_random_have_no_beat() -> None:
    for seed in range(8):
        times = np.sort(np.random.default_rng(seed).uniform(0, 29, 75))
        assert beats_of(place(burst(), times, 30)).confidence < 0.3


@pytest.mark.parametrize("level", [0, 1e-6])
def test_silence_has_no_beat_at_all(level: float) -> None:
    result = beats_of(level * noise(10))
    assert (result.tempo, result.confidence, len(result.times), len(result.downbeats)) == (0.0, 0.0, 0, 0)


@pytest.mark.parametrize("columns", [0, 1, 2, 99])
def test_less_than_a_second_has_no_beat_at_all(columns: int) -> None:
    sketch = random_sketch(1, columns)
    result = track(onset_strength(sketch), sketch=sketch)
    assert (result.tempo, result.confidence, len(result.times), len(result.downbeats)) == (0.0, 0.0, 0, 0)


@pytest.mark.parametrize("columns", [100, 101, 130, 200, 299])
def test_one_to_three_seconds_of_noise_have_low_confidence(columns: int) -> None:
    sketch = random_sketch(3, columns)
    assert track(onset_strength(sketch), sketch=sketch).confidence < 0.5


# --- length, errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [0.5, pytest.param(3, marks=pytest.mark.slow)])
def test_time_and_memory_grow_linearly_with_the_length(hours: float) -> None:
    bar = sketch_of(drums("rock", lambda beat: beat / 2, 20.01) + chords(lambda beat: beat / 2, 20.01))[:2000]
    sketch = np.tile(bar, (round(hours * 180), 1))
    started = time.process_time()
    tracemalloc.start()
    result = track(onset_strength(sketch), sketch=sketch)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30e6 + hours * 80e6
    assert time.process_time() - started < 10 + 20 * hours
    assert result.tempo == pytest.approx(120, rel=0.001)
    assert len(result.times) == pytest.approx(hours * 7200, rel=0.001)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: onset_strength(np.zeros(10)), r"\[columns, bands\], got shape \(10,\)"),
        (lambda: onset_strength(np.zeros((10, 0))), r"got shape \(10, 0\)"),
        (lambda: onset_strength(np.full((10, 4), np.nan)), "finite"),
        (lambda: onset_strength(np.full((10, 4), np.inf)), "finite"),
        (lambda: onset_strength(np.zeros((10, 4)), 5), "10 to 1000 columns in a second, got 5"),
        (lambda: track(np.zeros((10, 4))), r"\[columns\], got shape"),
        (lambda: track(np.full(10, np.nan)), "finite"),
        (lambda: track(np.zeros(10), math.nan), "got nan"),
        (lambda: track(np.zeros(10), 2000), "got 2000"),
        (lambda: track(np.zeros(10), beats_per_bar=1), "2 beats or more, got 1"),
        (lambda: track(np.zeros(10), sketch=np.zeros((9, 4))), "10 columns of the onsets, got 9"),
        (lambda: track(np.zeros(10), sketch=np.zeros(10)), r"got shape \(10,\)"),
    ],
)
def test_invalid_sketches_are_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(AudioError, match=words):
        call()
