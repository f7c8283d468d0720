"""The standalone tab in a real browser: from uploaded files to working players."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext import metadata
from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import write_audio
from riffusion_ext.params import PRESETS
from riffusion_ext.ui.players import panel, player
from tests.browser.conftest import PAGE_BUTTONS, serving
from tests.browser.files import tone
from tests.browser.scenes import SECONDS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT = 60_000


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standalone") / "results"


@pytest.fixture(scope="module")
def url(output: Path) -> Iterator[str]:
    with serving(output) as address:
        yield address


@pytest.fixture
def page(chromium: Any, url: str) -> Iterator[Any]:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(WAIT)
    page.goto(url)
    page.wait_for_selector("#riffusion_pictures_go")
    yield page
    page.close()


def image(path: Path) -> Path:
    rows = np.full(512, 255, np.uint8)
    rows[[250, 300, 400]] = 10
    image = Image.fromarray(np.repeat(rows[:, None], 64, 1)).convert("RGB")
    return metadata.save_image(image, path, PRESETS["riffusion-v1"], 5e6)


def upload(page: Any, element: str, *paths: Path) -> None:
    page.set_input_files(f"#{element} input[type=file]", [str(path) for path in paths])
    page.wait_for_selector(f"#{element} a[href]")  # the name appears before the file has arrived


def open_page(page: Any, name: str) -> None:
    page.locator(PAGE_BUTTONS, has_text=name).first.click()


def test_images_become_players_with_sound(page: Any, tmp_path: Path, output: Path):
    bad = tmp_path / "broken.png"
    bad.write_text("no image")
    upload(page, "riffusion_pictures", image(tmp_path / "first.png"), image(tmp_path / "second.png"), bad)
    page.click("#riffusion_pictures_go")
    page.wait_for_selector("#riffusion_pictures_players audio")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#riffusion_pictures_players audio')].every(a => a.duration > 0)"
    )
    durations = page.eval_on_selector_all("#riffusion_pictures_players audio", "all => all.map(a => a.duration)")
    assert durations == pytest.approx([0.63, 0.63], abs=0.02)
    (alert,) = page.locator("#riffusion_pictures_players [role=alert]").all_inner_texts()
    assert "broken.png" in alert
    assert len(list(output.glob("sounds/*/*.wav"))) == 2
    with page.expect_download() as download:
        page.locator("#riffusion_pictures_players a[download]").first.click()
    assert download.value.suggested_filename == "first.wav"


def test_joined_clip_adds_a_player_and_shows_the_crossfade_control(page: Any, tmp_path: Path):
    fade = page.locator("#riffusion_pictures_crossfade")
    assert not fade.is_visible()
    page.locator("#riffusion_pictures_kind label", has_text="all joined").click()
    fade.wait_for(state="visible")
    upload(page, "riffusion_pictures", image(tmp_path / "first.png"), image(tmp_path / "second.png"))
    page.click("#riffusion_pictures_go")
    page.wait_for_function("() => document.querySelectorAll('#riffusion_pictures_players audio').length == 3")


def test_preview_shows_the_beats_and_the_clip_is_cut_to_bars(page: Any, tmp_path: Path, output: Path):
    since = (np.arange(300) - 10) % 50
    row = np.where(np.arange(300) < 10, 240, 240 - 200 * np.exp(-since / 12)).astype(np.uint8)
    image = Image.fromarray(np.tile(row, (512, 1))).convert("RGB")
    path = metadata.save_image(image, tmp_path / "beats.png", PRESETS["riffusion-v1"], 5e6)
    go = page.locator("#riffusion_pictures_preview_go")
    assert not go.is_visible()
    page.click("#riffusion_pictures_crop input")
    page.locator("ul[role=listbox] li, ul.options li", has_text="every").first.click()
    go.wait_for(state="visible")
    assert not page.locator("#riffusion_pictures_crop_width").is_visible()
    assert page.locator("#riffusion_pictures_rhythm").is_visible()
    upload(page, "riffusion_pictures", path)
    go.click()
    page.wait_for_function("() => document.querySelector('#riffusion_pictures_preview img')?.naturalWidth == 300")
    assert "beats.png: 1 bar of 4 beats at 120" in page.inner_text("#riffusion_pictures_preview_note")
    page.click("#riffusion_pictures_go")
    page.wait_for_function("() => document.querySelector('#riffusion_pictures_players audio')?.duration > 1.9")
    duration = page.eval_on_selector("#riffusion_pictures_players audio", "audio => audio.duration")
    assert duration == pytest.approx(2.0, abs=0.02)


def test_missing_input_is_reported_on_the_page(page: Any):
    page.click("#riffusion_pictures_go")
    page.wait_for_selector("#riffusion_pictures_players [role=alert]")


def test_a_song_becomes_tiles(page: Any, tmp_path: Path):
    open_page(page, "Audio to images")
    t = np.arange(6 * 44100) / 44100
    clip = AudioClip((0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None], 44100)
    upload(page, "riffusion_songs", write_audio(clip, tmp_path / "song.wav"))
    page.click("#riffusion_songs_go")
    page.wait_for_selector("#riffusion_songs_gallery img")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#riffusion_songs_gallery img')].some(i => i.naturalWidth == 512)"
    )
    assert "2 images made" in page.inner_text("#riffusion_songs_messages")
    assert "pictures.zip" in page.inner_text("#riffusion_songs_made").replace("\n", "")


def test_inspect_shows_the_parameters(page: Any, tmp_path: Path):
    open_page(page, "Inspect")
    upload(page, "riffusion_inspect_file", image(tmp_path / "clip.png"))
    page.wait_for_selector("#riffusion_inspect_table table")
    assert "64 x 512" in page.inner_text("#riffusion_inspect_table")


# Of SD.Next's own style sheet (ui/css/sdnext.css).
SDNEXT = """
    fieldset { width: max-content !important; }
    td { border-bottom: none !important; padding: 0 0.5em !important; }
"""
ENDS = "([of, to]) => document.querySelector(of).getBoundingClientRect().right <= "
ENDS += "document.querySelector(to).getBoundingClientRect().right + 0.5"
LINES = """() => [...document.querySelectorAll('.riffusion-table tr')].slice(0, 3).map(row => {
    const tops = [...row.cells].map(cell => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return range.getBoundingClientRect().bottom;
    });
    return Math.abs(tops[0] - tops[1]);
})"""


def test_sdnext_style_does_not_overflow_choices_or_wrap_table_rows(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 900})
    page.add_style_tag(content=SDNEXT)
    assert page.evaluate(ENDS, ["#riffusion_pictures_kind", "#riffusion_pictures"])
    page.set_viewport_size({"width": 1280, "height": 900})
    open_page(page, "Inspect")
    upload(page, "riffusion_inspect_file", image(tmp_path / "clip.png"))
    page.wait_for_selector("#riffusion_inspect_table table")
    assert max(page.evaluate(LINES)) <= 1


def test_starting_a_player_in_the_tab_pauses_the_other(page: Any, tmp_path: Path) -> None:
    sound = base64.b64encode(tone(tmp_path / "a.wav", SECONDS).read_bytes()).decode()
    clips = panel(player(f"data:audio/wav;base64,{sound}", name, SECONDS, "a.wav") for name in "ab")
    page.eval_on_selector("#riffusion_pictures_players", "(area, clips) => { area.innerHTML = clips; }", clips)
    page.focus(".riffusion-clip >> nth=0 >> a")
    page.keyboard.press("Space")
    plays = "all => [...document.querySelectorAll('audio')].map(a => !a.paused && a.currentTime > 0).join() === all"
    page.wait_for_function(plays, arg="true,false")
    page.eval_on_selector(".riffusion-clip >> nth=1 >> audio", "audio => { audio.play(); }")
    page.wait_for_function(plays, arg="false,true")
