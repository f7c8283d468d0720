"""The page "Training set" in a real browser: a set is built, reviewed, played and edited."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import write_audio
from riffusion_ext.dataset.review import open_set
from tests.browser.conftest import PAGE_BUTTONS, server_log, serving
from tests.browser.page import PLAYS, fill, until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT = 120_000
ROOT = Path(__file__).resolve().parents[2]
RATE = 22050
MANY = 90


def plucked(path: Path, seconds: float, seed: int) -> Path:
    """Write a song of plucked notes over a little noise."""
    rng = np.random.default_rng(seed)
    wave = 0.01 * rng.standard_normal(round(seconds * RATE))
    for start in range(0, len(wave), RATE // 4):
        t = np.arange(min(RATE // 2, len(wave) - start)) / RATE
        pitch = 110 * 2 ** (rng.integers(0, 30) / 12)
        wave[start : start + len(t)] += 0.2 * np.exp(-5 * t) * np.sin(2 * np.pi * pitch * t)
    return write_audio(AudioClip(wave.astype(np.float32)[None], RATE), path)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training") / "results"


@pytest.fixture(scope="module")
def url(results: Path) -> Iterator[str]:
    with serving(results) as address:
        yield address
    assert "Traceback" not in server_log(results.parent)


@pytest.fixture
def page(chromium: Any, url: str) -> Iterator[Any]:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    yield at_home(page, url)
    page.close()


def at_home(page: Any, url: str) -> Any:
    page.set_default_timeout(WAIT)
    page.goto(url)
    page.wait_for_selector("#riffusion_pictures_go")
    page.locator(PAGE_BUTTONS, has_text="Training set").first.click()
    page.locator("#riffusion_training_go").wait_for(state="visible")
    return page


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music") / "songs"
    for number in range(1, 4):
        plucked(folder / f"song {number}.wav", 31.0, number)
    (folder / "broken.mp3").write_text("no music")
    return folder


@pytest.fixture(scope="module")
def made(chromium: Any, url: str, songs: Path, results: Path) -> Path:
    """Build a set of the songs on the page; return its folder."""
    page = at_home(chromium.new_page(), url)
    fill(page, "riffusion_training_songs", f'"{songs}"')
    page.click("#riffusion_training_go")
    page.wait_for_selector("#riffusion_training_status .riffusion-progress > div")
    until(page, "riffusion_training_status", "of 4 songs")
    said = until(page, "riffusion_training_status", "Turned back into sound and measured")
    assert re.search(r"12 of 18 windows kept.*Left out: ending 3, intro 3", said)
    assert "broken.mp3" in said
    until(page, "riffusion_review_note", "12 of 18 windows kept. Page 1 of 2.")
    out = results / "datasets" / "songs"
    assert page.input_value("#riffusion_review_folder textarea, #riffusion_review_folder input") == str(out)
    page.close()
    return out


@pytest.fixture
def sheet(page: Any, made: Path, tmp_path: Path) -> tuple[Any, Path]:
    """Return a page that shows a copy of the set, and the copy."""
    out = Path(shutil.copytree(made, tmp_path / "set"))
    fill(page, "riffusion_review_folder", str(out))
    page.click("#riffusion_review_show")
    until(page, "riffusion_review_note", "Page 1 of 2")
    page.wait_for_function("() => document.querySelectorAll('.riffusion-cell img').length >= 12")
    return page, out


def caption_of(page: Any, number: int) -> Any:
    return page.locator(f"#riffusion_review_caption_{number} textarea")


def test_review_shows_windows_and_plays_one_at_a_time(sheet: tuple[Any, Path]):
    page, _ = sheet
    assert page.locator(".riffusion-cell:visible").count() == 12
    assert "intro" in page.locator(".riffusion-cell").first.inner_text()
    page.click("#riffusion_review_play_2")
    page.wait_for_function(PLAYS, arg=".riffusion-cell:has(#riffusion_review_play_2)")
    page.click("#riffusion_review_play_3")
    page.wait_for_function(PLAYS, arg=".riffusion-cell:has(#riffusion_review_play_3)")
    playing = page.eval_on_selector_all(".riffusion-cell audio", "all => all.filter(a => !a.paused).length")
    assert playing == 1
    assert page.eval_on_selector(".riffusion-cell audio", "a => a.duration") == pytest.approx(5.11, abs=0.02)


def test_decisions_and_captions_are_saved_to_disk(sheet: tuple[Any, Path]):
    page, out = sheet
    windows = open_set(out)[1].windows
    page.locator("#riffusion_review_keep_1 input").check()
    page.locator("#riffusion_review_keep_2 input").uncheck()
    caption_of(page, 3).fill("quite another <b>one</b>")
    page.click("#riffusion_review_save")
    until(page, "riffusion_review_note", "3 changed windows saved. 12 of 18 windows kept.")
    assert (out / "pictures" / windows[0].file).is_file()
    assert (out / "rejected" / windows[1].file).is_file()
    text = (out / "pictures" / windows[2].file).with_suffix(".txt").read_text("utf-8")
    assert text.strip() == "quite another <b>one</b>"
    assert caption_of(page, 3).input_value() == "quite another <b>one</b>"


def test_edits_survive_paging_and_filtering(sheet: tuple[Any, Path]):
    page, out = sheet
    caption_of(page, 2).fill("edited on page one")
    page.click("#riffusion_review_onward")
    until(page, "riffusion_review_note", "1 changed window saved. 12 of 18 windows kept. Page 2 of 2.")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.riffusion-cell')].filter(c => c.offsetParent).length == 6"
    )
    caption_of(page, 2).fill("edited on page two")
    fill(page, "riffusion_review_words", "edited on")
    page.locator("#riffusion_review_words textarea, #riffusion_review_words input").press("Enter")
    until(page, "riffusion_review_note", "1 changed window saved. 12 of 18 windows kept. Page 1 of 1.")
    shown = [caption_of(page, number).input_value() for number in (1, 2)]
    assert shown == ["edited on page one", "edited on page two"]
    assert {"edited on page one", "edited on page two"} <= {window.caption for window in open_set(out)[1].windows}


def test_find_and_replace_reaches_all_pages(sheet: tuple[Any, Path]):
    page, out = sheet
    fill(page, "riffusion_review_find", "song")
    fill(page, "riffusion_review_put", "chanson")
    page.click("#riffusion_review_replace")
    until(page, "riffusion_review_note", "18 captions changed.")
    assert caption_of(page, 1).input_value().startswith("chanson")
    captions = [path.read_text("utf-8") for path in (out / "pictures").glob("*.txt")]
    assert len(captions) == 12
    assert all("chanson" in caption for caption in captions)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Enough songs that a run can still be stopped by the button."""
    first = plucked(tmp_path / "many" / "0.wav", 60.0, 9)
    for number in range(1, MANY):
        shutil.copy(first, first.with_name(f"{number}.wav"))
    return first.parent


def begin(page: Any, songs: Path, out: Path) -> None:
    fill(page, "riffusion_training_songs", str(songs))
    fill(page, "riffusion_training_out", str(out))
    page.click("#riffusion_training_go")
    until(page, "riffusion_training_status", f"of {MANY} songs")


def test_page_stays_usable_during_a_run_and_stop_ends_it(sheet: tuple[Any, Path], many: Path, tmp_path: Path):
    page, _ = sheet
    begin(page, many, tmp_path / "out")
    page.click("#riffusion_review_play_2")
    page.wait_for_function(PLAYS, arg=".riffusion-cell:has(#riffusion_review_play_2)")
    assert f"of {MANY} songs" in page.inner_text("#riffusion_training_status")
    page.click("#riffusion_training_stop")
    until(page, "riffusion_training_status", "Stopping;")
    until(page, "riffusion_training_status", "Stopped. Press the button again")
    until(page, "riffusion_review_note", "windows kept")
    assert 0 < len(open_set(tmp_path / "out")[1].songs) < MANY


def test_closing_the_page_ends_the_run(chromium: Any, url: str, many: Path, tmp_path: Path):
    other = at_home(chromium.new_page(), url)
    begin(other, many, tmp_path / "out")
    other.close()
    for _ in range(160):  # the set is written when the run has ended
        if (tmp_path / "out" / "manifest.json").exists():
            break
        time.sleep(0.5)
    assert 0 < len(open_set(tmp_path / "out")[1].songs) < MANY


def test_page_fits_a_narrow_screen(sheet: tuple[Any, Path]):
    page, _ = sheet
    page.set_viewport_size({"width": 480, "height": 900})
    page.wait_for_timeout(500)
    wide = page.evaluate(
        "() => [...document.querySelectorAll('#riffusion_page_training *')].filter(e => e.offsetParent"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.className)"
    )
    assert wide == []


# --- handing over ----------------------------------------------------------------------------------------------------

TAB = """
<div id="tabs"><div class="tab-nav"><button>txt2img</button>
  <button id="tab_dreambooth_interface-button">Dreambooth </button></div></div>
<div id="tab_dreambooth_interface" class="tabitem">
  <label><span>Concepts List Extra</span><textarea id="not"></textarea></label>
  <label><input type="checkbox" id="use"><span>Use Concepts List</span></label>
  <label><span>Concepts List</span><textarea id="list"></textarea></label>
</div>"""
OURS = """
<div id="riffusion_review_folder"><label><textarea>{folder}</textarea></label></div>
<button id="riffusion_to_dreambooth" class="lg riffusion-hand-over">Send to Dreambooth</button>"""


@pytest.fixture
def handing(chromium: Any) -> Iterator[Any]:
    page = chromium.new_page()
    page.set_default_timeout(20_000)

    def opened(markup: str) -> Any:
        page.set_content(f"<body>{markup}</body>")
        page.add_style_tag(path=ROOT / "style.css")
        page.evaluate(
            "() => { window.seen = []; window.said = []; window.onUiLoaded = call => call();"
            " window.alert = text => said.push(text);"
            " for (const type of ['input', 'change', 'click']) document.addEventListener(type,"
            " event => seen.push(`${type} ${event.target.textContent.trim() || event.target.id}`)); }"
        )
        page.add_script_tag(path=ROOT / "javascript" / "riffusion.js")
        return page

    yield opened
    page.close()


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("/music/my set", "/music/my set/concepts_list.json"),
        (' "/music/set/" ', "/music/set/concepts_list.json"),
        (r"C:\music\set", r"C:\music\set\concepts_list.json"),
        ("C:\\music\\set\\", r"C:\music\set\concepts_list.json"),
        (r"C:\music/set", r"C:\music/set/concepts_list.json"),
    ],
)
@pytest.mark.parametrize("used", [False, True])
def test_list_of_concepts_is_filled_into_the_dreambooth_tab(handing: Any, folder: str, path: str, used: bool):
    page = handing(TAB.replace('id="use"', 'id="use" checked' if used else 'id="use"') + OURS.format(folder=folder))
    page.click("#riffusion_to_dreambooth")
    assert page.input_value("#list") == path
    assert page.input_value("#not") == ""
    assert page.is_checked("#use")
    seen = page.evaluate("seen")
    assert {"input list", "change list", "click Dreambooth"} <= set(seen)
    assert ("click use" in seen) is not used
    assert seen.index("click Dreambooth") > seen.index("change list")
    assert page.evaluate("document.activeElement.id") == "list"
    assert page.evaluate("said") == []


def test_without_a_dreambooth_tab_the_button_is_hidden(handing: Any):
    assert not handing(OURS.format(folder="/set")).is_visible("#riffusion_to_dreambooth")
    page = handing(TAB + OURS.format(folder="/set"))
    assert page.is_visible("#riffusion_to_dreambooth")
    page.eval_on_selector("#riffusion_to_dreambooth", "button => { button.className = 'lg riffusion-hand-over'; }")
    assert page.is_visible("#riffusion_to_dreambooth"), "whatever gradio does to the classes"


def test_dreambooth_tab_without_the_expected_fields_is_reported_and_unchanged(handing: Any):
    page = handing(TAB.replace("Use Concepts List", "Use Concepts") + OURS.format(folder="/set"))
    page.click("#riffusion_to_dreambooth")
    (said,) = page.evaluate("said")
    assert "/set/concepts_list.json" in said
    assert page.input_value("#list") == ""
    page = handing(TAB + OURS.format(folder=" "))
    page.click("#riffusion_to_dreambooth")
    assert page.evaluate("said") == ["Make or name a training set first."]
