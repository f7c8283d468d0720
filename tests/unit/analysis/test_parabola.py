"""The highest point of the parabola through three samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.analysis.parabola import vertex_offset


@given(st.floats(-0.5, 0.5), st.floats(0.01, 100.0), st.floats(-10.0, 10.0))
def test_vertex_of_a_parabola_is_exact(place: float, bend: float, height: float) -> None:
    left, middle, right = (height - bend * (x - place) ** 2 for x in (-1, 0, 1))
    assert vertex_offset(left, middle, right) == pytest.approx(place, abs=1e-9)


@given(*[st.integers(0, 1 << 20)] * 3)
def test_mirroring_the_samples_negates_the_offset(left: int, middle: int, right: int) -> None:
    middle = max(left, middle, right)
    offset = vertex_offset(left, middle, right)
    assert -0.5 <= offset <= 0.5
    assert vertex_offset(right, middle, left) == -offset


def test_offset_is_zero_without_a_peak() -> None:
    np.testing.assert_array_equal(vertex_offset([1.0, 0.0, 2.0], [1.0, 0.0, 1.5], [1.0, 1.0, 1.0]), [0.0, 0.0, 0.0])


def test_peak_below_the_minimum_curvature_has_offset_zero() -> None:
    assert vertex_offset(0.0, 1e-3, 5e-4) > 0
    assert vertex_offset(0.0, 1e-3, 5e-4, min_bend=2e-3) == 0
