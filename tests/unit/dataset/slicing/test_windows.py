"""Start columns of the windows of a song."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.dataset.settings import END_MODES, SliceSettings
from riffusion_ext.dataset.slicing.windows import window_starts


@given(
    columns=st.integers(0, 5000), width=st.integers(16, 600), overlap=st.floats(0, 0.9), last=st.sampled_from(END_MODES)
)
def test_window_starts_are_ordered_inside_the_song_and_evenly_spaced(
    columns: int, width: int, overlap: float, last: str
) -> None:
    settings = SliceSettings(columns=width, overlap=overlap, last=last)
    starts = window_starts(columns, settings)
    assert starts == sorted(set(starts))
    assert all(0 <= start < columns for start in starts)
    if last != "pad" and columns >= width:
        assert all(start + width <= columns for start in starts)
    if last != "drop" and columns:
        assert starts[-1] + width >= columns, "the end is covered"
    steps = np.diff(starts)
    assert (steps[: len(steps) - (last == "back")] == settings.step).all()
    if columns >= width:
        assert starts[0] == 0


@pytest.mark.parametrize(("last", "expected"), [("drop", [0, 512]), ("pad", [0, 512, 1024]), ("back", [0, 512, 788])])
def test_last_partial_window_is_handled_as_configured(last: str, expected: list[int]) -> None:
    assert window_starts(1300, SliceSettings(last=last)) == expected
    assert window_starts(1024, SliceSettings(last=last)) == [0, 512], "nothing is left after the last window"


@pytest.mark.parametrize(("last", "expected"), [("drop", []), ("pad", [0]), ("back", [0])])
def test_song_shorter_than_a_window_gives_one_window_or_none(last: str, expected: list[int]) -> None:
    assert window_starts(300, SliceSettings(last=last)) == expected


@given(
    beat=st.floats(25, 110), shift=st.floats(0, 100), jitter=st.integers(0, 2), last=st.sampled_from(["drop", "pad"]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_windows_start_on_beats_without_more_overlap_than_requested(
    beat: float, shift: float, jitter: int, last: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    marks = np.unique(np.rint(shift + beat * np.arange(170)).astype(int) + rng.integers(-jitter, jitter + 1, 170))
    marks = marks[marks >= 0]
    starts = window_starts(4000, SliceSettings(last=last), marks)
    inside = [start for start in starts if start <= 4000 - 512]
    assert set(starts[:-1]) <= set(marks.tolist()), "the last window may start after the last mark"
    assert set(inside) <= set(marks.tolist())
    assert (np.diff(starts) >= 512 - 3).all()
    assert (np.diff(inside) <= 512 + beat + 2 * jitter + 1).all(), "no beat is skipped without need"


def test_windows_of_a_steady_song_start_on_bars() -> None:
    marks = np.arange(0, 3000, 200)  # 120 beats a minute, bars of 4
    assert window_starts(3000, SliceSettings(), marks) == [0, 600, 1200, 1800, 2400]
    assert window_starts(3000, SliceSettings(overlap=0.5), marks)[:4] == [0, 400, 800, 1200]


def test_setting_last_applies_when_no_mark_fits() -> None:
    marks = np.array([2900])
    assert window_starts(3000, SliceSettings(), marks) == []
    assert window_starts(3000, SliceSettings(last="back"), marks) == [2488]
    assert window_starts(3000, SliceSettings(last="pad"), marks) == [2900]
    assert window_starts(3000, SliceSettings(last="pad"), np.array([3500])) == [0]
