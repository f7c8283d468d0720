"""The page "Live" in a hidden tab, where browsers slow down timers and draw no frames."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from tests.browser.conftest import serving
from tests.browser.devtools import Tab, tabs
from tests.browser.listening import RATE, TAP, place_of, played_from, tapped
from tests.conftest import FLAGS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAID = "document.querySelector('.riffusion-live-status').innerText"
AHEAD = "Number(document.querySelector('.riffusion-live-meter').getAttribute('aria-valuenow'))"
LIVE = "[...document.querySelectorAll('button')].filter((tab) => tab.innerText.trim() === 'Live')"


def fill(tab: Tab, element: str, value: str) -> None:
    field = f"#{element} textarea, #{element} input[type=number], #{element} input"
    tab.run(
        f"""(() => {{
            const field = document.querySelector({json.dumps(field)});
            Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, {json.dumps(value)});
            ["input", "change", "blur"].forEach(kind => field.dispatchEvent(new Event(kind, {{bubbles: true}})));
        }})()"""
    )


def test_live_playback_continues_without_gaps_in_a_hidden_tab(chromium_path: str, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    server = ("-m", "tests.browser.live_server", "PORT", str(results), "0.2")
    with serving(results, *server) as url, tabs(chromium_path, FLAGS, tmp_path / "profile") as browser:
        page = browser.open(url, TAP.read_text())
        # gradio 6 builds a page when its tab is selected.
        page.until(f"{LIVE}.length > 0")
        page.run(f"{LIVE}.forEach((tab) => tab.click())")  # gradio 6 has a second one, to measure its size
        page.until("!!document.querySelector('.riffusion-live-picture')")
        fill(page, "riffusion_live_ahead", "8")
        fill(page, "riffusion_live_prompt", "funk")
        time.sleep(1)  # gradio notices a changed text with a delay
        page.run("document.querySelector('#riffusion_live_go').click()")
        page.until(f"{SAID} === 'Playing.' && {AHEAD} > 7")  # less than is played while the tab is hidden
        browser.open()
        page.until("document.visibilityState === 'hidden'")
        time.sleep(1)  # playback starts with a fade
        page.run("tap.clear()")
        time.sleep(20)
        assert page.run(SAID) == "Playing."
        assert page.run("document.visibilityState") == "hidden"
        heard, lost = tapped(page.run)
        whole, _ = played_from(results)
        assert lost == 0
        assert len(heard) > 19 * RATE
        begin = place_of(heard[RATE : RATE + 1000], whole) - RATE
        np.testing.assert_array_equal(heard, whole[begin : begin + len(heard)])
