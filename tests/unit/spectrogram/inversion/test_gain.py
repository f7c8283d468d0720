"""Powers of two that make an inversion independent of the level."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.spectrogram.inversion.gain import common_gain, split_gain


def test_each_spectrogram_has_its_own_gain_and_silence_gain_1() -> None:
    mel = torch.zeros(4, 3, 5)
    mel[0, 1, 1], mel[1, 2, 4], mel[2, 0, 0] = 1.0, 3e9, 1e-40
    gains = common_gain(mel).tolist()
    assert gains == [2.0**23, 2.0**-8, 2.0**120, 1.0]


@given(st.floats(2.0**-90, 2.0**120, width=32))
def test_gain_brings_the_peak_between_2_23_and_2_24(peak: float) -> None:
    gain = common_gain(torch.full((1, 2, 2), peak)).item()
    assert math.frexp(gain)[0] == 0.5
    assert 2.0**23 <= peak * gain < 2.0**24


@given(st.floats(1e-300, 1e300))
def test_split_gain_is_a_power_of_two_times_the_rest(gain: float) -> None:
    power, rest = split_gain(gain)
    assert math.frexp(power)[0] == 0.5
    assert 1.0 <= rest < 2.0
    assert power * rest == gain


@pytest.mark.parametrize(("gain", "expected"), [(1.0, (1.0, 1.0)), (3.0, (2.0, 1.5)), (0.75, (0.5, 1.5))])
def test_split_gain_of_small_numbers_is_exact(gain: float, expected: tuple[float, float]) -> None:
    assert split_gain(gain) == expected
