"""Automation curves: interpolation, parsing and formatting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.automation import Curve, parse_curve

times = st.lists(st.floats(0, 5000, allow_subnormal=False), min_size=1, max_size=6, unique=True).map(sorted)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    chosen = draw(times)
    values = draw(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=len(chosen), max_size=len(chosen)))
    points = list(zip(chosen, values, strict=True))
    return Curve(tuple(points if len(points) > 1 else [(0.0, values[0])]))


def read(text: str) -> Curve:
    return parse_curve(text, name="the mix", low=0.0, high=1.0)


@settings(deadline=None)
@given(curves())
def test_curve_text_round_trips(curve: Curve) -> None:
    assert read(curve.text()) == curve


@settings(deadline=None)
@given(curves(), st.floats(-100, 6000))
def test_curve_values_stay_between_the_points(curve: Curve, time: float) -> None:
    values = [value for _, value in curve.points]
    assert min(values) - 1e-12 <= curve.at(time) <= max(values) + 1e-12
    assert curve.over(np.array([time]))[0] == curve.at(time)


@settings(deadline=None)
@given(curves())
def test_curves_go_through_their_points(curve: Curve) -> None:
    for time, value in curve.points:
        assert curve.at(time) == pytest.approx(value)
    assert curve.at(-1.0) == curve.points[0][1]
    assert curve.at(1e9) == curve.points[-1][1]


def test_curves_are_parsed_in_the_forms_that_users_type() -> None:
    curve = read("0:00 0.2, 0:30 0.4; 1:00 0.2\n90 0")
    assert curve.points == ((0.0, 0.2), (30.0, 0.4), (60.0, 0.2), (90.0, 0.0))
    assert curve.at(15.0) == pytest.approx(0.3)
    assert read("0.3") == Curve.constant(0.3)
    assert Curve.constant(0.3).fixed
    assert not curve.fixed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the mix is empty"),
        ("x", "the mix: 'x' is not understood"),
        ("0.1 0.2 0.3", "not understood"),
        ("0.1, 0.2", "each needs its time"),
        ("2", "the mix must lie between 0 and 1, got 2"),
        ("0:00 nan", "not understood"),
        ("0:30 0.1, 0:10 0.2", "times of a curve must rise"),
        ("soon 0.1", "'soon' is no time"),
    ],
)
def test_invalid_curves_are_refused(text: str, words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        read(text)
