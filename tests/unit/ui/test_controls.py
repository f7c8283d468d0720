"""The table of controls: its values, and what it refuses."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import asdict
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio.io import FORMATS
from riffusion_ext.errors import RiffusionError
from riffusion_ext.host.images.send_to import TARGETS
from riffusion_ext.host.settings import _OPTIONS
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.codec import ENGINES, LEVELS
from riffusion_ext.ui.controls import CONTROLS, SoundOptions, control, options_from_args
from riffusion_ext.ui.cropping import CROP_CONTROLS
from riffusion_ext.ui.layout.cropping_panel import PREVIEW
from riffusion_ext.ui.pages.live import RECORDING

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = sorted((ROOT / "localizations").glob("*.json"))


def test_the_table_agrees_with_the_core_and_the_options() -> None:
    assert control("engine").choices == ENGINES
    assert control("level").choices == LEVELS
    assert control("format").choices == FORMATS
    assert asdict(SoundOptions()) == {item.id: item.default for item in CONTROLS}


def test_the_order_of_the_api_arguments_is_a_contract() -> None:
    assert [item.id for item in CONTROLS] == [
        "mode",
        "engine",
        "level",
        "format",
        "channels",
        "joined",
        "crossfade",
        "preset",
        "custom",
    ]


@pytest.mark.parametrize("item", CONTROLS, ids=lambda item: item.id)
def test_each_control_is_sound(item: Any) -> None:
    assert item.clean(item.default) == item.default
    assert re.fullmatch(r"\w[\w \-/]+", item.infotext), "webui reads no other keys back"
    assert len({other.label for other in CONTROLS}) == len(CONTROLS), "webui keeps defaults by label"
    assert item.kind in ("radio", "dropdown", "checkbox", "slider", "text")
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


def test_custom_parameters() -> None:
    options = options_from_args(
        [{"preset": "Custom", "custom": " max_frequency = 16000,stereo=TRUE; step_size_ms=12.5"}]
    )
    assert options.params == SpectrogramParams(max_frequency=16000, stereo=True, step_size_ms=12.5)  # type: ignore[arg-type]
    assert options_from_args([{"preset": "custom"}]).params == SpectrogramParams()
    assert options_from_args([{"preset": "riffusion-v1", "custom": "nonsense"}]).params == SpectrogramParams()
    assert options_from_args([{"custom": "max_frequency=16000"}]).params is None, "the picture decides"
    lines = options_from_args([{"preset": "custom", "custom": "stereo=1\nsample_rate=48000.0"}])
    assert lines.params == SpectrogramParams(stereo=True, sample_rate=48000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("16 kHz", ["'16 kHz'", "name=value", "max_frequency"]),
        ("max_frequency=high", ["max_frequency", "'high'"]),
        ("max_frequency=5", ["max_frequency", "100"]),
        ("stereo=2", ["stereo", "true or false"]),
        ("max_value=3", ["'max_value=3'", "name=value"]),
    ],
)
def test_custom_parameters_that_make_no_spectrogram(text: str, words: list[str]) -> None:
    options = options_from_args([{"preset": "custom", "custom": text}])  # no error while the sound may be off
    with pytest.raises(RiffusionError) as caught:
        _ = options.params
    for word in words:
        assert word in str(caught.value)


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
        ([{"custom": 3}], ["custom is 3", "text"]),
        ([{"volume": 3}], ["volume", "mode, engine"]),
    ],
)
def test_errors_say_the_value_and_what_is_allowed(args: list[Any], words: list[str]) -> None:
    with pytest.raises(RiffusionError) as caught:
        options_from_args(args)
    for word in words:
        assert word in str(caught.value)


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), max_size=10))
def test_any_arguments_give_options_or_a_sentence(args: list[Any]) -> None:
    try:
        options = options_from_args(args)
    except RiffusionError:
        return
    for item in CONTROLS:
        assert item.clean(getattr(options, item.id)) == getattr(options, item.id)


def test_there_are_translations() -> None:
    assert len(LANGUAGES) >= 1


def _of_the_tab() -> set[str]:
    """Texts of the tab: of every component it is built of, and the fixed messages that its source may show later."""
    pytest.importorskip("gradio", exc_type=ImportError)
    from riffusion_ext.ui.pages.tab import build_tab
    from tests.unit.ui.painting import Studio

    found: set[str] = set()
    place = Studio().place(Path(), send=lambda *_: None, send_text=lambda *_: None, styles=list)
    for block in build_tab(place).blocks.values():
        kind = type(block).__name__
        found.update(getattr(block, name, None) or "" for name in ("label", "info"))
        example = getattr(block, "placeholder", None) or ""
        # Paths, patterns and lines of a score are no words.
        found.add("" if example[:1] in ("/", "*") or " | " in example else example)
        if kind in ("Radio", "CheckboxGroup"):
            found.update(label for label, _ in block.choices)
        if kind == "Button":
            found.add(block.value)
        if kind == "HTML":
            found.add(unescape(re.sub("<[^>]*>", "", block.value or "")))
    for file in (ROOT / "riffusion_ext" / "ui" / "tabs").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
                "message",
                "details",
            ):
                found.update(part.value for part in node.args[:1] if isinstance(part, ast.Constant))
    return found - {""}


def _visible() -> set[str]:
    """Every fixed text of ours that stands on the host's page. Values of dropdowns are names; the host leaves them."""
    shown = (*CONTROLS, *CROP_CONTROLS)
    texts = {item.label for item in shown} | {item.help for item in shown}
    texts |= {choice for item in CONTROLS if item.kind == "radio" for choice in item.choices}
    for _, _, label, help_, choices in _OPTIONS:
        texts |= {label, *choices} | ({f"({help_})"} if help_ else set())  # the host puts it into parentheses
    return texts | _of_the_tab() | _of_the_scripts() | {"Download", PREVIEW, RECORDING, *TARGETS.values()}


def _of_the_scripts() -> set[str]:
    scripts = (path.read_text("utf-8") for path in (ROOT / "javascript").glob("*.js"))
    return {text for script in scripts for text in re.findall(r'\b(?:translated|say)\(\s*"([^"]+)"', script)}


@pytest.mark.filterwarnings("default")
def test_the_tab_s_texts_are_found() -> None:
    found = _of_the_tab()
    assert {"Inspect", "Turn into sound", "One song", "Whole song", "The clips appear here.", "png is exact."} <= found
    assert {"Choosing", "Check for silence", "sound chunks (WAV)", "music", "Previous page"} <= found


@pytest.mark.filterwarnings("default")  # gradio's own, of its dependencies
@pytest.mark.parametrize("path", LANGUAGES, ids=lambda path: path.stem)
def test_every_visible_string_is_translated_and_nothing_is_left_over(path: Path) -> None:
    texts = json.loads(path.read_text("utf-8"))
    wanted = _visible()
    assert sorted(wanted - set(texts)) == []
    assert sorted(set(texts) - wanted) == []
    assert all(isinstance(text, str) and text.strip() for text in texts.values())
