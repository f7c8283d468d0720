"""Windows start on beats of high confidence; otherwise a note says why not."""

from __future__ import annotations

import numpy as np
import pytest

from riffusion_ext.analysis.beat_tracking import Beats
from riffusion_ext.dataset.settings import SliceSettings
from riffusion_ext.dataset.slicing.slice_song import _alignment_columns

TIMES = np.arange(0, 10, 0.5)


@pytest.mark.parametrize(
    ("align", "confidence", "on_beats", "marks", "said"),
    [
        ("none", 0.9, 0.9, None, ""),
        ("beat", 0.9, 0.9, 20, ""),
        ("beat", 0.1, 0.9, 20, ""),
        ("beat", 0.1, 0.1, None, "do not begin on a beat"),
        ("bar", 0.9, 0.9, 5, ""),
        ("bar", 0.1, 0.9, 5, "inside a bar"),
        ("bar", 0.1, 0.1, None, "do not begin on a bar"),
    ],
)
def test_uncertain_beats_are_not_used_as_cut_marks(
    align: str, confidence: float, on_beats: float, marks: int | None, said: str
) -> None:
    beats = Beats(120.0, TIMES, confidence, TIMES[::4], on_beats)
    found, notes = _alignment_columns(beats, SliceSettings(align=align), 100.0)
    assert (None if found is None else len(found)) == marks
    assert [said in note for note in notes] == [True] * bool(said)
