"""The page "Song": its controls, and songs that are played during generation, stopped, resumed and restored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.formats.wav import read_layout
from riffusion_ext.audio.io import read_audio
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity
from riffusion_ext.generate.restore import settings_in
from riffusion_ext.generate.song import SongSettings
from riffusion_ext.options.song import settings_of, values_of
from riffusion_ext.params import PRESETS
from riffusion_ext.services.model_provider import BackendModel
from riffusion_ext.ui.fields.song import song_controls
from riffusion_ext.ui.layout.generation_page import MAX_SEGMENTS, PageUpdate
from riffusion_ext.ui.layout.result_panel import values_from_file
from riffusion_ext.ui.layout.resume_state import ResumeState
from riffusion_ext.ui.pages import loop
from riffusion_ext.ui.pages.song import build_page, last_end, make, new_task, restore_images, resume, window_image
from tests.unit.extenders import MIDDLE, use
from tests.unit.small import SMALL_TEXT
from tests.unit.ui.studio import Studio, page_of, sources

# gradio 3 and 4 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")
CONTROLS = song_controls  # of the page that `page_values` lays out

OPTIONS = {"batch": 2, "engine": "fast", "format": "wav"}
SCORE = "6 | funky bass | seed 3\n2 | <b>piano</b>"
QUICK = {"preset": "custom", "custom": SMALL_TEXT}


@pytest.fixture
def values(page_values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a new page, with a score."""
    return deepcopy(page_values) | {"score": "2 bars | a\n0:03 | b -- c | seed 5 | cfg 9", "batch": 2}


@pytest.fixture
def short(values: dict[str, Any]) -> SongSettings:
    """Return settings of 10 small windows."""
    return settings_of(values | QUICK | {"score": SCORE, "width": 128, "overlap": 48, "level": "recorded"})


@pytest.fixture
def tall(short: SongSettings) -> SongSettings:
    """Return the same settings with windows of the model's height."""
    return replace(short, params=PRESETS["riffusion-v1"])


CHANGES: list[tuple[dict[str, Any], Any, Any]] = [
    ({"negative": " noise "}, lambda s: s.score.keyframes[0].negative, "noise"),
    ({"bpm": 90}, lambda s: s.score.bpm, 90),
    ({"beats_per_bar": 3}, lambda s: s.score.beats_per_bar, 3),
    ({"seed": 77}, lambda s: s.score.keyframes[0].seed, 77),
    ({"cfg": 5}, lambda s: s.score.keyframes[0].cfg, 5),
    ({"denoise": 0.5}, lambda s: s.score.keyframes[0].denoise, 0.5),
    ({"power": 0.5}, lambda s: s.score.power, 0.5),
    ({"back": True}, lambda s: s.score.loop, True),
    ({"join": "plain"}, lambda s: s.join, "plain"),
    ({"beat": "backbeat"}, lambda s: s.beat, "backbeat"),
    ({"seeds": "new"}, lambda s: s.seeds, "new"),
    ({"width": 256}, lambda s: s.width, 256),
    ({"overlap": 64}, lambda s: s.overlap, 64),
    ({"steps": 12}, lambda s: s.steps, 12),
    ({"sampler": "Euler"}, lambda s: s.sampler, "Euler"),
    ({"level": "loudness"}, lambda s: s.level, "loudness"),
    ({"preset": "20khz-stereo"}, lambda s: s.params.stereo, True),
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
    assert {name for change, *_ in CHANGES for name in change} | {
        "score",
        "batch",
        "engine",
        "format",
        "high_frequencies",
    } == set(values)


def test_page_defaults_are_the_default_settings(values: dict[str, Any]):
    settings = settings_of(values)
    assert settings == SongSettings(settings.score)
    assert [frame.seed for frame in settings.score.keyframes] == [-1, 5]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"score": " "}, "write at least one line"),
        ({"score": "a\nb"}, "line 1"),
        ({"bpm": None, "beats_per_bar": None}, "A value is missing: bpm, beats per bar."),
        ({"bpm": 1}, "between 20 and 400"),
        ({"preset": "custom", "custom": "max_frequency=high"}, "max_frequency must be a number"),
        ({"seed": -7}, "a seed must lie between"),
    ],
)
def test_invalid_values_are_refused(change: dict[str, Any], words: str, values: dict[str, Any]):
    with pytest.raises(RiffusionError, match=words):
        settings_of(values | change)


def test_song_can_be_played_during_generation_and_then_whole(tall: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    seen: list[PageUpdate] = list(make(new_task(), context, tall, OPTIONS, {}))
    heard = [index for index, shown in enumerate(seen) if any(sources(html) for html in shown.segments.values())]
    assert len(heard) >= 3
    assert seen[heard[0]].segments.keys() == {0}, "the first window comes first"
    assert not any(seen[index].status or seen[index].result for index in heard), (
        "updates of players change nothing else"
    )
    page = page_of(seen)
    filled = [number for number, html in page["stretches"].items() if html]
    assert filled == list(range(len(filled)))
    (source,) = sources(page["result"])
    assert "funky bass" in page["result"]
    assert "seed 3" in page["result"]
    assert "Saved as" in page["status"]
    assert "Riffusion song: " in page["status"]
    assert "<b>" not in page["status"]
    (path,) = tmp_path.glob("songs/*-*-*/*.wav")
    assert source == f"URL/{path.parent.name}/{path.name}"
    assert read_audio(path).duration == pytest.approx(8.0, abs=1e-4)
    assert settings_in(path) == ("song", tall.resolve_seeds())
    assert not (tmp_path / "songs" / "unfinished.json").exists()
    progress = [shown.status for shown in seen if shown.status and "progressbar" in shown.status]
    assert any("Window 3 of 10" in status for status in progress)
    assert any("left" in status for status in progress)


@pytest.mark.parametrize("ending", ["flac", "mp3"])
def test_song_is_saved_in_other_formats(ending: str, short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    page_of(make(new_task(), context, short, OPTIONS | {"format": ending}, {}))
    (path,) = tmp_path.glob(f"songs/*-*-*/*.{ending}")
    assert settings_in(path)[0] == "song"


def test_stopped_song_keeps_its_part_and_is_resumed(short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    task = new_task()
    assert task.stop() == ""
    steps = make(task, context, short, OPTIONS, {})
    for shown in steps:
        if any(sources(html) for html in shown.segments.values()):
            studio.go_on.clear()  # the next batch is held until the interrupt
            break
    assert "Stopping" in task.stop()
    page = page_of(steps)
    assert "Stopped after" in page["status"]
    assert "Resume goes on from there" in page["status"]
    (part,) = tmp_path.glob("songs/*-*-*/*(unfinished).wav")
    assert sources(page["result"]) == [f"URL/{part.parent.name}/{part.name}"]
    assert 0.5 < read_audio(part).duration < 7.9
    before = studio.generated
    assert 0 < before < 10
    studio.go_on.set()
    page = page_of(resume(new_task(), context))  # even after a restart
    assert studio.generated == 10
    assert "Saved as" in page["status"]
    assert "Stopped" not in page["status"]
    assert "There is nothing to resume" in page_of(resume(task, context))["status"]


def test_random_seed_is_kept_when_resuming(values: dict[str, Any], studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    settings = settings_of(values | QUICK | {"score": "4 | a", "width": 128, "overlap": 32})
    studio.fail_at = 2
    page = page_of(make(new_task(), context, settings, OPTIONS, {}))
    assert "This did not work: ZeroDivisionError: out of paint. 2 of" in page["status"]
    assert "windows are kept; Resume goes on from there" in page["status"]
    studio.fail_at = None
    page_of(resume(new_task(), context))
    assert len({seed for request in studio.requests for seed in request.seeds if request.init is None}) >= 1
    whole, part = (settings_in(path)[1] for path in sorted(tmp_path.glob("songs/*-*-*/*.wav")))
    assert whole.score == part.score


def test_images_are_used_by_the_song_and_when_resuming(values: dict[str, Any], studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    settings = settings_of(values | {"score": "2 | a | seed 1", "width": 128, "overlap": 32, "denoise": 0.5})
    images = {
        "seed_picture": Image.new("RGB", (128, 512), (200, 100, 50)),
        "mask": Image.new("RGB", (64, 64), "white"),
        "before": Image.new("RGB", (90, 512), "black"),
    }
    studio.fail_at = 1
    page_of(make(new_task(), context, settings, OPTIONS | {"batch": 1}, images))
    studio.fail_at = None
    page_of(resume(new_task(), context))
    firsts = [request for request in studio.requests if request.init is not None]
    assert firsts[0].init.getpixel((127, 0)) == (200, 100, 50)
    assert firsts[0].init.getpixel((0, 0)) == (0, 0, 0)
    assert firsts[0].mask is not None
    assert studio.generated == len(list((tmp_path / "songs" / "windows").rglob("0*.png"))), (
        "no window is generated twice"
    )


def test_files_have_the_configured_sample_format(short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path, subtype=lambda: "float")
    page_of(make(new_task(), context, short, OPTIONS, {}))
    (path,) = tmp_path.glob("songs/*-*-*/*.wav")
    with path.open("rb") as file:
        assert read_layout(file).is_float


def test_resuming_with_another_model_is_refused(short: SongSettings, studio: Studio, tmp_path: Path):
    """It would silently start from the beginning."""
    context = studio.context(tmp_path)
    studio.fail_at = 3
    page_of(make(new_task(), context, short, OPTIONS, {}))
    studio.fail_at, studio.name = None, "another"
    page = page_of(resume(new_task(), context))
    assert "was started with the model studio; choose it to go on, not another." in page["status"]
    assert studio.generated == 3
    studio.name = "studio"
    page_of(resume(new_task(), context))
    assert studio.generated == 10


class Doubtful(BackendModel):
    """A model provider whose checkpoint is not Riffusion."""

    def checkpoint_warning(self) -> str:
        return "The checkpoint <cats> is none."


def test_checkpoint_that_is_not_riffusion_is_warned_about_at_once(short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path, model=Doubtful(lambda: studio))
    steps = list(make(new_task(), context, short, OPTIONS, {}))
    assert "&lt;cats&gt; is none" in str(steps[0].result)
    assert "&lt;cats&gt; is none" in str(steps[-1].status)
    assert not any("cats" in str(shown.status) for shown in steps[:-1]), "a screen reader would repeat it"


def test_resuming_without_a_stored_image_is_refused(studio: Studio, tmp_path: Path):
    unfinished = ResumeState(tmp_path / "songs")
    unfinished.save({"settings": {}}, {"mask": Image.new("L", (8, 8))})
    for path in (tmp_path / "songs" / "pictures").iterdir():
        path.unlink()
    with pytest.raises(RiffusionError, match="an image of it is gone"):
        unfinished.load()
    (tmp_path / "songs" / "unfinished.json").write_text("[]")
    with pytest.raises(RiffusionError, match="cannot be resumed"):
        unfinished.load()


def test_second_run_is_refused_and_keeps_the_players(short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    task = new_task()
    studio.go_on.clear()
    first = make(task, context, short, OPTIONS, {})
    next(first)
    (shown,) = make(task, context, short, OPTIONS, {})
    assert "A song is being made already" in (shown.status or "")
    assert shown.result is None
    assert not shown.segments
    studio.go_on.set()
    assert "Saved as" in page_of(first)["status"]


def test_closing_the_page_stops_the_generation(short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    task = new_task()
    studio.go_on.clear()
    with closing(make(task, context, short, OPTIONS, {})) as steps:
        next(steps)
        assert studio.at_work.wait(10)
    for _ in range(200):
        if not task._busy.locked():
            break
        time.sleep(0.05)
    assert studio.interrupted
    assert not task._busy.locked()


@pytest.mark.parametrize("change", [{"overlap": 100}, {"width": 100}, {"steps": 151}, {"bridge_denoise": 1.1}])
def test_settings_out_of_range_are_refused(change: dict[str, Any], values: dict[str, Any]):
    with pytest.raises(RiffusionError, match="must"):
        settings_of(values | change)
    if "overlap" in change:
        settings_of(values | change | {"join": "plain"})


@pytest.mark.parametrize("change", [{"join": "plain", "before": True}, {"mask": True}])
def test_invalid_settings_are_reported_before_the_work(
    change: dict[str, Any], values: dict[str, Any], studio: Studio, tmp_path: Path
):
    context = studio.context(tmp_path)
    settings = settings_of(values | change)
    images = {name: Image.new("RGB", (64, 512)) for name in ("before", "mask") if name in change}
    page = page_of(make(new_task(), context, settings, OPTIONS, images))
    assert 'role="alert"' in page["status"]
    assert studio.generated == 0
    assert not list(tmp_path.iterdir())


def test_own_files_restore_the_page_and_foreign_files_do_not(
    short: SongSettings, values: dict[str, Any], studio: Studio, tmp_path: Path
):
    context = studio.context(tmp_path)
    page_of(make(new_task(), context, short, OPTIONS, {}))
    (path,) = tmp_path.glob("songs/*-*-*/*.wav")
    for file in (str(path), SimpleNamespace(name=str(path), orig_name="mine.wav")):
        found, note = values_from_file(file, "song", values_of)
        assert note == ""
        assert settings_of(values | found) == short.resolve_seeds()
    image = next(tmp_path.glob("songs/windows/**/00000.png"))
    assert settings_of(values | values_from_file(str(image), "song", values_of)[0]) == short.resolve_seeds()
    found, note = values_from_file(str(path), "loop", values_of)
    assert found == {}
    assert "is a song: drop it on the page of that name" in note
    (tmp_path / "no.wav").write_bytes(b"no sound")
    assert "does not say how it was made" in values_from_file(str(tmp_path / "no.wav"), "song", values_of)[1]
    assert values_from_file(None, "song", values_of) == ({}, "")


def test_file_restores_the_images_it_was_made_from(short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    seed = Image.effect_noise((100, 64), 50).convert("RGB")
    page_of(make(new_task(), context, short, OPTIONS, {"seed_picture": seed, "mask": None, "before": None}))
    (path,) = tmp_path.glob("songs/*-*-*/*.wav")
    found, note = restore_images(context, path)
    assert (found["mask"], found["before"]) == (None, None)
    assert found["seed_picture"] is not None
    assert found["seed_picture"].tobytes() == seed.tobytes()
    assert "Choose" not in note
    generated = studio.generated
    page_of(make(new_task(), context, short, OPTIONS, found))
    assert studio.generated == generated  # it is the same song
    for image in tmp_path.glob("songs/pictures/*"):
        image.unlink()
    found, note = restore_images(context, path)
    assert found["seed_picture"] is None
    assert "Choose its init image: that is not kept here" in note


def test_number_of_segments_is_limited_to_the_players(studio: Studio, values: dict[str, Any], tmp_path: Path):
    context = studio.context(tmp_path)
    settings = settings_of(values | QUICK | {"score": "11 | a | seed 1", "width": 64, "overlap": 16})
    page = page_of(make(new_task(), context, settings, OPTIONS, {}))
    assert set(page["stretches"]) == set(range(MAX_SEGMENTS))


def test_run_that_ends_late_does_not_delete_a_newer_resume_state(tmp_path: Path):
    """After a reload of the page, the run still active and the new one are two runs."""
    first, second = ResumeState(tmp_path), ResumeState(tmp_path)
    first.save({"settings": 1}, {})
    second.save({"settings": 2}, {})
    first.forget()
    assert second.load()[0] == {"settings": 2}
    second.forget()
    with pytest.raises(RiffusionError, match="nothing to resume"):
        second.load()


@pytest.mark.parametrize("build", [build_page, loop.build_page])
def test_image_components_transfer_images_losslessly(build: Any, studio: Studio, tmp_path: Path):
    """Images pass through the page, where gradio 4 would convert them to lossy WebP."""
    gr = pytest.importorskip("gradio", exc_type=ImportError)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    with gr.Blocks(analytics_enabled=False) as page:
        build(studio.context(tmp_path, send=lambda *_: None))
    images = [block for block in page.blocks.values() if isinstance(block, gr.Image)]
    assert images
    for block in images:
        block.GRADIO_CACHE = str(tmp_path)
        arrived = block.preprocess(block.postprocess(noise))
        assert np.array_equal(np.asarray(arrived.convert("RGB")), np.asarray(noise)), block.label


def test_window_image_of_a_song_can_be_shown(short: SongSettings, studio: Studio, tmp_path: Path):
    assert "make one first" in window_image("", 1)[1]
    context = studio.context(tmp_path)
    folder = page_of(make(new_task(), context, short, OPTIONS, {}))["extra"]["windows"]
    image, why = window_image(folder, 2)
    assert why == ""
    assert image is not None
    assert image.size == (128, 64)
    assert "Window 11 is not generated yet; there are 10." in window_image(folder, 11)[1]


def test_song_continues_from_the_end_of_the_last_one(short: SongSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    assert "make one first" in last_end(context)[1]
    page_of(make(new_task(), context, short, OPTIONS, {}))
    end, why = last_end(context)
    assert why == ""
    assert end is not None
    assert end.size == (128, 64)
    before = len(studio.requests)
    page_of(make(new_task(), context, short, OPTIONS, {"before": end}))
    first = min(studio.requests[before:], key=lambda request: request.init is None)
    assert first.init is not None
    left = first.init.crop((0, 0, 48, 64))
    assert left.tobytes() == end.crop((80, 0, 128, 64)).tobytes()


def test_status_of_the_backend_is_shown(short: SongSettings, studio: Studio, tmp_path: Path):
    studio.delay = 1.0
    studio.activity = Activity(waiting=True)
    said = []
    for shown in make(new_task(), studio.context(tmp_path), short, OPTIONS, {}):
        said.append(shown.status or "")
        if "waiting" in said[-1]:
            studio.activity = Activity(3, 30)
    (waiting,) = {text for text in said if "waiting until the webui has finished its other work" in text}
    assert "Window 1 of " in waiting
    steps = [text for text in said if "step 3 of 30" in text]
    assert steps
    assert 'aria-valuenow="0.0"' in waiting
    assert 'aria-valuenow="0.0"' not in steps[0]
    assert "Saved as" in said[-1]


def test_styles_are_applied_to_all_prompts(values: dict[str, Any]):
    def styled(prompt: str, negative: str, styles: Sequence[str]) -> tuple[str, str]:
        return f"{prompt}, {' and '.join(styles)}", f"{negative}, noise"

    score = "4 | sax -- vocals\n4 | harp"
    plain = settings_of(values | {"score": score, "styles": []}, styled)
    made = settings_of(values | {"score": score, "styles": ["live", "slow"]}, styled)
    assert [frame.prompt for frame in plain.score.keyframes] == ["sax", "harp"]
    assert [frame.prompt for frame in made.score.keyframes] == ["sax, live and slow", "harp, live and slow"]
    assert [frame.negative for frame in made.score.keyframes] == ["vocals, noise", ", noise"]
    assert settings_of(values | values_of(made), styled) == made, "styles are not applied twice"


@pytest.mark.parametrize(("chosen", "named"), [("automatic", "DPM++ 2M"), ("Euler", "Euler")])
def test_file_names_its_sampler(chosen: str, named: str, values: dict[str, Any], studio: Studio, tmp_path: Path):
    settings = settings_of(values | QUICK | {"score": "1 | a", "width": 128, "overlap": 48, "sampler": chosen})
    context = studio.context(tmp_path, model=BackendModel(lambda: studio, default_sampler="DPM++ 2M"))
    assert "Saved as" in page_of(make(new_task(), context, settings, OPTIONS, {}))["status"]
    (path,) = (tmp_path / "songs").glob("*-*-*/*.wav")
    assert values_from_file(str(path), "song", values_of)[0]["sampler"] == named
    assert {request.sampler for request in studio.requests} == {named}


@pytest.mark.parametrize(("choice", "rate"), [("auto", 48000), ("off", 16000), (None, 16000)])
def test_high_frequencies_are_added_to_a_song_and_when_resuming(
    choice: str | None,
    rate: int,
    values: dict[str, Any],
    studio: Studio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """A song that was left unfinished before there was a choice is finished without high frequencies."""
    use(monkeypatch)
    context = studio.context(tmp_path)
    settings = replace(settings_of(values | QUICK | {"score": "2 | a", "width": 128, "overlap": 32}), params=MIDDLE)
    studio.fail_at = 1
    options = OPTIONS if choice is None else OPTIONS | {"high_frequencies": choice}
    page_of(make(new_task(), context, settings, OPTIONS | {"batch": 1} | options, {}))
    studio.fail_at = None
    assert "Saved as" in page_of(resume(new_task(), context))["status"]
    for path in tmp_path.glob("songs/*-*-*/*.wav"):
        assert read_audio(path).sample_rate == rate
