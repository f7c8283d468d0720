"""The gallery and the players below it, with the installed gradio and in a running webui."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import serving
from tests.browser.files import png
from tests.browser.scenes import SCENES, SECONDS

pytestmark = pytest.mark.browser

SCRIPT = Path(__file__).resolve().parents[2] / "javascript" / "riffusion_gallery.js"
STRIP = ".riffusion-strip:visible"
MARKED = "() => [...document.querySelectorAll('.riffusion-selected .riffusion-title')].map(t => t.textContent)"
AREA = "#txt2img_riffusion_players"
TIMES = f"() => [...document.querySelectorAll('{AREA} audio')].map(a => [a.paused, a.currentTime])"
# Animation frames requested by our script; those of the page are not counted.
COUNT = """() => {
    window.frames_asked = 0;
    const ask = window.requestAnimationFrame;
    window.requestAnimationFrame = call => {
        if (new Error().stack.includes('riffusion_gallery')) window.frames_asked++;
        return ask.call(window, call);
    };
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gallery")
    files = folder / "files"
    files.mkdir()
    program = ("-m", "tests.browser.gallery_page", "--port", "PORT", "--folder", str(files))
    with serving(files, *program) as address:
        yield address


class Gallery:
    """A page with a gallery, and the actions of a user."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(f"{error} {error.stack}"))

    def scene(self, name: str) -> None:
        before = self.page.inner_html(AREA)
        self.page.click("#scene_" + name.replace(" ", "_"))
        self.page.wait_for_function(
            "([id, before]) => document.querySelector(id).innerHTML !== before", arg=[AREA, before]
        )
        self.page.wait_for_function(
            "id => [...document.querySelectorAll(id + ' audio')].every(a => a.readyState > 0)", arg=AREA
        )
        self.page.wait_for_function(  # thumbnail and preview
            "number => new Set([...document.querySelectorAll('#txt2img_gallery img')].map(i => i.src)).size === number",
            arg=len(SCENES[name][0]),
        )
        self.page.wait_for_timeout(400)

    def choose(self, number: int) -> None:
        # Where the new images are fewer, gradio shows them small, and none is selected.
        shown = self.page.is_visible("#txt2img_gallery .preview")
        items = "#txt2img_gallery " + (".preview .thumbnail-small" if shown else ".thumbnail-lg")
        self.page.locator(items).nth(number).click()
        self.page.wait_for_timeout(300)

    def chosen(self) -> int:
        return int(
            self.page.evaluate(
                "() => [...document.querySelectorAll('#txt2img_gallery .preview .thumbnail-small')]"
                ".findIndex(t => t.classList.contains('selected'))"
            )
        )

    def marked(self) -> list[str]:
        return list(self.page.evaluate(MARKED))

    def click(self, across: float, up: float = 0.1) -> None:
        """Click on the large image: shares of its width from the left, and of its height from below."""
        box = self.page.locator(".riffusion-timeline:visible").bounding_box()
        self.page.mouse.click(box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"])

    def times(self) -> list[tuple[bool, float]]:
        return [(paused, at) for paused, at in self.page.evaluate(TIMES)]

    def playing(self) -> list[int]:
        return [number for number, (paused, _) in enumerate(self.times()) if not paused]

    def wait(self, seconds: float) -> None:
        self.page.wait_for_timeout(1000 * seconds)

    def becomes(self, what: Callable[[], Any], wanted: Any) -> None:
        """Wait until a value is as expected, which may take a while on a busy machine."""
        end = time.monotonic() + 15
        while (now := what()) != wanted and time.monotonic() < end:
            self.wait(0.05)
        assert now == wanted

    def playhead(self) -> float:
        """Return the position of the playhead as a fraction of the image's width."""
        head = self.page.locator(".riffusion-playhead:visible").bounding_box()
        box = self.page.locator(".riffusion-timeline:visible").bounding_box()
        return float((head["x"] + head["width"] / 2 - box["x"]) / box["width"])


def opened(page: Any, address: str) -> Gallery:
    page.set_default_timeout(20_000)
    gallery = Gallery(page)
    page.goto(address)
    page.wait_for_selector("#scene_batch")
    page.evaluate(COUNT)
    page.add_script_tag(path=SCRIPT)
    return gallery


@pytest.fixture
def gallery(chromium: Any, served: str) -> Iterator[Gallery]:
    page = chromium.new_page(viewport={"width": 1200, "height": 1300})
    gallery = opened(page, served)
    gallery.scene("batch")
    yield gallery
    page.close()
    assert [error for error in gallery.errors if "riffusion" in error] == []


# --- images and players --------------------------------------------------------------------------------------------


def test_player_of_the_selected_image_is_marked_by_name_not_by_order(gallery: Gallery) -> None:
    marked = []
    for number in range(4):
        gallery.choose(number)
        marked.append((gallery.marked(), gallery.page.locator(STRIP).count()))
    assert marked == [([], 0), (["batch 1"], 1), ([], 0), (["batch 2"], 1)]
    assert gallery.page.locator(".riffusion-clip[aria-current=true]").count() == 1


def test_images_of_the_next_job_get_their_own_players_and_a_single_timeline(gallery: Gallery) -> None:
    gallery.choose(1)
    for _ in range(3):
        gallery.scene("one")
        gallery.choose(0)
        assert gallery.marked() == ["one 1"]
        gallery.scene("batch")
        gallery.choose(1)
        assert gallery.marked() == ["batch 1"]
    assert gallery.page.locator(".riffusion-timeline").count() == 1


def test_image_without_sound_marks_no_player(gallery: Gallery) -> None:
    gallery.choose(1)
    assert gallery.page.locator(STRIP).count() == 1
    gallery.scene("silent")
    gallery.choose(0)
    assert gallery.page.locator(STRIP).count() == 0


def test_unsaved_image_finds_its_player_only_when_it_is_the_only_one(gallery: Gallery) -> None:
    gallery.scene("unsaved")
    gallery.choose(0)
    assert gallery.marked() == ["unsaved 1"]
    gallery.scene("two unsaved")
    gallery.choose(0)
    assert gallery.marked() == []
    assert gallery.page.locator(STRIP).count() == 0


def test_closing_the_image_removes_mark_and_timeline(gallery: Gallery) -> None:
    gallery.choose(1)
    assert gallery.marked() == ["batch 1"]
    gallery.page.keyboard.press("Escape")
    gallery.wait(0.3)
    assert gallery.marked() == []
    assert gallery.page.locator(STRIP).count() == 0


# --- the timeline over the image -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "ratio"), [(1, 1.0), (3, 0.25)])
def test_timeline_covers_the_image_at_any_aspect_ratio(gallery: Gallery, number: int, ratio: float) -> None:
    gallery.choose(number)
    for width in (1200, 700):
        gallery.page.set_viewport_size({"width": width, "height": 1300})
        gallery.wait(0.4)
        image = gallery.page.evaluate(
            "() => { const i = [...document.querySelectorAll('#txt2img_gallery .preview img')]"
            ".find(i => !i.closest('.thumbnails')).getBoundingClientRect(); return [i.x, i.y, i.width, i.height]; }"
        )
        box = gallery.page.locator(".riffusion-timeline:visible").bounding_box()
        assert box["height"] == pytest.approx(image[3], abs=1.5)
        assert box["width"] == pytest.approx(image[3] * ratio, abs=1.5)
        assert box["x"] + box["width"] / 2 == pytest.approx(image[0] + image[2] / 2, abs=1.5)
        assert box["y"] == pytest.approx(image[1], abs=1.5)


_MOVED = """(position) => {
    const image = [...document.querySelectorAll('#txt2img_gallery .preview img')].find(i => !i.closest('.thumbnails'));
    image.style.setProperty('object-position', position, 'important');
    image.style.setProperty('object-fit', 'contain', 'important');
    image.style.setProperty('width', '400px', 'important');
    image.style.setProperty('height', '300px', 'important');
    const box = image.getBoundingClientRect();
    const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
    return [box.x, box.y, box.width, box.height, image.naturalWidth * scale, image.naturalHeight * scale];
}"""


@pytest.mark.parametrize("number", [1, 3], ids=["square", "narrow"])
@pytest.mark.parametrize(
    ("position", "x", "y"),
    [
        ("top", lambda free: free / 2, lambda free: 0),  # SD.Next
        ("left bottom", lambda free: 0, lambda free: free),
        ("25% 75%", lambda free: free / 4, lambda free: 3 * free / 4),
        ("12px 8px", lambda free: 12, lambda free: 8),
        ("right 10px bottom 20%", lambda free: free - 10, lambda free: 0.8 * free),
    ],
)
def test_timeline_covers_the_image_at_any_alignment(
    gallery: Gallery, number: int, position: str, x: Callable[[float], float], y: Callable[[float], float]
) -> None:
    gallery.choose(number)
    left, top, width, height, drawn, high = gallery.page.evaluate(_MOVED, position)
    gallery.page.set_viewport_size({"width": 1190, "height": 1300})
    gallery.wait(0.4)
    left, top, width, height, drawn, high = gallery.page.evaluate(_MOVED, position)
    box = gallery.page.locator(".riffusion-timeline:visible").bounding_box()
    expected = (left + x(width - drawn), top + y(height - high), drawn, high)
    assert (box["x"], box["y"], box["width"], box["height"]) == pytest.approx(expected, abs=1.5)


def test_click_on_the_lower_edge_plays_from_that_position(gallery: Gallery) -> None:
    gallery.choose(3)
    gallery.click(0.5)
    gallery.becomes(gallery.playing, [1])
    assert 20 <= gallery.times()[1][1] < 30
    assert gallery.chosen() == 3
    gallery.click(0.1)
    gallery.becomes(lambda: 4 <= gallery.times()[1][1] < 14, True)
    assert gallery.playing() == [1]


def test_dragging_along_the_edge_seeks(gallery: Gallery) -> None:
    gallery.choose(1)
    box = gallery.page.locator(STRIP).bounding_box()
    y = box["y"] + box["height"] / 2
    gallery.page.mouse.move(box["x"] + 5, y)
    gallery.page.mouse.down()
    gallery.page.mouse.move(box["x"] + 0.75 * box["width"], y - 200)
    gallery.page.mouse.up()
    assert gallery.times()[0][1] >= 30


def test_tap_on_a_touchscreen_plays(chromium: Any, served: str) -> None:
    page = chromium.new_page(viewport={"width": 600, "height": 1500}, has_touch=True)
    gallery = opened(page, served)
    gallery.scene("batch")
    gallery.choose(1)
    box = page.locator(STRIP).bounding_box()
    page.touchscreen.tap(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    gallery.becomes(gallery.playing, [0])
    assert gallery.times()[0][1] >= 20
    page.close()


def test_click_anywhere_on_the_image_plays_from_that_position(gallery: Gallery) -> None:
    for number, sound in ((1, 0), (3, 1)):
        gallery.choose(number)
        gallery.click(0.5, 0.9)
        gallery.becomes(gallery.playing, [sound])
        assert 20 <= gallery.times()[sound][1] < 30
        assert gallery.chosen() == number


def test_click_beside_a_narrow_image_does_not_play(gallery: Gallery) -> None:
    gallery.choose(3)
    gallery.click(-0.5, 0.6)
    gallery.wait(0.3)
    assert gallery.playing() == []


@pytest.mark.parametrize("way", ["double click", "button", "keyboard", "ctrl"])
def test_gallery_still_receives_double_click_button_keyboard_and_ctrl_click(gallery: Gallery, way: str) -> None:
    gallery.choose(1)
    page = gallery.page
    page.evaluate(
        "() => { window.through = 0; const i = document.querySelector('img.riffusion-seeks');"
        " i.addEventListener('click', e => { window.through++; e.stopPropagation(); }, true); }"
    )
    box = page.locator(".riffusion-timeline:visible").bounding_box()
    place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    if way == "double click":
        page.mouse.dblclick(*place)
    elif way == "ctrl":
        page.keyboard.down("Control")
        page.mouse.click(*place)
        page.keyboard.up("Control")
    elif way == "button":
        page.get_by_role("button", name="Open the image in the viewer").click()
    else:
        page.get_by_role("button", name="Open the image in the viewer").focus()
        page.keyboard.press("Enter")
    gallery.wait(0.3)
    assert page.evaluate("through") == 1
    assert gallery.playing() == []
    assert gallery.times()[0][1] == 0, "as it was before"


def test_double_click_does_not_stop_or_move_playback(gallery: Gallery) -> None:
    gallery.choose(1)
    gallery.click(0.1)
    gallery.wait(0.2)
    gallery.page.evaluate(
        "document.querySelector('img.riffusion-seeks').addEventListener('click', e => e.stopPropagation(), true)"
    )
    box = gallery.page.locator(".riffusion-timeline:visible").bounding_box()
    gallery.page.mouse.dblclick(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    gallery.becomes(lambda: gallery.times()[0][1] < 20, True)
    gallery.wait(0.3)
    gallery.becomes(gallery.playing, [0])
    assert gallery.times()[0][1] < 20


def test_gallery_buttons_are_not_covered_by_the_timeline(gallery: Gallery) -> None:
    gallery.choose(1)
    gallery.page.locator("#txt2img_gallery .preview button[aria-label]:visible").first.wait_for()
    for button in gallery.page.locator("#txt2img_gallery .preview button[aria-label]:visible").all():
        if "thumbnail" not in (button.get_attribute("class") or ""):
            button.click(trial=True, timeout=3000)


def test_click_on_the_image_goes_to_the_gallery_when_click_to_play_is_disabled(gallery: Gallery) -> None:
    gallery.page.evaluate("window.opts = {riffusion_click_plays: false}")
    gallery.choose(1)
    assert gallery.page.locator("img.riffusion-seeks, .riffusion-larger:visible").count() == 0
    gallery.click(0.9, 0.6)
    gallery.wait(0.3)
    assert gallery.playing() == []
    assert gallery.chosen() != 1  # gradio 3 closes the image, gradio 4 turns to the next


def test_playhead_moves_during_playback_and_requests_no_frames_when_paused(gallery: Gallery) -> None:
    gallery.choose(1)
    gallery.click(0.25)
    gallery.becomes(gallery.playing, [0])
    first = gallery.playhead()
    assert first >= 0.25 - 0.001
    gallery.becomes(lambda: gallery.playhead() > first + 0.01, True)
    assert gallery.playhead() <= gallery.times()[0][1] / SECONDS + 0.01
    gallery.becomes(lambda: gallery.page.evaluate("frames_asked") > 10, True)
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [])
    gallery.wait(0.3)
    asked, rests = gallery.page.evaluate("frames_asked"), gallery.playhead()
    gallery.wait(0.5)
    assert gallery.page.evaluate("frames_asked") == asked
    assert gallery.playhead() == rests
    assert rests == pytest.approx(gallery.times()[0][1] / SECONDS, abs=0.01)


def test_reduced_motion_moves_the_playhead_in_steps(chromium: Any, served: str) -> None:
    page = chromium.new_page(viewport={"width": 1200, "height": 1300}, reduced_motion="reduce")
    gallery = opened(page, served)
    gallery.scene("batch")
    gallery.choose(1)
    gallery.click(0.25)
    gallery.becomes(lambda: gallery.playhead() > 0.26, True)
    assert page.evaluate("frames_asked") == 0
    page.close()


def test_next_job_stops_playback(gallery: Gallery) -> None:
    gallery.choose(1)
    gallery.click(0.1)
    gallery.page.evaluate(f"window.old = document.querySelector('{AREA} audio')")
    gallery.scene("one")
    assert gallery.page.evaluate("old.paused && !old.isConnected")
    asked = gallery.page.evaluate("frames_asked")
    gallery.wait(0.3)
    assert gallery.page.evaluate("frames_asked") == asked


# --- keys ------------------------------------------------------------------------------------------------------------


def test_space_plays_the_selected_image_and_arrow_keys_still_select(gallery: Gallery) -> None:
    gallery.choose(1)
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [0])
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [])
    gallery.page.keyboard.press("ArrowRight")
    gallery.wait(0.2)
    gallery.page.keyboard.press("ArrowRight")
    gallery.becomes(gallery.chosen, 3)
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [1])


def test_keys_go_to_the_gallery_after_a_click_on_the_edge(gallery: Gallery) -> None:
    gallery.page.focus("#txt2img_prompt textarea, #txt2img_prompt input")
    gallery.choose(1)
    gallery.page.focus("#txt2img_prompt textarea, #txt2img_prompt input")
    gallery.click(0.2)
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [])
    gallery.page.keyboard.press("ArrowLeft")
    gallery.becomes(gallery.chosen, 0)
    assert gallery.page.input_value("#txt2img_prompt textarea, #txt2img_prompt input") == ""


def test_space_in_a_text_field_does_not_play(gallery: Gallery) -> None:
    gallery.choose(1)
    assert gallery.page.locator(STRIP).count() == 1
    prompt = "#txt2img_prompt textarea, #txt2img_prompt input"
    gallery.page.focus(prompt)
    gallery.page.keyboard.type("funky bass")
    assert gallery.page.input_value(prompt) == "funky bass"
    assert gallery.playing() == []


def test_space_on_another_thumbnail_selects_it(gallery: Gallery) -> None:
    gallery.choose(1)
    gallery.page.locator("#txt2img_gallery .preview .thumbnail-small").nth(3).focus()
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.chosen, 3)
    gallery.wait(0.3)
    assert gallery.playing() == []
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [1])


@pytest.mark.parametrize("part", ["audio", "a.riffusion-download"])
def test_space_on_a_player_plays_it(gallery: Gallery, part: str) -> None:
    gallery.page.locator(f"{AREA} .riffusion-clip {part}").nth(2).focus()
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [2])
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [])


def test_slider_has_keyboard_control_and_aria_values(gallery: Gallery) -> None:
    gallery.choose(1)
    strip = gallery.page.get_by_role("slider", name="Position in the sound of the image: batch 1")
    strip.focus()
    for key, at in [("End", 40.0), ("Home", 0.0), ("ArrowRight", 1.0), ("PageUp", 6.0), ("ArrowLeft", 5.0)]:
        gallery.page.keyboard.press(key)
        gallery.becomes(lambda: strip.get_attribute("aria-valuetext"), f"{at:.1f} / 40.0 s")
        assert gallery.times()[0][1] == pytest.approx(at, abs=0.02), key
        assert strip.get_attribute("aria-valuenow") == f"{at:.1f}"
    assert strip.get_attribute("aria-valuemax") == "40.0"
    assert gallery.chosen() == 1, "arrow keys move the focused slider only"
    gallery.page.keyboard.press("Space")
    gallery.becomes(gallery.playing, [0])


# --- one at a time ---------------------------------------------------------------------------------------------------


def test_starting_a_player_pauses_the_others_and_those_of_the_tab(gallery: Gallery) -> None:
    page = gallery.page
    page.eval_on_selector_all(f"{AREA} audio", "all => { all[0].play(); }")
    gallery.wait(0.2)
    page.eval_on_selector_all(f"{AREA} audio", "all => { all[2].play(); }")
    gallery.becomes(gallery.playing, [2])
    page.eval_on_selector("#riffusion_pictures_players audio", "audio => { audio.play(); }")
    gallery.becomes(gallery.playing, [])
    gallery.choose(1)
    gallery.click(0.1)
    gallery.becomes(gallery.playing, [0])
    gallery.becomes(lambda: page.eval_on_selector("#riffusion_pictures_players audio", "audio => audio.paused"), True)


# --- in a webui ------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(open_page: Any) -> Gallery:
    """Generate a batch of two in a running webui; the grid is the first image."""
    page = open_page()
    page.prepare("txt2img", "funky bass")
    page.number("txt2img_batch_size", 2)
    gallery = Gallery(page.page)
    page.generate("txt2img")
    gallery.wait(1.0)
    return gallery


def test_webui_marks_the_player_of_the_selected_image(made: Gallery) -> None:
    seen = []
    for number in range(3):
        made.choose(number)
        seen.append([title.split(".")[0] for title in made.marked()])
    assert seen == [[], ["1"], ["2"]]
    shown = made.page.evaluate(
        "() => [...document.querySelectorAll('#txt2img_gallery .preview img')].find(i => !i.closest('.thumbnails')).src"
    )
    assert made.page.get_attribute(".riffusion-selected", "data-picture") in shown


def test_webui_click_on_the_edge_plays_without_opening_the_viewer(made: Gallery) -> None:
    made.choose(2)
    made.page.eval_on_selector_all(f"{AREA} audio", "all => all.forEach(a => { a.loop = true; })")
    made.click(0.5)
    made.wait(0.2)
    assert made.playing() == [1]
    assert made.chosen() == 2
    assert not made.page.is_visible("#lightboxModal")
    made.page.keyboard.press("Space")
    made.wait(0.2)
    assert made.playing() == []
    made.page.keyboard.press("ArrowLeft")
    made.wait(0.4)
    assert (made.chosen(), [title[0] for title in made.marked()]) == (1, ["1"])
    assert [error for error in made.errors if "riffusion" in error] == []


def test_webui_click_on_the_image_plays_and_double_click_opens_the_viewer(made: Gallery) -> None:
    made.choose(1)
    made.page.eval_on_selector_all(f"{AREA} audio", "all => all.forEach(a => { a.loop = true; })")
    made.click(0.5, 0.6)
    made.wait(0.3)
    assert made.playing() == [0]
    assert made.chosen() == 1
    assert not made.page.is_visible("#lightboxModal")
    made.page.keyboard.press("Space")
    box = made.page.locator(".riffusion-timeline:visible").bounding_box()
    button = made.page.get_by_role("button", name="Open the image in the viewer")
    assert button.evaluate("button => getComputedStyle(button).color") == "rgb(255, 255, 255)"  # not gradio's own style
    for open_it in (
        lambda: made.page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2),
        button.click,
    ):
        open_it()
        made.page.wait_for_selector("#lightboxModal", state="visible")
        assert made.playing() == []
        made.page.keyboard.press("Escape")
        made.page.wait_for_selector("#lightboxModal", state="hidden")
    assert made.chosen() == 1


def test_webui_img2img_image_plays_with_the_space_key(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    page.prepare("img2img", "slow cello")
    page.page.set_input_files("#img2img_image input[type=file]", str(png(tmp_path / "init.png")))
    page.page.wait_for_timeout(2000)
    page.generate("img2img")
    page.page.wait_for_timeout(1000)
    page.page.focus("#img2img_gallery .preview .thumbnail-small.selected")
    page.page.keyboard.press("Space")
    page.page.wait_for_timeout(300)
    audio = page.page.locator("#img2img_riffusion_players .riffusion-selected audio")
    assert audio.evaluate("audio => !audio.paused || audio.ended")
    assert page.page.locator("#img2img_gallery .riffusion-strip:visible").count() == 1


def test_webui_next_job_replaces_players_and_timeline(made: Gallery) -> None:
    made.choose(1)
    before = made.page.inner_html(AREA)
    made.page.click("#txt2img_generate")
    made.page.wait_for_function(
        "([id, before]) => { const e = document.querySelector(id);"
        " return e.innerHTML !== before && e.querySelector('audio'); }",
        arg=[AREA, before],
        timeout=300_000,
    )
    made.wait(1.0)
    made.choose(2)
    assert [title[0] for title in made.marked()] == ["2"]
    assert made.page.locator("#txt2img_gallery .riffusion-timeline").count() == 1
