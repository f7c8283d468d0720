"""Features of windows: ranges, positions and invariances."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset.analysis.features import EMBEDDING, Features, window_features
from riffusion_ext.dataset.analysis.levels import BANDS, frames_of
from riffusion_ext.dataset.analysis.measure import SongMeasure, measure_song
from riffusion_ext.dataset.analysis.transitions import FineChange
from tests.unit.dataset.music import PARAMS, RATE, song

Measure = Callable[[np.ndarray], SongMeasure]


def made_up(columns: int, seed: int = 0) -> SongMeasure:
    """Return random measurements of a song at -20 dBFS."""
    rng = np.random.default_rng(seed)
    notes = np.repeat(rng.normal(-35, 10, (columns // 25 + 1, 32)), 25, axis=0)[:columns]
    return SongMeasure(
        sample_rate=RATE,
        channels=1,
        duration=columns / 100,
        sketch=(notes + rng.normal(0, 1, notes.shape)).clip(-120, 0).astype(np.float16),
        peak=np.full(columns, 0.3, np.float32),
        energy=np.full(columns, 0.01, np.float32),
        file_energy=np.full(columns, 0.03, np.float32),
        mixed_energy=np.full(columns, 0.02, np.float32),
        low=np.full(columns, -60, np.float16),
        clipped=np.zeros(columns, np.float32),
        still=np.zeros(columns, bool),
        last_step=np.full(columns, 0.05, np.float32),
        min_step=np.full(columns, 2.0**-15, np.float32),
        chroma=np.ones(12),
        loudness=-20.0,
        max_value=1000.0,
        change=FineChange(*rng.uniform(0, 2, (5, -(-columns // 4))).astype(np.float32)),
        column_seconds=0.01,
    )


def changed(measure: SongMeasure, where: slice, **values: float) -> SongMeasure:
    """Replace values in some columns."""
    arrays = {name: getattr(measure, name).copy() for name in values}
    for name, value in values.items():
        arrays[name][where] = value
    return replace(measure, **arrays)


COLUMNS = (
    "sketch",
    "low",
    "peak",
    "energy",
    "file_energy",
    "mixed_energy",
    "clipped",
    "still",
    "last_step",
    "min_step",
)
SILENT = {"energy": 0.0, "file_energy": 0.0, "mixed_energy": 0.0, "peak": 0.0, "still": True, "sketch": -120.0}


def windows_of(measure: SongMeasure, *firsts: int, columns: int = 512) -> Features:
    return window_features(measure, np.array(firsts), columns)


def angle(features: Features, one: int, other: int) -> float:
    return float(np.linalg.norm(features.embedding[one] - features.embedding[other]))


# --- shapes and ranges ------------------------------------------------------------------------------------------------


@given(
    columns=st.integers(1, 900),
    width=st.integers(16, 600),
    firsts=st.lists(st.integers(0, 1200), max_size=5),
    seed=st.integers(0, 99),
)
def test_features_have_their_shapes_and_ranges(columns: int, width: int, firsts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    measure = replace(
        made_up(columns, seed),
        energy=(10.0 ** rng.uniform(-14, 0, columns)).astype(np.float32),
        still=np.repeat(rng.integers(0, 2, columns // 5 + 1), 5)[:columns].astype(bool),
        clipped=rng.random(columns).astype(np.float32),
        low=rng.uniform(-120, 10, columns).astype(np.float16),
    )
    features = window_features(measure, np.array(firsts, int), width)
    assert len(features) == len(firsts)
    for name, values in features.to_arrays().items():
        of_each = {"embedding": (EMBEDDING,), "levels": (frames_of(width), BANDS)}.get(name, ())
        assert values.shape == (len(firsts), *of_each)
        assert values.dtype == (np.uint8 if name == "levels" else np.float32)
        assert np.isfinite(values).all()
    for name, low, high in (
        ("level_db", -120, 0), ("quiet", 0, 1), ("burst", 0, 1), ("transition", 0, 1),
        ("transition_at", 0, width / 100),
        ("clipped", 0, 1), ("dropout", 0, width / 100), ("rumble", -140, 140),
        ("file_db", -120, 0), ("mixed_db", -120, 0),
    ):  # fmt: skip
        values = getattr(features, name)
        assert ((values >= low - 1e-4) & (values <= high + 1e-4)).all(), name
    np.testing.assert_allclose(np.linalg.norm(features.embedding, axis=1), 1, atol=1e-5)


def test_features_of_a_window_do_not_depend_on_other_windows() -> None:
    measure = made_up(2000)
    together = windows_of(measure, 0, 512, 700, 1488)
    for number, first in enumerate((0, 512, 700, 1488)):
        for name, values in windows_of(measure, first).to_arrays().items():
            np.testing.assert_array_equal(values[0], together.to_arrays()[name][number])


def test_features_are_concatenated_in_order_and_round_trip_through_npz(tmp_path: Path) -> None:
    first, second = windows_of(made_up(1100), 0, 512), windows_of(made_up(600, 1), 40)
    both = Features.concatenate([first, second])
    assert len(both) == 3
    for name, values in both.to_arrays().items():
        np.testing.assert_array_equal(values, np.concatenate([getattr(first, name), getattr(second, name)]))
    file = io.BytesIO()
    np.savez(file, **both.to_arrays())
    file.seek(0)
    with np.load(file) as arrays:
        again = Features.from_arrays(arrays)
    for item in fields(Features):
        np.testing.assert_array_equal(getattr(again, item.name), getattr(both, item.name))


def test_empty_windows_give_empty_features() -> None:
    nothing = windows_of(made_up(100))
    for empty in (nothing, Features.concatenate([]), Features.concatenate(iter([nothing, nothing]))):
        assert len(empty) == 0
        assert empty.embedding.shape == (0, EMBEDDING)
    some = windows_of(made_up(600), 0)
    for name, values in Features.concatenate([nothing, some, nothing]).to_arrays().items():
        assert len(values) == 1
        assert values.dtype == (np.uint8 if name == "levels" else np.float32)


# --- one by one -------------------------------------------------------------------------------------------------------


@given(level=st.floats(-110, 0))
def test_level_of_constant_energy_is_exact(level: float) -> None:
    measure = replace(made_up(600), energy=np.full(600, 10 ** (level / 10), np.float32))
    assert windows_of(measure, 0).level_db[0] == pytest.approx(level, abs=1e-3)


def test_columns_past_the_end_count_as_silence() -> None:
    whole = made_up(1024)
    short = replace(whole, **{name: getattr(whole, name)[:768] for name in COLUMNS})
    features = windows_of(
        replace(short, change=FineChange(*(values[:192] for values in whole.change))), 0, 512, 768, 5000
    )
    assert features.level_db == pytest.approx([-20, -23.01, -120, -120], abs=0.01)
    assert features.quiet == pytest.approx([0, 0.5, 1, 1])
    assert angle(features, 2, 3) == 0
    padded = changed(whole, slice(768, None), **SILENT)
    assert features.embedding[1] == pytest.approx(windows_of(padded, 512).embedding[0], abs=1e-4)


def test_digital_silence_is_quiet_without_drop_out_or_transition() -> None:
    features = windows_of(changed(made_up(1024), slice(None), **SILENT), 0, 512)
    assert list(features.level_db) == [-120, -120]
    assert list(features.quiet) == [1, 1]
    assert list(features.dropout) == [0, 0]
    assert features.transition.max() < 1e-3
    assert angle(features, 0, 1) == 0


@pytest.mark.parametrize(("length", "expected"), [(49, 0.0), (50, 50 / 512), (200, 200 / 512)])
@pytest.mark.parametrize("energy", [0.9e-6, 0.0])
def test_pauses_are_half_a_second_or_more(length: int, expected: float, energy: float) -> None:
    measure = changed(made_up(512), slice(100, 100 + length), energy=energy)
    assert windows_of(measure, 0).quiet[0] == pytest.approx(expected)


def test_pause_is_measured_relative_to_its_window() -> None:
    measure = changed(made_up(512), slice(100, 200), energy=0.8e-5)  # 31 dB under the rest
    assert windows_of(measure, 0).quiet[0] == pytest.approx(100 / 512)
    assert windows_of(changed(measure, slice(100, 200), energy=1.2e-5), 0).quiet[0] == 0


def test_inaudible_parts_are_pauses_in_soft_music_too() -> None:
    soft = replace(made_up(512), energy=np.full(512, 1e-5, np.float32))
    assert windows_of(changed(soft, slice(100, 200), energy=0.9e-6), 0).quiet[0] == pytest.approx(100 / 512)
    assert windows_of(changed(soft, slice(100, 200), energy=1.1e-6), 0).quiet[0] == 0


# --- nothing, and then all of it --------------------------------------------------------------------------------------


def burst_of(*parts: tuple[int, float]) -> float:
    """`burst` of a window of parts: columns, and their level in dBFS."""
    energy = np.concatenate([np.full(columns, 10.0 ** (level / 10)) for columns, level in parts])
    return float(windows_of(replace(made_up(512), energy=energy.astype(np.float32)), 0).burst[0])


@pytest.mark.parametrize("noise", [-120.0, -60.0, -50.0])
@pytest.mark.parametrize("empty", [200, 300, 480])
def test_burst_after_near_silence_is_measured(noise: float, empty: int) -> None:
    assert burst_of((empty, noise), (512 - empty, -15)) == pytest.approx(empty / 512, abs=0.01)
    rest = 512 - 30 - empty
    if rest > 20:
        assert burst_of((30, -20), (empty, noise), (rest, -15)) == pytest.approx(empty / 512, abs=0.01)


def test_crescendo_rest_and_fade_out_do_not_count_as_burst() -> None:
    grows = np.linspace(-60, -15, 512)
    assert burst_of(*((1, level) for level in grows)) == 0
    assert burst_of(*((1, level) for level in grows[::-1])) == 0
    assert burst_of((150, -15), (200, -60), (162, -15)) == 0, "a rest"
    assert burst_of((200, -15), (312, -60)) == 0, "an ending"
    assert burst_of((250, -36), (262, -15)) == 0, "a soft beginning"
    assert burst_of((512, -120)) == 0
    assert burst_of((512, -15)) == 0


def test_clipped_share_is_averaged_over_the_window() -> None:
    measure = changed(made_up(1024), slice(512, 640), clipped=0.4)
    features = windows_of(measure, 0, 512, 576)
    assert features.clipped == pytest.approx([0, 0.1, 0.05], abs=1e-6)


def test_rumble_is_measured_relative_to_the_loudest_band() -> None:
    measure = changed(changed(made_up(1024), slice(None), sketch=-30.0), slice(600, 610), low=-8.0)
    assert windows_of(measure, 0, 512).rumble == pytest.approx([-30, 22])


def test_levels_of_image_mix_and_file_are_separate() -> None:
    features = windows_of(changed(made_up(600), slice(None), energy=1e-4, mixed_energy=1e-3, file_energy=1e-2), 0)
    levels = (features.level_db, features.mixed_db, features.file_db)
    assert [float(values[0]) for values in levels] == pytest.approx([-40, -30, -20], abs=0.01)


@given(start=st.integers(10, 490), length=st.integers(3, 60), energy=st.sampled_from([0.0, 1e-3]))
def test_drop_out_duration_is_measured_in_seconds(start: int, length: int, energy: float) -> None:
    where = slice(start, start + length)
    measure = changed(made_up(600), where, energy=energy, still=True)  # a filter may still ring
    features = windows_of(measure, 0)
    assert features.dropout[0] == pytest.approx(min(length, 512 - start) / 100)
    assert windows_of(measure, start + 1, columns=16).dropout[0] == 0, "it began before this window"


@pytest.mark.parametrize(
    "measure",
    [
        changed(made_up(512), slice(200, 202), **SILENT),
        changed(made_up(512), slice(200, 220), energy=0.0),
        changed(changed(made_up(512), slice(190, 220), energy=1e-6), slice(200, 220), **SILENT),
        changed(changed(made_up(512), slice(200, 230), energy=1e-6), slice(200, 220), **SILENT),
        changed(made_up(512), slice(0, 30), **SILENT),
        changed(made_up(512), slice(480, None), **SILENT),
    ],
    ids=["short", "faint noise", "dies away", "comes in softly", "beginning", "end"],
)
def test_musical_pauses_are_no_drop_outs(measure: SongMeasure) -> None:
    assert windows_of(measure, 0).dropout[0] == 0


@pytest.mark.parametrize(
    ("length", "last", "least", "expected"),
    [
        (60, 0.05, 2.0**-15, 0.6),
        (60, 2.0**-15, 2.0**-15, 0.0),
        (10, 2.0**-15, 2.0**-15, 0.1),
        (10, 2.0**-3, 2.0**-3, 0.0),
        (60, 2.0**-2, 2.0**-3, 0.6),
    ],
    ids=["torn off", "stop", "lost", "few bits", "few bits, torn off"],
)
def test_musical_stop_is_distinguished_from_a_drop_out(length: int, last: float, least: float, expected: float) -> None:
    where = slice(200, 200 + length)
    measure = changed(changed(made_up(600), slice(0, 200), last_step=last, min_step=least), where, last_step=0.0)
    measure = changed(measure, where, min_step=np.inf, **SILENT)
    assert windows_of(measure, 0).dropout[0] == pytest.approx(expected)


@pytest.mark.parametrize(("gaps", "expected"), [(1, 0.1), (3, 0.1), (4, 0.0)])
def test_more_than_three_gaps_count_as_rhythm(gaps: int, expected: float) -> None:
    measure = made_up(600)
    for number in range(gaps):
        measure = changed(measure, slice(50 + 100 * number, 60 + 100 * number), **SILENT)
    assert windows_of(measure, 0).dropout[0] == pytest.approx(expected)


def test_transition_position_is_in_seconds_from_the_window_start() -> None:
    measure = made_up(2000)
    steady = FineChange(*np.zeros((5, 500), np.float32))
    for values, value in zip(steady, (28, 28, 1.0, 1.0, 1.0), strict=True):
        values[800 // 4] = value
    features = windows_of(replace(measure, change=steady), 512, 700, 1200)
    assert features.transition[:2] == pytest.approx(features.transition[0])
    assert features.transition[0] > 10 * features.transition[2]
    assert features.transition_at[:2] == pytest.approx([2.88, 1.0])
    slower = replace(measure, change=steady, column_seconds=0.02)
    assert windows_of(slower, 512).transition_at[0] == pytest.approx(5.76)


# --- the embedding ----------------------------------------------------------------------------------------------------


@given(gain=st.floats(-18, 18), seed=st.integers(0, 99))
def test_embedding_does_not_depend_on_the_level(gain: float, seed: int) -> None:
    measure = made_up(512, seed)
    louder = replace(measure, sketch=(measure.sketch.astype(np.float32) + gain).astype(np.float16))
    both = Features.concatenate([windows_of(measure, 0), windows_of(louder, 0)])
    assert angle(both, 0, 1) < 0.02


@given(seed=st.integers(0, 99))
def test_embeddings_of_unrelated_windows_are_far_apart(seed: int) -> None:
    both = Features.concatenate([windows_of(made_up(512, seed), 0), windows_of(made_up(512, seed + 100), 0)])
    assert angle(both, 0, 1) > 0.8


def test_embedding_of_a_reversed_window_differs() -> None:
    measure = made_up(512)
    back = replace(measure, sketch=measure.sketch[::-1])
    assert angle(Features.concatenate([windows_of(measure, 0), windows_of(back, 0)]), 0, 1) > 0.5


def test_embedding_ignores_the_low_pass_of_low_bit_rates() -> None:
    measure = made_up(512)
    dull = replace(
        measure, sketch=np.concatenate([measure.sketch[:, :27], np.full((512, 5), -120, np.float16)], axis=1)
    )
    assert angle(Features.concatenate([windows_of(measure, 0), windows_of(dull, 0)]), 0, 1) == 0


# --- real sound -------------------------------------------------------------------------------------------------------


@pytest.fixture
def measured(tmp_path: Path) -> Measure:
    """Return a function that writes samples [S] or [C, S] to a file and measures it."""

    def measure(samples: np.ndarray) -> SongMeasure:
        clip = AudioClip(np.atleast_2d(samples).astype(np.float32), RATE)
        return measure_song(write_audio(clip, tmp_path / "song.wav"), PARAMS)[0]

    return measure


def test_faded_stop_of_a_band_is_no_drop_out(measured: Measure) -> None:
    sound = song(1, 12)
    sound *= 0.3 / np.abs(sound).max()
    stop, fade = slice(2 * RATE, 3 * RATE), np.linspace(1, 0, RATE // 200)
    sound[stop] = 0
    assert windows_of(measured(sound), 0).dropout == pytest.approx(1.0, abs=0.02)
    sound[2 * RATE - len(fade) : 2 * RATE] *= fade
    assert windows_of(measured(sound), 0).dropout == 0


def test_gaps_of_a_four_bit_drum_machine_are_no_drop_outs(measured: Measure) -> None:
    time = np.arange(RATE // 4) / RATE
    hit = np.sin(2 * np.pi * 100 * time) * np.exp(-12 * time)
    hits = np.tile(np.concatenate([hit, np.zeros(RATE * 7 // 4)]), 4)
    assert windows_of(measured(np.rint(7 * hits) / 8), 0).dropout == 0


def test_faults_of_a_real_file_are_found(measured: Measure) -> None:
    sound = song(1, 22)
    sound *= 0.3 / np.abs(sound).max()
    gap, loud = slice(6 * RATE, 6 * RATE + RATE // 8), slice(11 * RATE, 15 * RATE)
    sound[gap] = 0
    sound[loud] = np.clip(12 * sound[loud], -0.7, 0.7)
    sound[16 * RATE :] += 0.2
    features = windows_of(measured(sound), 0, 512, 1024, 1600)
    assert features.dropout == pytest.approx([0, 0.125, 0, 0], abs=0.02)
    assert features.clipped[[0, 1, 3]] == pytest.approx(0)
    assert features.clipped[2] > 0.05
    assert features.rumble[:3].max() < 0 < features.rumble[3] < 20
    assert features.quiet.max() == 0
    assert features.level_db[0] == pytest.approx(10 * np.log10(np.mean(sound[: 512 * 441] ** 2)), abs=0.3)


def test_windows_of_a_song_are_apart_and_near_those_of_a_shifted_copy(measured: Measure) -> None:
    sound = song(2, 16)
    windows = windows_of(measured(sound), 0, 512, 1024)
    shifted = windows_of(measured(0.3 * np.concatenate([np.zeros(RATE * 30 // 1000), sound])), 0, 512, 1024)
    both = Features.concatenate([windows, shifted])
    assert max(angle(both, n, n + 3) for n in range(3)) < 0.2
    assert min(angle(both, n, m) for n in range(3) for m in range(n)) > 0.3
