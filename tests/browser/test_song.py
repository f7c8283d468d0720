"""The pages Song, Riff and Loop in a real browser, with a fake backend."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, write_audio
from tests.browser.conftest import PAGE_BUTTONS, ROOT, server_log, serving
from tests.browser.page import PLAYS, fill, press_until, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT = 90_000
BATCH_SECONDS = 2.0


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("song") / "results"


@pytest.fixture(scope="module")
def url(results: Path) -> Iterator[str]:
    results.mkdir()
    program = ("-m", "tests.browser.generation_server", "PORT", str(results), str(BATCH_SECONDS))
    with serving(results, *program) as address:
        yield address
    assert "Traceback" not in server_log(results.parent)


@pytest.fixture
def page(chromium: Any, url: str) -> Iterator[Any]:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(WAIT)
    page.goto(url)
    page.wait_for_selector("#riffusion_pictures_go")
    yield page
    page.close()


def open_page(page: Any, name: str) -> None:
    page.locator(PAGE_BUTTONS, has_text=re.compile(f"^ *{name} *$")).first.click()
    page.locator(f"#riffusion_{name.lower()}_go").wait_for(state="visible")


def until_window(page: Any, first: int) -> None:
    """Wait until a song has reached a window."""
    page.wait_for_function(
        "first => { const said = document.getElementById('riffusion_song_status').innerText.match(/Window (\\d+) of/);"
        " return said && Number(said[1]) >= first; }",
        arg=first,
    )


def play(page: Any, element: str) -> None:
    page.eval_on_selector(f"#{element} audio", "audio => { audio.loop = true; audio.muted = true; audio.play(); }")
    page.wait_for_function(PLAYS, arg=f"#{element}")


def test_windows_can_be_played_during_generation_and_continue_after_it(page: Any, results: Path):
    open_page(page, "Song")
    fill(page, "riffusion_song_score", "8 bars | funky bass\n0:06 | piano -- vocals | cfg 8")
    page.click("#riffusion_song_go")
    until_window(page, 3)
    page.wait_for_selector("#riffusion_song_part_1 audio")
    assert "of 6" in page.inner_text("#riffusion_song_status")
    assert page.locator("#riffusion_song_result audio").count() == 0, "the result appears at the end only"
    play(page, "riffusion_song_part_1")
    page.evaluate("document.querySelector('#riffusion_song_part_1 audio').mark = 'the same'")
    page.wait_for_selector("#riffusion_song_result audio")
    until(page, "riffusion_song_status", "Saved as")
    page.wait_for_function("() => document.querySelector('#riffusion_song_result audio').duration > 0")
    kept = page.eval_on_selector("#riffusion_song_part_1 audio", "audio => [audio.mark, audio.paused]")
    assert kept == ["the same", False], "a playing player is not replaced"
    duration = page.eval_on_selector("#riffusion_song_result audio", "audio => audio.duration")
    assert duration == pytest.approx(22.0, abs=0.01)
    assert page.locator("#riffusion_song_part_2 audio").count() == 1
    (path,) = results.glob("songs/*-*-*/*.wav")
    page.click("#riffusion_song_status summary")
    assert "Riffusion song: " in page.inner_text("#riffusion_song_status pre")
    with page.expect_download() as download:
        page.click("#riffusion_song_result a[download]")
    assert Path(download.value.path()).read_bytes() == path.read_bytes()


def test_stopped_song_is_resumed_and_its_file_restores_the_page(page: Any, results: Path):
    open_page(page, "Song")
    fill(page, "riffusion_song_score", "0:23 | slow strings")
    fill(page, "riffusion_song_bpm", "90")
    page.click("#riffusion_song_go")
    page.wait_for_selector("#riffusion_song_part_1 audio")
    began = time.monotonic()
    page.click("#riffusion_song_stop")
    said = until(page, "riffusion_song_status", "Stopped after")
    assert time.monotonic() - began < 15
    assert re.search(r"Stopped after [1-5] of 6 windows; Resume goes on from there\.", said)
    page.wait_for_selector("#riffusion_song_result audio")
    (part,) = results.glob("songs/*-*-*/*(unfinished).wav")
    page.click("#riffusion_song_resume")
    page.wait_for_function(
        "() => { const s = document.getElementById('riffusion_song_status').innerText;"
        " return s.includes('Saved as') && !s.includes('Stopped'); }"
    )
    whole = max(results.glob("songs/*-*-*/*.wav"), key=lambda path: path.stat().st_mtime)
    assert read_audio(whole).duration == pytest.approx(23.0, abs=0.01)
    assert read_audio(part).duration < 23
    fill(page, "riffusion_song_score", "")
    fill(page, "riffusion_song_bpm", "120")
    page.click("#riffusion_song_restoring .label-wrap")
    page.set_input_files("#riffusion_song_restore input[type=file]", str(whole))
    until(page, "riffusion_song_status", "The settings are those of the file")
    score = page.input_value("#riffusion_song_score textarea")
    assert re.fullmatch(r"0:23 \| slow strings \| seed \d+", score)
    assert page.input_value("#riffusion_song_bpm input") == "90"


def test_a_riff_is_previewed_generated_and_compared(page: Any, results: Path, tmp_path: Path):
    t = np.arange(8 * 44100) / 44100
    wave = (0.3 * np.sin(2 * np.pi * 330 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * t))).astype(np.float32)
    song = write_audio(AudioClip(wave[None], 44100), tmp_path / "tune.wav")
    open_page(page, "Riff")
    page.click("#riffusion_riff_go")
    until(page, "riffusion_riff_status", "choose files first")
    page.set_input_files("#riffusion_riff_file input[type=file]", str(song))
    page.wait_for_selector("#riffusion_riff_file a[href]")
    fill(page, "riffusion_riff_prompt", "disco")
    page.click("#riffusion_riff_preview")
    until(page, "riffusion_riff_result", "tune (first window)")
    seed = int(page.input_value("#riffusion_riff_seed input"))
    assert seed >= 0
    page.click("#riffusion_riff_go")
    page.wait_for_function("() => document.querySelector('#riffusion_riff_result audio')?.duration > 7.9")
    assert f"seed {seed}" in page.inner_text("#riffusion_riff_result")
    for button, text in (("gained", "tune (gained)"), ("lost", "tune (lost)"), ("mix", "tune (mix 1)")):
        page.click(f"#riffusion_riff_{button}")
        until(page, "riffusion_riff_listening", text)
    assert len(list(results.glob("riffs/*-*-*/tune.wav")) + list(results.glob("riffs/*-*-*/* tune.wav"))) == 1


def test_choosing_a_recipe_sets_its_numbers(page: Any):
    open_page(page, "Riff")
    page.click("#riffusion_riff_recipe input")
    page.locator("ul[role=listbox] li, ul.options li", has_text="Bold").first.click()
    page.wait_for_function("() => document.querySelector('#riffusion_riff_denoise textarea').value === '0.4'")
    assert page.input_value("#riffusion_riff_cfg textarea") == "8"
    assert page.input_value("#riffusion_riff_steps input[type=number]") == "50"


def test_loop_result_repeats_and_has_the_exact_length(page: Any):
    open_page(page, "Loop")
    fill(page, "riffusion_loop_prompt", "techno")
    fill(page, "riffusion_loop_bars", "1")
    page.click("#riffusion_loop_go")
    page.wait_for_selector("#riffusion_loop_result audio[loop]")
    page.wait_for_function("() => document.querySelector('#riffusion_loop_result audio').duration > 0")
    assert page.eval_on_selector("#riffusion_loop_result audio", "a => a.duration") == pytest.approx(2.0, abs=0.01)


def test_invalid_score_is_reported_on_the_page(page: Any):
    open_page(page, "Song")
    page.click("#riffusion_song_go")
    assert "write at least one line" in until(page, "riffusion_song_status", "no keyframe")
    fill(page, "riffusion_song_score", "soon | jazz")
    assert "'soon' is no duration" in press_until(page, "riffusion_song_go", "riffusion_song_status", "line 1")


@pytest.mark.skipif(int(version("gradio").split(".")[0]) > 4, reason="only webuis send images; they have gradio 3 or 4")
def test_sending_an_image_opens_the_song_page(page: Any):
    page.evaluate("window.onUiLoaded = () => {}")
    page.add_script_tag(path=ROOT / "javascript" / "riffusion.js")
    for name in ("seed_picture", "before"):
        page.locator(PAGE_BUTTONS, has_text="Inspect").first.click()
        assert page.evaluate(f"switch_to_riffusion_{name}(1, 2)") == [1, 2]
        page.locator(f"#riffusion_song_{name}").first.wait_for(state="visible")
