"""The page "Live": its controls and buttons."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio.io import read_audio
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.live import registry as jams
from riffusion_ext.generate.live.session import Jam
from riffusion_ext.generate.live.settings import JamSettings
from riffusion_ext.options.live import settings_of
from riffusion_ext.services.model_provider import BackendModel
from riffusion_ext.ui.fields.live import live_controls
from riffusion_ext.ui.pages import live
from tests.unit.small import LOW_TEXT
from tests.unit.ui.studio import Studio, sources
from tests.unit.waiting import until

# gradio 3 and 4 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")
CONTROLS = live_controls  # of the page that `page_values` lays out

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def studio() -> Studio:
    return Studio(max_batch=1)


@pytest.fixture
def values(page_values: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(page_values) | {"prompt": "funk"}


@pytest.fixture
def small(values: dict[str, Any]) -> dict[str, Any]:
    """Return values of a session that is quickly generated."""
    return values | {"preset": "custom", "custom": LOW_TEXT, "width": 128, "overlap": 64, "ahead": 5}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[jams.JamRegistry]:
    fresh = jams.JamRegistry()
    monkeypatch.setattr(jams, "JAMS", fresh)
    yield fresh
    for jam in fresh._jams.values():
        jam._stop.set()
        jam._last_contact = 0.0
        jam.join(20)


def jam_of(registry: jams.JamRegistry, id_: str) -> Jam:
    jam = registry.get(id_)
    assert jam is not None
    return jam


CHANGES: list[tuple[dict[str, Any], Any, Any]] = [
    ({"prompt": " dub "}, lambda s: s.prompt, "dub"),
    ({"negative": "vocals"}, lambda s: s.negative, "vocals"),
    ({"travel": 8}, lambda s: s.travel, 8),
    ({"ahead": 60}, lambda s: s.ahead, 60),
    ({"bpm": 90}, lambda s: s.bpm, 90),
    ({"beats_per_bar": 3}, lambda s: s.beats_per_bar, 3),
    ({"seed": 77}, lambda s: s.seed, 77),
    ({"cfg": 5}, lambda s: s.cfg, 5),
    ({"denoise": 0.5}, lambda s: s.denoise, 0.5),
    ({"beat": "offbeat"}, lambda s: s.beat, "offbeat"),
    ({"width": 256}, lambda s: s.width, 256),
    ({"overlap": 64}, lambda s: s.overlap, 64),
    ({"steps": 12}, lambda s: s.steps, 12),
    ({"sampler": "Euler"}, lambda s: s.sampler, "Euler"),
    ({"preset": "custom", "custom": "max_frequency=12000"}, lambda s: s.params.max_frequency, 12000),
]


@pytest.mark.parametrize(("change", "part", "expected"), CHANGES, ids=["-".join(change) for change, *_ in CHANGES])
def test_each_control_sets_its_setting(change: dict[str, Any], part: Any, expected: Any, values: dict[str, Any]):
    assert part(settings_of(values)) != expected
    assert part(settings_of(values | change)) == expected


def test_every_control_is_tested(values: dict[str, Any]):
    assert {name for change, *_ in CHANGES for name in change} | {"engine", "high_frequencies", "recordings"} == set(
        values
    )
    assert settings_of(values) == JamSettings("funk", ahead=20)


def test_invalid_values_are_refused(values: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry):
    context = studio.context(tmp_path)
    for change, text in (
        ({"bpm": None}, "A value is missing: bpm"),
        ({"prompt": " "}, "Write a prompt first"),
        ({"recordings": "mp3"}, "wav or flac"),
        ({"overlap": 512}, "half the width"),
    ):
        with pytest.raises(RiffusionError, match=text):
            live.start(context, "", values | change)
    assert list(tmp_path.rglob("*")) == []
    assert studio.generated == 0


def test_session_is_started_recorded_and_stopped(
    small: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry, monkeypatch: pytest.MonkeyPatch
):
    context = studio.context(tmp_path, model=BackendModel(lambda: studio, default_sampler="Euler"))
    id_ = live.start(context, "", small)
    jam = jam_of(registry, id_)
    until(lambda: jam.is_ahead)
    assert studio.requests[0].sampler == "Euler"
    live.queue(context, id_, " jazz ", small | {"negative": " hiss "})
    (wish,) = jam.prompts.queued
    assert (wish.prompt, wish.negative) == ("jazz", "hiss")
    assert live.record(id_)
    jam.report_position(12000)
    assert not live.record(id_)
    (html,) = jam.recordings
    (path,) = tmp_path.glob("jams/*-*-*/*funk.wav")
    assert sources(html) == [f"URL/{path.parent.name}/{path.name}"]
    assert f"Saved as {path}" in html
    assert "Riffusion jam: " in html
    samples = read_audio(path).samples
    jam.store.with_samples(0, 12000, lambda clip: np.testing.assert_array_equal(clip.samples, samples))
    live.stop(id_)
    until(lambda: jam.ended)
    for press in (lambda: live.record(id_), lambda: live.queue(context, id_, "x", small)):
        with pytest.raises(RiffusionError, match="Start the jam first"):
            press()
    live.stop(id_)
    jam._last_contact = 0.0
    until(lambda: not list(tmp_path.glob("jams/playing/*")))


def test_unwritable_recording_is_reported(
    small: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry
):
    id_ = live.start(studio.context(tmp_path), "", small)
    jam = jam_of(registry, id_)
    until(lambda: jam.is_ahead)
    for folder in tmp_path.glob("jams/*-*-*"):
        folder.rmdir()
    (tmp_path / "jams" / time.strftime("%Y-%m-%d")).write_text("in the way")
    live.record(id_)
    jam.report_position(5000)
    live.record(id_)
    assert "riffusion-error" in jam.recordings[0]
    assert not jam.ended


def test_new_session_replaces_the_previous_one(
    small: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry
):
    context = studio.context(tmp_path)
    first = live.start(context, "", small)
    second = live.start(context, first, small)
    until(lambda: jam_of(registry, first).ended)
    assert not jam_of(registry, second).should_end()


def test_started_session_says_why_it_has_no_high_frequencies(
    small: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry
):
    context = studio.context(tmp_path)
    first = live.start(context, "", small)
    assert live.warnings_of(context, first) == ""
    second = live.start(context, first, small | {"high_frequencies": "on"})
    assert "No high frequencies are added: the image ends at" in live.warnings_of(context, second)


def test_refused_start_changes_nothing(
    small: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry
):
    context = studio.context(tmp_path)
    first = live.start(context, "", small)
    with pytest.raises(RiffusionError, match="fast, best"):
        live.start(context, first, small | {"engine": "reference"})
    assert not jam_of(registry, first).should_end()
    assert len(list(tmp_path.glob("jams/playing/*"))) == 1


class Loud(BackendModel):
    """A model provider with one prompt style."""

    def styles(self) -> list[str]:
        return ["loud"]

    def apply_styles(self, prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        return f"{prompt}, {styles[0]}", f"{negative}soft"


def test_styles_are_applied_to_prompt_and_negative_prompt(
    small: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry
):
    context = studio.context(
        tmp_path,
        model=Loud(lambda: studio),
    )
    id_ = live.start(context, "", small | {"styles": ["loud"]})
    jam = jam_of(registry, id_)
    assert (jam.settings.prompt, jam.settings.negative) == ("funk, loud", "soft")
    live.queue(context, id_, "jazz", small | {"styles": ["loud"]})
    assert [wish.prompt for wish in jam.prompts.queued] == ["jazz, loud"]
    with pytest.raises(RiffusionError, match="Write a prompt"):
        live.queue(context, id_, " ", small | {"styles": ["loud"]})


def test_files_of_killed_programs_are_removed(
    small: dict[str, Any], studio: Studio, tmp_path: Path, registry: jams.JamRegistry
):
    import os

    old, new = (tmp_path / "jams" / "playing" / name for name in ("2020-01-01_00-00-00", "2020-01-02_00-00-00"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "000000.pcm").write_bytes(b"12")
    os.utime(old, (0, 0))
    live.start(studio.context(tmp_path), "", small)
    assert not old.exists()
    assert new.exists()


def test_translations_keep_their_placeholders():
    for path in (ROOT / "localizations").glob("*.json"):
        for text, translated in json.loads(path.read_text("utf-8")).items():
            assert sorted(re.findall(r"\{\d\}", text)) == sorted(re.findall(r"\{\d\}", translated)), text
