"""The page "Loop": its controls, and loops of exact length."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from riffusion_ext.audio.io import read_audio
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.loop import LoopSettings
from riffusion_ext.generate.restore import settings_in
from riffusion_ext.options.loop import settings_of, values_of
from riffusion_ext.ui.fields.loop import loop_controls
from riffusion_ext.ui.pages.loop import make, new_task
from tests.unit.ui.studio import Studio, page_of, sources

# gradio 3 and 4 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")
CONTROLS = loop_controls  # of the page that `page_values` lays out

OPTIONS = {"engine": "fast", "format": "wav"}


@pytest.fixture
def values(page_values: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(page_values) | {"prompt": "techno"}


CHANGES: list[tuple[dict[str, Any], Any, Any]] = [
    ({"prompt": " dub "}, lambda s: s.prompt, "dub"),
    ({"negative": "vocals"}, lambda s: s.negative, "vocals"),
    ({"bars": 1}, lambda s: s.bars, 1.0),
    ({"bpm": 90}, lambda s: s.bpm, 90),
    ({"beats_per_bar": 3}, lambda s: s.beats_per_bar, 3),
    ({"seed": 77}, lambda s: s.seed, 77),
    ({"cfg": 5}, lambda s: s.cfg, 5),
    ({"denoise": 0.5}, lambda s: s.denoise, 0.5),
    ({"beat": "offbeat"}, lambda s: s.beat, "offbeat"),
    ({"steps": 12}, lambda s: s.steps, 12),
    ({"sampler": "Euler"}, lambda s: s.sampler, "Euler"),
    ({"level": "loudness"}, lambda s: s.level, "loudness"),
    ({"preset": "custom", "custom": "max_frequency=12000"}, lambda s: s.params.max_frequency, 12000),
]


@pytest.mark.parametrize(("change", "part", "expected"), CHANGES, ids=["-".join(change) for change, *_ in CHANGES])
def test_each_control_sets_its_setting_and_is_restored(
    change: dict[str, Any], part: Any, expected: Any, values: dict[str, Any]
):
    assert part(settings_of(values)) != expected
    settings = settings_of(values | change)
    assert part(settings) == expected
    assert settings_of(values | values_of(settings)) == settings


def test_every_control_is_tested(values: dict[str, Any]):
    assert {name for change, *_ in CHANGES for name in change} | {"engine", "format", "high_frequencies"} == set(values)
    assert settings_of(values) == LoopSettings("techno")


def test_invalid_values_are_refused(values: dict[str, Any], studio: Studio, tmp_path: Path):
    with pytest.raises(RiffusionError, match="A value is missing: bars, bpm"):
        settings_of(values | {"bars": None, "bpm": None})
    context = studio.context(tmp_path)
    page = page_of(make(new_task(), context, settings_of(values | {"bars": 99}), OPTIONS))
    assert "a loop must be" in page["status"]
    assert studio.generated == 0


def test_loop_has_a_repeating_player_and_its_exact_length(values: dict[str, Any], studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    settings = settings_of(values | {"bars": 1, "bpm": 133})
    page = page_of(make(new_task(), context, settings, OPTIONS, Image.new("RGB", (64, 512), "gray")))
    assert "<audio controls loop" in page["result"]
    (path,) = tmp_path.glob("loops/*-*-*/*techno.wav")
    assert len(sources(page["result"])) == 1
    samples = round(4 * 60 / 133 * 44100)
    assert read_audio(path).samples.shape[1] == samples
    assert f"1 bar at 133 BPM, {samples} samples." in page["status"]
    assert f"Saved as {path}" in page["status"]
    assert "Riffusion loop: " in page["status"]
    assert b"smpl" in path.read_bytes()
    assert settings_in(path)[0] == "loop"
    (request,) = studio.requests
    assert request.loop
    assert request.init is not None


def test_stopping_is_no_error(values: dict[str, Any], studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    task = new_task()
    studio.go_on.clear()
    steps = make(task, context, settings_of(values), OPTIONS)
    next(steps)
    task.stop()
    page = page_of(steps)
    assert "Stopped before the loop was finished." in page["status"]
    assert sources(page["result"]) == []
