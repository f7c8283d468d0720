"""Masks: the ramp, soft masks and combinations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.windows.masks import combine_masks, ramp, soft_mask


@settings(deadline=None)
@given(st.integers(0, 600))
def test_ramp_and_its_mirror_sum_to_one(columns: int) -> None:
    rising = ramp(columns)
    np.testing.assert_allclose(rising + rising[::-1], 1.0, atol=1e-12)
    assert (np.diff(rising) > 0).all()
    assert ((rising > 0) & (rising < 1)).all()


@settings(deadline=None)
@given(st.integers(0, 32), st.integers(0, 32))
def test_masks_keep_the_edges_and_free_the_middle(left: int, right: int) -> None:
    mask = soft_mask(64, 16, left, right)
    if left + right == 0:
        assert mask is None
        return
    assert mask is not None
    assert (mask.mode, mask.size) == ("L", (64, 16))
    row = np.asarray(mask)[0].astype(int)
    np.testing.assert_array_equal(np.asarray(mask), np.repeat(row[None], 16, axis=0))
    assert (row[left : 64 - right] == 255).all()
    assert (np.diff(row[:left]) >= 0).all()
    assert (np.diff(row[64 - right :]) <= 0).all()
    if left >= 16:
        assert row[0] < 3
        assert abs(row[left // 2 - 1] + row[left - left // 2] - 255) <= 1


def test_masks_wider_than_the_window_are_refused() -> None:
    with pytest.raises(RiffusionError, match="masks of 40 and 30 columns do not fit into 64"):
        soft_mask(64, 16, 40, 30)


def test_masks_are_combined_by_their_minimum() -> None:
    one, other = Image.new("L", (8, 8), 255), Image.new("L", (8, 8), 0)
    assert combine_masks(None, None) is None
    assert combine_masks(one, None) is one
    assert combine_masks(None, other) is other
    both = combine_masks(one, other)
    assert both is not None
    assert not np.asarray(both).any()
