"""The tables of ``docs/options.md`` equal the declarations."""

from __future__ import annotations

from typing import Any

import pytest

from riffusion_ext.options import document
from riffusion_ext.options.option import Option


def test_the_documented_options_are_up_to_date() -> None:
    text = document.PAGE.read_text("utf-8")
    assert document.update_tables(text) == text, "run: python3 dev.py options"


def test_stale_table_is_detected() -> None:
    text = document.PAGE.read_text("utf-8")
    assert "| 1 to 150" in text or ", 1 to 150 |" in text
    stale = text.replace("1 to 150", "1 to 1000")
    assert document.update_tables(stale) == text


def test_a_table_without_a_marker_is_an_error() -> None:
    with pytest.raises(ValueError, match="the markers are song"):
        document.update_tables("<!-- options: song -->\n<!-- end of options -->\n")


def test_asterisks_of_patterns_are_no_emphasis() -> None:
    assert r'"\*.jpg, \*.png"' in document.render_table("images to audio")


def test_table_shows_where_ranges_and_defaults_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: dict[str, Any] = {"bounds": (1, 10), "page_bounds": (2, 5), "step": 1}
    shown = Option("speed", "Speed", "slider", 1, "how fast | slow", **ends, api_default=None)
    hidden = Option(
        "deep", "", "dropdown", "a", "which", choices=("a", "b"), interfaces=("command",), command_name="blue"
    )
    monkeypatch.setitem(document.TABLES, "test", (shown, hidden))
    assert document.render_table("test").splitlines() == [
        "| Page | Command line | API | Values | Default | Meaning |",
        "| --- | --- | --- | --- | --- | --- |",
        r"| Speed | `--speed` | `speed` | whole number, 1 to 10 (page: 2 to 5) | 1 (API: none) | how fast \| slow |",
        "|  | `--blue` |  | `a`, `b` | `a` | which |",
    ]
