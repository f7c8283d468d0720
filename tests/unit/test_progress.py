"""Progress of long work as numbers and text."""

from __future__ import annotations

import pytest

from riffusion_ext.progress import Stage, Stages, time_left


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0, "0:01 min left"),
        (0.2, "0:01 min left"),
        (59.5, "1:00 min left"),
        (61, "1:01 min left"),
        (3600, "60:00 min left"),
    ],
)
def test_remaining_time_is_positive_until_the_end(seconds: float | None, text: str) -> None:
    assert time_left(seconds) == text


def test_stage_text_shows_count_and_remaining_time() -> None:
    assert Stage("exporting", "files", 0, 4, 0.0).text == "exporting: 0 of 4 files"
    assert Stage("exporting", "files", 1, 4, 10.0).text == "exporting: 1 of 4 files, 0:30 min left"
    assert Stage("exporting", "files", 4, 4, 40.0).text == "exporting: 4 of 4 files"


def test_stage_reports_count_share_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([5.0, 5.0, 7.0, 11.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    told: list[Stage] = []
    count = Stages(told.append).begin("verifying", "pictures", 2)
    count(1)
    count(2)
    assert [(stage.done, stage.share, stage.seconds, stage.seconds_left) for stage in told] == [
        (0, 0.0, 0.0, None),
        (1, 0.5, 2.0, 2.0),
        (2, 1.0, 6.0, 0.0),
    ]


def test_each_part_is_counted_once() -> None:
    told: list[Stage] = []
    tell = Stages(told.append).begin_parts("exporting", "windows", 3)
    for part in (0.0, 0.1, 1 / 3, 0.34, 2 / 3, 1.0, 1.0):
        tell(part)
    assert [stage.done for stage in told] == [0, 1, 2, 3]


def test_progress_without_work_or_callback() -> None:
    told: list[Stage] = []
    Stages(told.append).begin_parts("exporting", "windows", 0)(1.0)
    assert [(stage.share, stage.text, stage.is_mark) for stage in told] == [(0.0, "exporting: 0 of 0 windows", True)]
    Stages(None).begin("exporting", "windows", 1)(1)


@pytest.mark.parametrize("total", [1, 3, 10, 11, 1000])
def test_progress_marks_are_few_and_include_the_end(total: int) -> None:
    marks = [done for done in range(total + 1) if Stage("", "", done, total, 1.0).is_mark]
    assert marks[0] == 0
    assert marks[-1] == total
    assert len(marks) <= 11
