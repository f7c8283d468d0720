"""Players in a real webui: they appear after Generate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PAGE_BUTTONS
from tests.browser.files import png

pytestmark = pytest.mark.browser

SECONDS = 1.27  # 128 columns


def test_txt2img_shows_a_player_for_each_image(open_page: Any) -> None:
    page = open_page()
    page.prepare("txt2img", 'a "<b>bold</b>" bass & drums')
    page.number("txt2img_batch_size", 2)
    players = page.generate("txt2img")
    assert [player["error"] for player in players] == ["", ""]
    assert [player["duration"] for player in players] == pytest.approx([SECONDS] * 2, abs=0.06)
    assert players[0]["title"] == '1. a "<b>bold</b>" bass & drums'
    assert "seed" in players[0]["facts"]
    assert players[0]["download"].endswith(".wav")


def test_a_player_plays_and_seeks(open_page: Any) -> None:
    page = open_page()
    page.prepare("txt2img", "funky bass")
    page.generate("txt2img")
    reached = page.page.evaluate(
        """async () => {
            const a = document.querySelector('#txt2img_riffusion_players audio');
            a.muted = true; await a.play(); a.currentTime = 0.8;
            await new Promise(done => setTimeout(done, 300));
            return a.currentTime;
        }"""
    )
    assert reached >= 0.8


def test_img2img_shows_a_player(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    page.prepare("img2img", "slow cello")
    page.page.set_input_files("#img2img_image input[type=file]", str(png(tmp_path / "init.png")))
    page.page.wait_for_timeout(2000)
    players = page.generate("img2img")
    assert len(players) == 1
    assert players[0]["duration"] == pytest.approx(SECONDS, abs=0.06)
    assert players[0]["title"] == "slow cello"


def test_each_browser_page_shows_only_its_own_players(open_page: Any) -> None:
    one, two = open_page(), open_page()
    one.prepare("txt2img", "page one")
    two.prepare("txt2img", "page two")
    one.generate("txt2img")
    two.generate("txt2img")
    assert [player["title"] for player in one.players("txt2img")] == ["page one"]
    assert [player["title"] for player in two.players("txt2img")] == ["page two"]


def test_second_generation_replaces_the_players(open_page: Any) -> None:
    page = open_page()
    page.prepare("txt2img", "first")
    page.generate("txt2img")
    page.page.fill("#txt2img_prompt textarea", "second")
    page.page.wait_for_timeout(300)
    assert [player["title"] for player in page.generate("txt2img")] == ["second"]


def test_mode_off_shows_no_players(open_page: Any) -> None:
    page = open_page()
    page.prepare("txt2img", "silence")
    page.generate("txt2img")
    page.page.click("#script_txt2img_riffusion_panel .label-wrap")
    page.page.click("#script_txt2img_riffusion_mode label:has-text('Off')")
    page.page.wait_for_timeout(500)
    page.page.click("#txt2img_generate")
    page.page.wait_for_function("!document.querySelector('#txt2img_riffusion_players audio')", timeout=300_000)


def test_xyz_plot_shows_the_players_of_all_cells(open_page: Any) -> None:
    page = open_page()
    page.prepare("txt2img", "three seeds")
    page.page.fill("#txt2img_script_container #script_list input", "X/Y/Z plot")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#script_txt2img_xyz_plot_x_values textarea")
    page.page.fill("#script_txt2img_xyz_plot_x_values textarea", "11,12,13")
    page.page.wait_for_timeout(500)
    players = page.generate("txt2img")
    assert [player["facts"].split()[1] for player in players] == ["11", "12", "13"]
    assert [player["duration"] for player in players] == pytest.approx([SECONDS] * 3, abs=0.06)


PASTED = """slow cello
Negative prompt: noise
Steps: 1, Sampler: Euler, CFG scale: 7, Seed: 3, Size: 128x512, Riffusion sound: On, Riffusion engine: best, \
Riffusion joined: True, Riffusion crossfade: 0.5"""


def test_pasted_parameters_set_the_panel(open_page: Any) -> None:
    page = open_page()
    page.page.click("#script_txt2img_riffusion_panel .label-wrap")
    page.page.fill("#txt2img_prompt textarea", PASTED)
    page.page.click("#txt2img_tools #paste")
    page.page.wait_for_function(
        "document.querySelector('#script_txt2img_riffusion_engine input').value === 'best'", timeout=60_000
    )
    assert page.page.is_checked("#script_txt2img_riffusion_mode label:has-text('On') input")
    assert page.page.is_checked("#script_txt2img_riffusion_joined input[type=checkbox]")
    assert page.page.input_value("#script_txt2img_riffusion_crossfade input[type=number]") == "0.5"
    assert page.page.input_value("#txt2img_prompt textarea") == "slow cello"


def test_the_panel_says_whether_sound_is_on(open_page: Any) -> None:
    page = open_page()
    page.page.click("#script_txt2img_riffusion_panel .label-wrap")
    status = page.page.inner_text("#script_txt2img_riffusion_status")
    assert status.startswith("Sound is on: the checkpoint riffusion-")


def test_the_controls_of_the_panel_stand_in_two_columns(open_page: Any) -> None:
    page = open_page()
    page.page.click("#script_txt2img_riffusion_panel .label-wrap")
    left, right = (
        ("engine", "format", "high_frequencies", "joined", "preset"),
        ("level", "channels", "crossfade", "custom"),
    )
    for column in (left, right):
        boxes = [page.page.locator(f"#script_txt2img_riffusion_{name}").first.bounding_box() for name in column]
        assert [box["x"] for box in boxes] == pytest.approx([boxes[0]["x"]] * len(boxes), abs=2)


def test_inspect_page_shows_the_parameters_of_an_image(open_page: Any, tmp_path: Path) -> None:
    page = open_page().page
    page.click("#tabs button:has-text('Riffusion')")
    page.locator(PAGE_BUTTONS, has_text="Inspect").first.click()
    page.set_input_files("#riffusion_inspect_file input[type=file]", str(png(tmp_path / "clip.png")))
    page.wait_for_selector("#riffusion_inspect_table table")
    assert "128 x 512" in page.inner_text("#riffusion_inspect_table")
    frame = page.eval_on_selector("#riffusion_inspect_table td", "cell => getComputedStyle(cell).borderLeftWidth")
    assert frame == "0px", "gradio 4 frames the cells of any table"


def test_reload_ui_creates_neither_panel_nor_players_twice(open_page: Any) -> None:
    page = open_page()
    page.page.click("#footer a:has-text('Reload UI')")
    page.page.wait_for_selector("#txt2img_prompt", state="detached")
    page.page.wait_for_selector("#txt2img_prompt textarea", timeout=180_000)
    page.page.wait_for_timeout(2000)
    assert page.page.locator("#script_txt2img_riffusion_panel").count() == 1
    # gradio 3 puts an HTML component's id on two elements; the host's own has as many as ours.
    assert page.page.locator("#txt2img_riffusion_players").count() == page.page.locator("#html_log_txt2img").count()
    page.prepare("txt2img", "after the reload")
    assert [player["title"] for player in page.generate("txt2img")] == ["after the reload"]
