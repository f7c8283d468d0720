"""The beat finder on images with known beats, and without a beat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.analysis.image_beats import BeatFinder, ImageBeats, find_beats, strength_row
from riffusion_ext.convert.crop import darkness_of
from riffusion_ext.errors import RiffusionError
from tests.unit.convert.conftest import drum_image, pulses

EARLY = 2.5  # columns from the steepest rise of the darkness to the attack itself, where the window is 100 ms long
WHOLE = BeatFinder(band_start=0.0, band_length=1.0)

periods = st.floats(32.0, 100.0)


def off_beat(found: ImageBeats, phase: float) -> float:
    """Return the columns from each found beat to the nearest true one."""
    return abs((found.first - EARLY - phase + found.period / 2) % found.period - found.period / 2)


@given(periods, st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_pulse_period_is_accurate_to_a_fraction_of_a_column(period: float, share: float) -> None:
    phase = 3 + share * (period - 4)
    found = find_beats(pulses(period, phase), WHOLE)
    assert found.period == pytest.approx(period, rel=0.004)
    assert off_beat(found, round(phase)) < 2.5


@given(st.floats(0.05, 1.0), st.floats(0.0, 0.3))
@settings(max_examples=15, deadline=None)
def test_contrast_and_background_do_not_change_the_beats(contrast: float, ground: float) -> None:
    plain, changed = pulses(50.3, 20), 0.7 * pulses(50.3, 20) * contrast + ground
    one, other = find_beats(plain, WHOLE), find_beats(changed.astype(np.float32), WHOLE)
    assert other.period == pytest.approx(one.period, abs=0.01)
    assert other.first == pytest.approx(one.first, abs=0.05)


@given(st.integers(1, 200))
@settings(max_examples=15, deadline=None)
def test_shifted_image_has_shifted_beats(shift: int) -> None:
    long = pulses(61.0, 10, 800)
    one, other = find_beats(long[:, :512], WHOLE), find_beats(long[:, shift : shift + 512], WHOLE)
    moved = (one.first - other.first - shift + 30.5) % 61.0 - 30.5
    assert abs(moved) < 1.0


@pytest.mark.parametrize("missing", [(1,), (3, 4), (0, 2, 6)])
def test_missing_beats_do_not_change_the_period(missing: tuple[int, ...]) -> None:
    # sd-webui-riffusion counts beats and takes the median of their distances: each missing one moves its cut.
    darkness = pulses(60.0, 10)
    for number in missing:
        darkness[:, 10 + 60 * number - 5 : 10 + 60 * number + 50] = 0.1
    found = find_beats(darkness, WHOLE)
    assert found.period == pytest.approx(60.0, abs=0.3)
    assert len(found.columns) == 9


def test_long_note_counts_as_one_hit() -> None:
    darkness = np.full((64, 512), 0.1, np.float32)
    for beat in range(20, 512, 64):
        darkness[:, beat : beat + 58] = 0.8
    found = find_beats(darkness, WHOLE)
    assert found.period == pytest.approx(64.0, abs=0.1)
    assert len(found.hits) == 8


@pytest.mark.parametrize("seed", range(8))
def test_noise_has_no_beat(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grain = rng.random((64, 512)).astype(np.float32)
    swell = np.tile(np.cumsum(rng.standard_normal(512)), (64, 1))
    swell = ((swell - swell.min()) / np.ptp(swell)).astype(np.float32)
    for darkness in (grain, swell):
        found = find_beats(darkness, WHOLE)
        assert found.period == 0.0
        assert found.columns == []
        assert "no steady beat" in found.why


@pytest.mark.parametrize(
    "darkness", [np.zeros((64, 512)), np.ones((64, 512)), np.tile(np.linspace(1, 0, 512), (64, 1))]
)
def test_constant_image_has_no_beat(darkness: np.ndarray) -> None:
    found = find_beats(darkness.astype(np.float32), WHOLE)
    assert (found.period, found.hits) == (0.0, ())
    assert "becomes louder" in found.why


@pytest.mark.parametrize("columns", [2, 3, 10, 40, 90])
def test_too_narrow_image_has_no_beat_and_a_reason(columns: int) -> None:
    found = find_beats(pulses(30.0, 1, columns), WHOLE)
    assert found.period == 0.0
    assert found.why


def test_only_rows_of_the_band_are_analysed() -> None:
    darkness = np.concatenate([pulses(80.0, 5), pulses(47.0, 11)])  # 64 rows of each, one tempo above the other
    top = find_beats(darkness, BeatFinder(band_start=0.0, band_length=0.5))
    bottom = find_beats(darkness, BeatFinder(band_start=0.5, band_length=0.5))
    assert top.period == pytest.approx(80.0, abs=0.3)
    assert bottom.period == pytest.approx(47.0, abs=0.3)


def test_threshold_excludes_soft_hits() -> None:
    darkness = np.maximum(pulses(96.0, 10), 0.1 + 0.55 * (pulses(32.0, 10) - 0.1))
    strict = find_beats(darkness, replace(WHOLE, threshold=0.2))
    open_to_all = find_beats(darkness, replace(WHOLE, threshold=0.9))
    assert len(strict.hits) == 6
    assert len(open_to_all.hits) == 16
    assert strict.period == pytest.approx(96.0, abs=0.5)
    assert open_to_all.period == pytest.approx(32.0, abs=0.5)


def test_larger_ignore_range_finds_a_slower_beat() -> None:
    darkness = pulses(40.0, 7)
    assert find_beats(darkness, WHOLE).period == pytest.approx(40.0, abs=0.2)
    assert find_beats(darkness, replace(WHOLE, ignore_range=0.6)).period == pytest.approx(80.0, abs=0.4)


def test_period_is_accurate_over_a_long_image() -> None:
    found = find_beats(pulses(51.37, 20, 9000), WHOLE)
    assert found.period == pytest.approx(51.37, abs=0.003)


def test_window_and_step_are_measured_in_seconds() -> None:
    found = find_beats(pulses(25.0, 5, 256), WHOLE, step_s=0.02, window_s=0.1)
    assert found.period == pytest.approx(25.0, abs=0.15)


@pytest.mark.parametrize("kind", ["snare", "bell"])
@pytest.mark.parametrize(("bpm", "phase"), [(72.5, 0.4), (90, 0.1), (100, 0.3), (120, 0.21), (133, 0.05), (150, 0.33)])
def test_tempo_and_phase_of_drums_are_found_in_an_encoded_image(bpm: float, phase: float, kind: str) -> None:
    found = find_beats(darkness_of(drum_image(bpm, phase, kind=kind)), BeatFinder())
    assert 6000 / found.period == pytest.approx(bpm, rel=0.002)
    apart = (found.first - 100 * phase + found.period / 2) % found.period - found.period / 2
    assert abs(apart) < 1.5  # 15 ms


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=64))
def test_strength_is_between_0_and_1_and_rises_only_with_darkening(values: list[float]) -> None:
    darkness = np.array([values], np.float32)
    row = strength_row(darkness, 0.01)
    assert row.shape == (len(values),)
    assert (row >= 0).all()
    assert (row <= 1).all()
    assert not strength_row(np.sort(darkness)[:, ::-1].copy(), 0.01).any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rhythm", 0),
        ("rhythm", 65),
        ("rhythm", 2.5),
        ("band_start", -0.1),
        ("band_start", 1.0),
        ("band_length", 0.0),
        ("threshold", 1.1),
        ("threshold", float("nan")),
        ("ignore_range", 0.0),
    ],
)
def test_invalid_settings_are_refused_with_name_and_value(name: str, value: float) -> None:
    with pytest.raises(RiffusionError, match=name.replace("_", " ")) as error:
        replace(BeatFinder(), **{name: value})
    assert f"{value:g}" in str(error.value)


@given(st.integers(1, 2000), st.floats(0, 0.99), st.floats(0.01, 1))
def test_band_has_at_least_one_row_inside_the_image(height: int, start: float, length: float) -> None:
    first, last = BeatFinder(band_start=start, band_length=length).rows(height)
    assert 0 <= first < last <= height
