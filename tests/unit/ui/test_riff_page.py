"""The page "Riff": its controls, and songs that are regenerated, remixed and compared."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, read_tags, write_audio
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.restore import settings_in
from riffusion_ext.generate.riff_settings import PRESETS_RIFF, RiffSettings
from riffusion_ext.options.riff import settings_of, values_of
from riffusion_ext.ui.fields.riff import riff_controls
from riffusion_ext.ui.layout.page_context import Upload
from riffusion_ext.ui.layout.result_panel import values_from_file
from riffusion_ext.ui.pages.riff import make, new_task, play_difference, remix, resume
from tests.unit.extenders import MIDDLE, use
from tests.unit.small import SMALL_TEXT
from tests.unit.ui.studio import Studio, page_of, sources

# gradio 3 and 4 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")
CONTROLS = riff_controls  # of the page that `page_values` lays out

OPTIONS = {"batch": 2, "engine": "fast", "format": "wav"}
SECONDS = 4.0
RATE = 8000  # that of SMALL_TEXT
QUICK = {"preset": "custom", "custom": SMALL_TEXT, "width": 128, "overlap": 48}


@pytest.fixture
def song(tmp_path: Path) -> Upload:
    t = np.arange(int(SECONDS * RATE)) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 440 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * t))
    clip = AudioClip(np.stack([wave, 0.5 * wave]).astype(np.float32), RATE)
    return Upload(write_audio(clip, tmp_path / "in" / "upload.wav"), "my <song>.wav")


@pytest.fixture
def values(page_values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a new page, with a prompt."""
    return deepcopy(page_values) | {"prompt": "disco"}


@pytest.fixture
def short(values: dict[str, Any]) -> RiffSettings:
    return settings_of(values | QUICK)


LINES = "0:10 | a | denoise 0.2\n4 bars | b -- c | seed 9"
CHANGES: list[tuple[dict[str, Any], Any, Any]] = [
    ({"prompt": " polka "}, lambda s: s.keyframes[0].prompt, "polka"),
    ({"negative": "vocals"}, lambda s: s.keyframes[0].negative, "vocals"),
    ({"seed": 77}, lambda s: s.keyframes[0].seed, 77),
    ({"denoise": "0.25"}, lambda s: s.keyframes[0].denoise, 0.25),
    ({"cfg": "4.5"}, lambda s: s.keyframes[0].cfg, 4.5),
    ({"denoise": "0:00 0.2, 0:30 0.4"}, lambda s: s.denoise and s.denoise.at(15), pytest.approx(0.3)),
    ({"cfg": "0:00 4, 0:30 8"}, lambda s: s.cfg and s.cfg.at(15), pytest.approx(6)),
    ({"score": LINES}, lambda s: [frame.denoise for frame in s.keyframes], [0.2, 0.3]),
    ({"score": LINES, "seed": 3}, lambda s: [frame.seed for frame in s.keyframes], [3, 9]),
    ({"stretch": False}, lambda s: s.stretch, False),
    ({"start": "0:01.5"}, lambda s: s.start, 1.5),
    ({"duration": "2"}, lambda s: s.duration, 2.0),
    ({"channels": "double"}, lambda s: s.channels, "double"),
    ({"spread": 0.5}, lambda s: s.spread, 0.5),
    ({"wet": "0:00 0, 0:10 1"}, lambda s: s.wet.at(5), 0.5),
    ({"law": "linear"}, lambda s: s.law, "linear"),
    ({"width": 256}, lambda s: s.width, 256),
    ({"overlap": 64}, lambda s: s.overlap, 64),
    ({"steps": 12}, lambda s: s.steps, 12),
    ({"sampler": "Euler"}, lambda s: s.sampler, "Euler"),
    ({"level": "peak"}, lambda s: s.level, "peak"),
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
        "batch",
        "engine",
        "format",
        "high_frequencies",
    } == set(values)


def test_default_denoising_lies_within_the_riff_presets(values: dict[str, Any]):
    settings = settings_of(values)
    assert settings == RiffSettings(settings.keyframes)
    recipes = [recipe["denoise"] for recipe in PRESETS_RIFF.values()]
    assert min(recipes) <= settings.keyframes[0].denoise <= max(recipes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"denoise": "much"}, "the denoising strength"),
        ({"denoise": "1.5"}, "the denoising strength must lie between 0 and 1"),
        ({"cfg": "0"}, "the CFG scale must lie between 1 and 30"),
        ({"wet": "0 1, 2"}, "the share of the result"),
        ({"start": "soon"}, "'soon' is no time"),
        ({"score": "nothing"}, "line 1"),
        ({"seed": None}, "A value is missing: seed."),
        ({"channels": "stereo", "preset": "20khz-stereo"}, "needs images in mono"),
    ],
)
def test_invalid_values_are_refused(change: dict[str, Any], words: str, values: dict[str, Any]):
    with pytest.raises(RiffusionError, match=words):
        settings_of(values | change)


@pytest.mark.parametrize(("channels", "preset"), [("mono", "riffusion-v1"), ("stereo", "custom"), ("double", "custom")])
def test_riff_has_the_length_of_its_song_in_all_channel_modes(
    channels: str, preset: str, values: dict[str, Any], studio: Studio, song: Upload, tmp_path: Path
):
    context = studio.context(tmp_path)
    settings = settings_of(values | QUICK | {"preset": preset, "channels": channels})
    page = page_of(make(new_task(), context, song, settings, OPTIONS))
    (path,) = tmp_path.glob("riffs/*-*-*/*.wav")
    assert sources(page["result"]) == [f"URL/{path.parent.name}/{path.name}"]
    assert "my &lt;song&gt;" in page["result"]
    clip = read_audio(path)
    assert clip.samples.shape == (1 if channels == "mono" else 2, int(SECONDS * settings.params.sample_rate))
    assert clip.sample_rate == settings.params.sample_rate == (44100 if preset == "riffusion-v1" else RATE)
    kind, made = settings_in(path)
    assert kind == "riff"
    assert made.keyframes[0].seed == page["extra"]["seed"]
    assert any(sources(html) for html in page["stretches"].values())
    assert settings_of(values | values_from_file(str(path), "riff", values_of)[0]) == made


def test_preview_generates_one_window_that_the_song_reuses(
    values: dict[str, Any], studio: Studio, song: Upload, tmp_path: Path
):
    context = studio.context(tmp_path)
    task = new_task()
    small = values | QUICK
    page = page_of(make(task, context, song, settings_of(small), OPTIONS, limit=1))
    assert studio.generated == 1
    assert "first window" in page["result"]
    assert not any(page["stretches"].values())
    assert not (tmp_path / "riffs" / "unfinished.json").exists()
    settings = settings_of(small | {"seed": page["extra"]["seed"]})
    page_of(make(task, context, song, settings, OPTIONS))
    windows = len(list((tmp_path / "riffs" / "windows").glob("*/windows/*.png")))
    assert studio.generated == windows > 1, "the first window was not generated again"


def test_stopped_riff_is_resumed(short: RiffSettings, studio: Studio, song: Upload, tmp_path: Path):
    context = studio.context(tmp_path)
    studio.fail_at = 2
    page = page_of(make(new_task(), context, song, short, OPTIONS))
    assert "out of paint" in page["status"]
    assert list(tmp_path.glob("riffs/*-*-*/*(unfinished).wav"))
    studio.fail_at = None
    page = page_of(resume(new_task(), context))
    assert "Saved as" in page["status"]
    assert studio.generated == len(list((tmp_path / "riffs" / "windows").glob("*/windows/*.png")))
    studio.fail_at = 0
    page_of(make(new_task(), context, song, short, OPTIONS))
    song.path.unlink()
    assert "The song my &lt;song&gt;.wav is gone" in page_of(resume(new_task(), context))["status"]


def test_result_is_remixed_without_generating(short: RiffSettings, studio: Studio, song: Upload, tmp_path: Path):
    context = studio.context(tmp_path)
    values = {"wet": "0", "law": "linear", "level": "recorded", "format": "wav"}
    assert "make one first" in remix(context, {}, values)
    done = page_of(make(new_task(), context, song, short, OPTIONS))["extra"]["done"]
    generated = studio.generated
    html = remix(context, done, values)
    assert len(sources(html)) == 1
    (path,) = tmp_path.glob("riffs/*-*-*/*(mix 0).wav")
    original = read_audio(song.path)
    assert np.allclose(read_audio(path).samples, original.samples, atol=2e-4), "a mix of 0 is the song"
    assert settings_in(path)[1].wet.at(0) == 0
    for lost in (False, True):
        assert len(sources(play_difference(context, done, values, lost=lost))) == 1
    assert studio.generated == generated
    assert "the share of the result" in remix(context, done, values | {"wet": "loud"})


def test_file_that_is_not_audio_is_refused(short: RiffSettings, studio: Studio, tmp_path: Path):
    context = studio.context(tmp_path)
    (tmp_path / "bad.mp3").write_text("no music")
    page = page_of(make(new_task(), context, Upload(tmp_path / "bad.mp3", "bad.mp3"), short, OPTIONS))
    assert 'role="alert"' in page["status"]
    assert studio.generated == 0


@pytest.mark.parametrize(("choice", "rate"), [("auto", 48000), ("off", 16000)])
def test_remix_has_the_high_frequencies_of_the_result_and_differences_have_none(
    choice: str,
    rate: int,
    short: RiffSettings,
    studio: Studio,
    song: Upload,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    use(monkeypatch)
    context = studio.context(tmp_path)
    options = OPTIONS | {"high_frequencies": choice}
    done = page_of(make(new_task(), context, song, replace(short, params=MIDDLE), options))["extra"]["done"]
    remix(context, done, {"wet": "0.5", "law": "linear", "level": "peak", "format": "wav"})
    (mixed,) = tmp_path.glob("riffs/*-*-*/*(mix 0.5).wav")
    play_difference(context, done, {"wet": "1", "law": "linear", "level": "peak", "format": "wav"}, lost=False)
    (gained,) = tmp_path.glob("riffs/*-*-*/*(gained).wav")
    for path, expected, added in ((mixed, rate, choice == "auto"), (gained, 16000, False)):
        assert read_audio(path).sample_rate == expected
        assert ("added from 7000 Hz" in read_tags(path)["comment"]) == added
