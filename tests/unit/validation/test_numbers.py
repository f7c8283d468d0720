"""Numbers in texts: finite, of bounded length, within their range."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from riffusion_ext.errors import AudioError, RiffusionError
from riffusion_ext.generate.loop import fit_loop
from riffusion_ext.generate.score.automation import parse_curve
from riffusion_ext.generate.score.keyframes import Keyframe, Score, check_tempo
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.score.timecode import format_time, number_text, parse_time
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.validation.numbers import MAX_CHARACTERS, in_range, is_finite, read_float, read_int, shown

HUGE = [10**400, -(10**400), 10**4000, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("value", [0.0, -1.5, 5e-324, 1.7976931348623157e308, 0.1])
def test_float_text_round_trips(value: float) -> None:
    assert read_float(number_text(value)) == value


@pytest.mark.parametrize("text", ["9" * 320, "1e400", "-1e400", "nan", "inf", "-Infinity", "", "x", "1" * 10**6])
def test_texts_without_a_finite_number_are_refused(text: str) -> None:
    with pytest.raises(RiffusionError) as raised:
        read_float(text)
    assert len(str(raised.value)) < 100


@pytest.mark.parametrize("text", ["9" * 19, "9" * 320, "9" * 5000, "-" + "9" * 5000, "1.5", "", "x", "1e3"])
def test_texts_without_a_whole_number_are_refused(text: str) -> None:
    with pytest.raises(RiffusionError):
        read_int(text)
    assert read_int(" 42 ") == 42
    assert read_int("0" * (MAX_CHARACTERS - 1) + "7") == 7


@pytest.mark.parametrize("value", [*HUGE, "1", None, True, [1], 2**64])
def test_message_names_value_and_range_and_is_short(value: object) -> None:
    with pytest.raises(RiffusionError, match=r"^the tempo must (be a number|lie between 20 and 400), got ") as raised:
        in_range("the tempo", value, 20, 400)  # type: ignore[type-var]
    assert len(str(raised.value)) < 120


def test_whole_numbers_are_accepted_in_any_type() -> None:
    assert in_range("n", 3, 1, 5, whole=True) == 3
    assert in_range("n", np.int64(3), 1, 5, whole=True) == 3
    with pytest.raises(RiffusionError, match="whole number"):
        in_range("n", 3.5, 1, 5, whole=True)
    assert is_finite(np.float32(1))
    assert not any(map(is_finite, (np.float32("nan"), "1", True, None)))


def test_long_values_are_shown_shortened() -> None:
    assert max(len(shown(value)) for value in (*HUGE, "x" * 10**6, [0] * 10**6, {}, None, object(), b"x" * 10**6)) < 60


@pytest.mark.parametrize("digits", [300, 308, 309, 320, 399, 401, 5000])
@pytest.mark.parametrize("form", ["{}", "{}:00", "{}:00:00", "0:{}", ".{}", "{}s", "{}."])
def test_times_with_many_digits_are_parsed_or_refused(form: str, digits: int) -> None:
    text = form.format("9" * digits)
    with suppress(RiffusionError):
        seconds = parse_time(text)
        assert parse_time(format_time(seconds)) == seconds


@pytest.mark.parametrize("digits", [320, 5000])
def test_texts_with_huge_numbers_are_refused(digits: int) -> None:
    nines = "9" * digits
    for text in (f"{nines} | a", f"{nines} bars | a", f"0:20 | a | seed {nines}", f"0:20 | a | cfg {nines}"):
        with pytest.raises(RiffusionError, match=r"^line 1: ") as raised:
            parse_score(text, bpm=120)
        assert len(str(raised.value)) < 300
    for text in (nines, f"{nines} 0.5, {nines}9 0.5", f"0:00 {nines}", f"0:00 0.5, {nines}:00 0.5"):
        with pytest.raises(RiffusionError):
            parse_curve(text, name="the mix", low=0, high=1)
    with pytest.raises(RiffusionError, match="sample_rate must be a number"):
        SpectrogramParams.from_text(f"sample_rate={nines}")


@pytest.mark.parametrize("value", [*HUGE, "7", None, True, [1.0]])
def test_settings_of_any_type_are_checked(value: object) -> None:
    keyframe = Keyframe("a", seconds=1.0)
    for name in ("cfg", "denoise", "seed"):
        with pytest.raises(RiffusionError):
            Keyframe("a", seconds=1.0, **{name: value})  # type: ignore[arg-type]
    for name in ("power", "beats_per_bar"):
        with pytest.raises(RiffusionError):
            Score((keyframe,), **{name: value})  # type: ignore[arg-type]
    with pytest.raises(RiffusionError):
        check_tempo(value)  # type: ignore[arg-type]
    with pytest.raises(RiffusionError):
        fit_loop(value, 120.0)  # type: ignore[arg-type]
    with pytest.raises(RiffusionError):
        SpectrogramParams.from_mapping({"sample_rate": value})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (50, "the rate must lie between 1 and 40.5 Hz, got 50"),
        (math.nan, "the rate must lie between 1 and 40.5 Hz, got nan"),
        ("7", "the rate must be a number, got '7'"),
    ],
)
def test_number_out_of_range_is_refused_with_its_unit_and_error_type(value: Any, sentence: str) -> None:
    with pytest.raises(AudioError) as raised:
        in_range("the rate", value, 1, 40.5, unit="Hz", error=AudioError)
    assert str(raised.value) == sentence
