"""Options for decoding images to sound: accepted and refused values."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio.io import FORMATS
from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.sound import CONTROLS, SoundOptions, control, options_from_args
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.codec import ENGINES, HIGH_FREQUENCIES, LEVELS


def test_sound_options_agree_with_the_core() -> None:
    assert control("engine").choices == ENGINES
    assert control("level").choices == LEVELS
    assert control("format").choices == FORMATS
    assert control("high_frequencies").choices == HIGH_FREQUENCIES
    assert asdict(SoundOptions()) == {item.id: item.default for item in CONTROLS}


def test_order_of_the_api_arguments_is_fixed() -> None:
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
        "high_frequencies",
    ]


@pytest.mark.parametrize("item", CONTROLS, ids=lambda item: item.id)
def test_each_sound_control_is_valid(item: Any) -> None:
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


def test_custom_parameters_are_parsed() -> None:
    options = options_from_args(
        [{"preset": "Custom", "custom": " max_frequency = 16000,stereo=TRUE; step_size_ms=12.5"}]
    )
    assert options.params == SpectrogramParams(max_frequency=16000, stereo=True, step_size_ms=12.5)  # type: ignore[arg-type]
    assert options_from_args([{"preset": "custom"}]).params == SpectrogramParams()
    assert options_from_args([{"preset": "riffusion-v1", "custom": "nonsense"}]).params == SpectrogramParams()
    assert options_from_args([{"custom": "max_frequency=16000"}]).params is None, "the image decides"
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
def test_invalid_custom_parameters_are_refused(text: str, words: list[str]) -> None:
    options = options_from_args([{"preset": "custom", "custom": text}])  # no error yet, because the sound may be off
    with pytest.raises(RiffusionError) as caught:
        _ = options.params
    for word in words:
        assert word in str(caught.value)


def test_xyz_axis_wins_over_the_arguments() -> None:
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
def test_errors_name_the_value_and_the_allowed_ones(args: list[Any], words: list[str]) -> None:
    with pytest.raises(RiffusionError) as caught:
        options_from_args(args)
    for word in words:
        assert word in str(caught.value)


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), max_size=10))
def test_any_arguments_give_options_or_an_error(args: list[Any]) -> None:
    try:
        options = options_from_args(args)
    except RiffusionError:
        return
    for item in CONTROLS:
        assert item.clean(getattr(options, item.id)) == getattr(options, item.id)
