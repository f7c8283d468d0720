"""PCM integers: rounded, clipped, and decoded exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from riffusion_ext.audio.formats.pcm import decode, quantize


@given(arrays(np.float32, 50, elements=st.floats(-4, 4, width=32)), st.sampled_from([16, 24]))
def test_quantize_rounds_to_nearest_and_never_wraps(samples: np.ndarray, bits: int) -> None:
    full = 2 ** (bits - 1)
    numbers = quantize(samples, bits)
    exact = np.clip(samples.astype(np.float64) * full, -full, full - 1)
    assert np.abs(numbers - exact).max() <= 0.5
    assert numbers.max() <= full - 1
    assert numbers.min() >= -full


def test_quantize_does_not_change_its_input() -> None:
    samples = np.array([0.3, 2.0], np.float32)
    quantize(samples, 16)
    assert samples.tolist() == [np.float32(0.3), 2.0]


def test_every_16_bit_number_round_trips() -> None:
    numbers = np.arange(-32768, 32768, dtype="<i2")
    floats = decode(numbers.tobytes(), width=2, is_float=False)
    assert (floats[0], floats[32768]) == (-1.0, 0.0)
    np.testing.assert_array_equal(quantize(floats, 16), numbers)


@given(arrays(np.int32, 50, elements=st.integers(-(2**23), 2**23 - 1)))
def test_every_24_bit_number_round_trips(numbers: np.ndarray) -> None:
    raw = numbers.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    np.testing.assert_array_equal(quantize(decode(raw, width=3, is_float=False), 24), numbers)


@pytest.mark.parametrize(
    ("raw", "width", "expected"),
    [
        (bytes([0, 64, 128, 255]), 1, [-1, -0.5, 0, 127 / 128]),
        (b"\x00\x80\x00\x40", 2, [-1, 0.5]),
        (b"\x00\x00\x80\x00\x00\x40\xff\xff\xff", 3, [-1, 0.5, -1 / 2**23]),
        (b"\x00\x00\x00\x80\x00\x00\x00\x40", 4, [-1, 0.5]),
    ],
)
def test_decode_returns_known_values(raw: bytes, width: int, expected: list[float]) -> None:
    assert decode(raw, width=width, is_float=False).tolist() == expected
