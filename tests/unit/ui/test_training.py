"""The page "Training set": its controls, and runs that are followed, stopped, refused and abandoned."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from riffusion_ext.dataset import pipeline as building
from riffusion_ext.dataset.review import open_set
from riffusion_ext.dataset.settings import CaptionSettings, DatasetSettings, ExportSettings
from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.dataset import page_values
from riffusion_ext.options.dataset import settings_of as settings_of_values
from riffusion_ext.params import PRESETS
from riffusion_ext.ui.fields.training import training_controls
from riffusion_ext.ui.layout.background_task import BackgroundTask
from riffusion_ext.ui.layout.page_context import PageContext, parse_folder
from riffusion_ext.ui.pages.training import default_folder, make, new_task

# gradio 3 and 4 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")


def settings_of(shown: dict[str, Any]) -> DatasetSettings:
    return settings_of_values(page_values(shown))


# --- controls --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened() -> dict[str, Any]:
    gr = pytest.importorskip("gradio", exc_type=ImportError)
    with gr.Blocks(analytics_enabled=False):
        return {name: control.value for name, control in training_controls().items()}


@pytest.fixture
def values(opened: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a new page."""
    return deepcopy(opened)


CHANGES: list[tuple[dict[str, Any], Callable[[DatasetSettings], Any], Any]] = [
    ({"trigger": "  rfx "}, lambda s: s.captions.trigger, "rfx"),
    ({"template": "{title}"}, lambda s: s.captions.template, "{title}"),
    ({"columns": 256}, lambda s: s.slicing.columns, 256),
    ({"overlap": 0.5}, lambda s: s.slicing.overlap, 0.5),
    ({"align": "bar"}, lambda s: s.slicing.align, "bar"),
    ({"last": "pad"}, lambda s: s.slicing.last, "pad"),
    ({"scale": "song"}, lambda s: s.slicing.scale, "song"),
    ({"preset": "20khz-stereo"}, lambda s: s.slicing.params, PRESETS["20khz-stereo"]),
    ({"preset": "custom", "custom": "max_frequency=12000"}, lambda s: s.slicing.params.max_frequency, 12000),
    ({"stems": ["drums", "vocals"]}, lambda s: s.slicing.stems, ("drums", "vocals")),
    ({"first": 3}, lambda s: s.curation.first, 3),
    ({"final": 4}, lambda s: s.curation.last, 4),
    ({"check_silence_db": False}, lambda s: s.curation.silence_db, None),
    ({"silence_db": -60}, lambda s: s.curation.silence_db, -60),
    ({"check_transition": False}, lambda s: s.curation.transition, None),
    ({"transition": 0.7}, lambda s: s.curation.transition, 0.7),
    ({"check_duplicate": False}, lambda s: s.curation.duplicate, None),
    ({"duplicate": 0.6}, lambda s: s.curation.duplicate, 0.6),
    ({"check_clipping": False}, lambda s: s.curation.clipping, None),
    ({"clipping": 0.05}, lambda s: s.curation.clipping, 0.05),
    ({"broken": False}, lambda s: s.curation.broken, False),
    ({"target": 200}, lambda s: s.curation.target, 200),
    (
        {"formats": ["kohya (folder N_name)", "sound chunks (WAV)", "diffusers (metadata.jsonl)"]},
        lambda s: s.export.formats,
        ("kohya", "audio", "diffusers"),
    ),
    ({"formats": []}, lambda s: s.export.formats, ()),
    ({"kohya_repeats": 5}, lambda s: s.export.kohya_repeats, 5),
    ({"kohya_name": " folk "}, lambda s: s.export.kohya_name, "folk"),
    ({"audio_rate": "32000"}, lambda s: s.export.audio_rate, 32000),
    ({"audio_seconds": 7.5}, lambda s: s.export.audio_seconds, 7.5),
]


def test_page_defaults_are_those_of_the_command_line(values: dict[str, Any]):
    assert settings_of(values) == DatasetSettings()


@pytest.mark.parametrize(("change", "part", "expected"), CHANGES, ids=["-".join(change) for change, *_ in CHANGES])
def test_each_control_sets_exactly_its_setting(
    change: dict[str, Any], part: Callable[[DatasetSettings], Any], expected: Any, values: dict[str, Any]
):
    assert part(settings_of(values)) != expected
    changed = settings_of({**values, **change})
    assert part(changed) == expected
    before, after = settings_of(values).as_dict(), changed.as_dict()
    assert sum(before[group][name] != after[group][name] for group in before for name in before[group]) == 1


def test_every_control_is_tested(values: dict[str, Any]):
    assert {name for change, _, _ in CHANGES for name in change} == set(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": None, "kohya_repeats": None}, "A value is missing: columns, kohya repeats."),
        ({"columns": 5}, "between 16 and 16384, got 5"),
        ({"overlap": 0.95}, "between 0 and 0.9"),
        ({"align": "noon"}, "none, beat, bar"),
        ({"preset": "custom", "custom": "max_frequency=high"}, "max_frequency must be a number"),
    ],
)
def test_invalid_values_are_refused(change: dict[str, Any], words: str, values: dict[str, Any]):
    with pytest.raises(RiffusionError, match=re.escape(words)):
        settings_of({**values, **change})


# --- folders ---------------------------------------------------------------------------------------------------------


def test_pasted_folder_names_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for text in ("~/my songs", "my songs", ' "~/my songs" ', f"'{tmp_path}/my songs'", f"{tmp_path}/my songs/"):
        assert parse_folder(text) == tmp_path / "my songs"
    with pytest.raises(RiffusionError, match="no user"):
        parse_folder("~nobody-of-that-name/songs")


def test_each_collection_has_a_folder_of_its_own(tmp_path: Path, narrow: DatasetSettings, songs: Path):
    sets = tmp_path / "datasets"
    assert default_folder(sets, songs) == sets / "songs"
    (sets / "songs").mkdir(parents=True)  # a run that was killed before it wrote anything
    assert default_folder(sets, songs) == sets / "songs"
    building.build(songs, sets / "songs", narrow, jobs=1)
    assert default_folder(sets, songs) == sets / "songs"
    assert default_folder(sets, tmp_path / "other" / "songs") == sets / "songs-2"
    assert default_folder(sets, Path("/")) == sets / "songs-2"
    assert default_folder(sets, tmp_path / "other" / "..").parent == sets


# --- runs ------------------------------------------------------------------------------------------------------------


def share(html: str) -> float:
    return float(re.findall(r'aria-valuenow="([\d.]+)"', html)[0])


def test_run_reports_progress_and_makes_a_training_set(
    songs: Path, context: PageContext, narrow: DatasetSettings, tmp_path: Path
):
    shown = list(make(new_task(), f' "{songs}" ', "", context, narrow))
    bars = [share(html) for html, _ in shown if "progressbar" in html]
    assert bars[0] == 0.0
    assert bars == sorted(bars)
    assert {50.0, 100.0} <= set(bars)
    assert any("1 of 2 songs" in html for html, _ in shown)
    out = tmp_path / "results" / "datasets" / "songs"
    html, made = shown[-1]
    assert made == str(out)
    assert all(folder == "" for html, folder in shown if "progressbar" in html)
    assert f"8 of 12 windows kept, in {out / 'pictures'}. Left out: ending 2, intro 2." in html
    assert "Turned back into sound and measured" in html
    assert len(open_set(out)[1].kept) == 8


def test_chosen_folder_and_settings_are_used(
    songs: Path, context: PageContext, narrow: DatasetSettings, tmp_path: Path
):
    settings = replace(narrow, captions=CaptionSettings("{trigger} {title}", "rfx"), export=ExportSettings(("kohya",)))
    *_, (_, made) = make(new_task(), str(songs), f"'{tmp_path}/mine'", context, settings)
    assert made == str(tmp_path / "mine")
    assert len(list((tmp_path / "mine" / "kohya").rglob("*.txt"))) == 8


def test_bad_song_is_reported_in_one_line_by_its_name(songs: Path, context: PageContext, narrow: DatasetSettings):
    (songs / "<b>bad & ugly.mp3").write_text("no music")
    *_, (html, made) = make(new_task(), str(songs), "", context, narrow)
    assert html.count('role="alert"') == 1
    assert "&lt;b&gt;bad &amp; ugly.mp3" in html
    assert str(songs) not in html
    assert "8 of 12 windows kept" in html
    assert made


def test_undecodable_names_are_shown(songs: Path, context: PageContext, narrow: DatasetSettings):
    name = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    try:
        shutil.copy(songs / "one.wav", songs / name)
        (songs / f"bad {name}").write_text("no music")
    except OSError:
        pytest.skip("this file system wants UTF-8")
    for html, _ in make(new_task(), str(songs), "", context, narrow):
        assert html.encode("utf-8")
    assert "bad caf?.wav" in html


def test_list_of_failures_is_truncated(songs: Path, context: PageContext, narrow: DatasetSettings):
    for number in range(15):
        (songs / f"bad{number}.mp3").write_text("no music")
    *_, (html, _) = make(new_task(), str(songs), "", context, narrow)
    assert html.count('role="alert"') == 13
    assert "3 more files" in html


@pytest.mark.parametrize(
    ("songs", "words"),
    [
        ("  ", "name a folder of songs first"),
        ("/no/such/folder", "no such file or folder: /no/such/folder"),
        ('"', "no sound"),
    ],
)
def test_invalid_song_folder_is_reported_in_one_sentence(
    songs: str, words: str, context: PageContext, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    *_, (html, made) = make(new_task(), songs, "", context, DatasetSettings())
    assert words in html
    assert 'role="alert"' in html
    assert made == ""
    assert not (tmp_path / "results").exists()


def test_invalid_settings_are_reported_before_the_work(songs: Path, context: PageContext, tmp_path: Path):
    settings = DatasetSettings(captions=CaptionSettings("{titel}"))
    *_, (html, _) = make(new_task(), str(songs), "", context, settings)
    assert "titel" in html
    assert not (tmp_path / "results").exists()


def test_invalid_output_folder_and_unexpected_error_are_reported(
    songs: Path, context: PageContext, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
):
    *_, (html, _) = make(new_task(), str(songs), str(songs / "one.wav"), context, narrow)
    assert 'role="alert"' in html

    def fail(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("oops <3")

    monkeypatch.setattr(building, "build", fail)
    *_, (html, _) = make(new_task(), str(songs), "", context, narrow)
    assert "This did not work: ZeroDivisionError: oops &lt;3" in html


def test_empty_training_set_is_reported(songs: Path, context: PageContext, narrow: DatasetSettings):
    settings = replace(narrow, curation=replace(narrow.curation, silence_db=0.0))
    *_, (html, made) = make(new_task(), str(songs), "", context, settings)
    assert "Nothing was kept" in html
    assert "Turned back into sound and measured" not in html
    assert made


def test_unreached_target_is_reported(songs: Path, context: PageContext, narrow: DatasetSettings):
    settings = replace(narrow, curation=replace(narrow.curation, target=1000))
    *_, (html, _) = make(new_task(), str(songs), "", context, settings)
    assert "8 windows are kept, 1,000 were wanted; the most were left out as endings of songs (2)" in html
    *_, (html, _) = make(
        new_task(), str(songs), "", context, replace(settings, curation=replace(narrow.curation, target=8))
    )
    assert "were wanted" not in html


def test_failed_verification_keeps_the_summary(
    songs: Path, context: PageContext, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
):
    def fail(*args: Any) -> Iterator[Any]:
        raise RiffusionError("the image is gone")

    monkeypatch.setattr("riffusion_ext.dataset.verify.verify", fail)
    *_, (html, made) = make(new_task(), str(songs), "", context, narrow)
    assert "8 of 12 windows kept" in html
    assert "the image is gone" in html
    assert made


class Held:
    """A build that runs until it is stopped or released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.ended, self.go_on = threading.Event(), threading.Event(), threading.Event()
        self.stopped = False
        real = building.build

        def build(*args: Any, cancelled: Callable[[], bool], **options: Any) -> Any:
            self.began.set()
            while not self.go_on.is_set() and not cancelled():
                time.sleep(0.01)
            self.stopped = cancelled()
            time.sleep(1.0)  # longer than the polling interval of the page
            try:
                return real(*args, cancelled=cancelled, **options)
            finally:
                self.ended.set()

        monkeypatch.setattr(building, "build", build)
        monkeypatch.setattr(building, "_POLL_INTERVAL_S", 0.001)  # short songs are done before the page polls again


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


def free(task: BackgroundTask) -> bool:
    """Return whether the run ends within a moment."""
    for _ in range(200):
        if not task._busy.locked():
            return True
        time.sleep(0.05)
    return False


def test_stopping_ends_the_run_with_a_message(songs: Path, context: PageContext, narrow: DatasetSettings, held: Held):
    task = new_task()
    assert task.stop() == ""
    steps = make(task, str(songs), "", context, narrow)
    assert "Looking at the songs" in next(steps)[0]
    html, _ = next(steps)
    assert "Stopping" not in html
    assert "Stopping;" in task.stop()
    assert task.stopping
    assert "Stopping;" in next(steps)[0]
    *_, (html, made) = steps
    assert held.stopped
    assert "Stopped. Press the button again to go on from here." in html
    assert "Stopping" not in html
    assert made
    assert not task.stopping
    held.go_on.set()
    *_, (html, _) = make(task, str(songs), "", context, narrow)  # the stop request does not affect the next run
    assert "8 of 12 windows kept" in html


def test_second_run_is_refused_while_the_first_is_active(
    songs: Path, context: PageContext, narrow: DatasetSettings, held: Held
):
    task = new_task()
    first = make(task, str(songs), "", context, narrow)
    next(first), next(first)
    *_, (html, made) = make(task, str(songs), "", context, narrow)
    assert "A training set is being made already" in html
    assert made == ""
    assert not task.stopping, "a refused press stops nothing"
    held.go_on.set()
    *_, (html, _) = first
    assert "8 of 12 windows kept" in html


def test_closed_generator_stops_the_run(songs: Path, context: PageContext, narrow: DatasetSettings, held: Held):
    task = new_task()
    with closing(make(task, str(songs), "", context, narrow)) as steps:
        next(steps), next(steps), next(steps)
        assert held.began.is_set()
    *_, (html, _) = make(task, str(songs), "", context, narrow)
    assert "being made already" in html, "no other run starts until this one has ended"
    assert held.ended.wait(20)
    assert held.stopped
    assert free(task)


def test_run_stops_when_nobody_reads_its_progress(
    songs: Path, context: PageContext, narrow: DatasetSettings, held: Held, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("riffusion_ext.ui.layout.background_task._TIMEOUT_S", 1.5)
    task = new_task()
    steps = make(task, str(songs), "", context, narrow)
    for _ in range(7):  # longer than the timeout, but its progress is read
        next(steps)
    assert not held.ended.is_set()
    assert held.ended.wait(20)
    assert held.stopped
    assert free(task)
    steps.close()


def test_run_into_a_locked_folder_is_refused(
    songs: Path, context: PageContext, narrow: DatasetSettings, tmp_path: Path
):
    from riffusion_ext.dataset.store import Store

    with Store(tmp_path / "mine").locked():
        *_, (html, made) = make(new_task(), str(songs), str(tmp_path / "mine"), context, narrow)
    assert "another run is working in" in html
    assert made == ""
