"""A set below its target size reports it in one sentence, with the most frequent reason."""

from __future__ import annotations

import pytest

from riffusion_ext.dataset.curation.target import shortfall
from riffusion_ext.dataset.manifest import Manifest, WindowEntry
from riffusion_ext.dataset.settings import REASONS


def manifest(kept: int, **left_out: int) -> Manifest:
    kinds = [None] * kept + [kind for kind, count in left_out.items() for _ in range(count)]
    windows = [
        WindowEntry(
            f"{n}.png", "song", 0.0, 5.12, kind is None, kind == "hand",
            () if kind in (None, "hand") else ({"kind": kind, "text": ""},), "", -20.0, 0.0, 1.0,
        )
        for n, kind in enumerate(kinds)
    ]  # fmt: skip
    return Manifest({}, [], windows)


def test_message_names_the_most_frequent_reason() -> None:
    (text,) = shortfall(manifest(1204, duplicate=812, silence=40, intro=3), 2000)
    assert text == "1,204 windows are kept, 2,000 were wanted; the most were left out as duplicates (812)"


@pytest.mark.parametrize("target", [None, 3, 4])
def test_reached_target_gives_no_message(target: int | None) -> None:
    assert shortfall(manifest(4, surplus=3, silence=5), target) == []


def test_message_says_when_the_songs_have_too_few_windows_in_all() -> None:
    (text,) = shortfall(manifest(12, ending=3, silence=2), 100)
    assert text.endswith("left out as endings of songs (3), and the songs have no more than 17 in all")
    (text,) = shortfall(manifest(12, ending=3, silence=2), 17)
    assert text.endswith("(3)")


def test_message_says_when_the_songs_have_no_more_windows() -> None:
    assert shortfall(manifest(1), 2) == ["1 window is kept, 2 were wanted; the songs have no more"]


def test_message_names_windows_left_out_by_hand() -> None:
    (text,) = shortfall(manifest(4, surplus=30, hand=2, silence=1), 6)
    assert text.endswith("; the most were left out by hand (2)")


@pytest.mark.parametrize("kind", [kind for kind in REASONS if kind != "surplus"])
def test_every_reason_has_a_message(kind: str) -> None:
    (text,) = shortfall(manifest(0, **{kind: 2}), 1)
    assert text.startswith("0 windows are kept, 1 was wanted; the most were left out ")
    assert text.split("left out ")[1].split()[0] in ("as", "for")
