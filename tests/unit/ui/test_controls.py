"""The table of controls: its values, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio.io import FORMATS
from riffusion_ext.errors import RiffusionError
from riffusion_ext.host.settings import _OPTIONS
from riffusion_ext.spectrogram.codec import ENGINES, LEVELS
from riffusion_ext.ui.controls import CONTROLS, SoundOptions, control, options_from_args

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = sorted((ROOT / "localizations").glob("*.json"))


def test_the_table_agrees_with_the_core_and_the_options() -> None:
    assert control("engine").choices == ENGINES
    assert control("level").choices == LEVELS
    assert control("format").choices == FORMATS
    assert asdict(SoundOptions()) == {item.id: item.default for item in CONTROLS}


def test_the_order_of_the_api_arguments_is_a_contract() -> None:
    assert [item.id for item in CONTROLS] == ["mode", "engine", "level", "format", "channels", "joined", "crossfade"]


@pytest.mark.parametrize("item", CONTROLS, ids=lambda item: item.id)
def test_each_control_is_sound(item: Any) -> None:
    assert item.clean(item.default) == item.default
    assert re.fullmatch(r"\w[\w \-/]+", item.infotext), "webui reads no other keys back"
    assert len({other.label for other in CONTROLS}) == len(CONTROLS), "webui keeps defaults by label"
    assert item.kind in ("radio", "dropdown", "checkbox", "slider")
    if item.choices:
        assert item.default in item.choices
    if item.kind == "slider":
        assert item.minimum <= item.default <= item.maximum


def test_arguments_by_position_and_by_name_are_the_same() -> None:
    assert options_from_args(["On", "best", None, "flac"]) == options_from_args(
        [{"mode": "on", "engine": "best", "format": "flac"}]
    )
    assert options_from_args([]) == SoundOptions()
    assert options_from_args([True]).mode == "On"
    assert options_from_args([False]).mode == "Off"


def test_an_axis_wins_over_the_arguments() -> None:
    assert options_from_args(["On", "fast"], {"engine": "best"}) == SoundOptions(mode="On", engine="best")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["Maybe"], ["'Maybe'", "Auto, On, Off"]),
        ([{"engine": 3}], ["3", "fast, best, reference"]),
        ([{"crossfade": -1}], ["-1", "0 to 4"]),
        ([{"crossfade": float("nan")}], ["nan", "0 to 4"]),
        ([{"crossfade": True}], ["True", "0 to 4"]),
        ([{"joined": "perhaps"}], ["'perhaps'", "true or false"]),
        ([{"volume": 3}], ["volume", "mode, engine"]),
    ],
)
def test_errors_say_the_value_and_what_is_allowed(args: list[Any], words: list[str]) -> None:
    with pytest.raises(RiffusionError) as caught:
        options_from_args(args)
    for word in words:
        assert word in str(caught.value)


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), max_size=9))
def test_any_arguments_give_options_or_a_sentence(args: list[Any]) -> None:
    try:
        options = options_from_args(args)
    except RiffusionError:
        return
    for item in CONTROLS:
        assert item.clean(getattr(options, item.id)) == getattr(options, item.id)


def test_there_are_translations() -> None:
    assert len(LANGUAGES) >= 1


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_every_visible_string_of_the_panel_is_translated(path: Path) -> None:
    texts = json.loads(path.read_text("utf-8"))
    wanted = {item.label for item in CONTROLS} | {item.help for item in CONTROLS}
    wanted |= {label for _, _, label, _, _ in _OPTIONS} | {"Download"}
    assert wanted - set(texts) == set()
    assert all(isinstance(text, str) and text.strip() for text in texts.values())


@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_no_translation_is_left_over(path: Path) -> None:
    source = "\n".join(file.read_text("utf-8") for file in (ROOT / "riffusion_ext").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*"', "", source)  # strings written in two parts
    texts = json.loads(path.read_text("utf-8"))
    left_over = [
        text for text in texts if json.dumps(text, ensure_ascii=False) not in source and f">{text}<" not in source
    ]
    assert left_over == []
