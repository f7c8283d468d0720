"""The page "Live" in a real browser: its audio output, sample by sample."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, write_audio
from tests.browser.conftest import PAGE_BUTTONS, ROOT, server_log, serving
from tests.browser.listening import RATE, RISE, TAP, borders_heard, place_of, played_from, stretches, tapped

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT = 90_000
SMALL = "sample_rate=44100, max_frequency=10000, num_frequencies=64"


@contextmanager
def page_of(chromium: Any, results: Path, seconds: float, **options: Any) -> Iterator[Any]:
    """Serve the tab with a backend that takes some seconds per window, and open the page "Live"."""
    results.mkdir()
    program = ("-m", "tests.browser.live_server", "PORT", str(results), str(seconds))
    with serving(results, *program) as url:
        page = chromium.new_page(viewport={"width": 1280, "height": 900}, **options)
        page.set_default_timeout(WAIT)
        page.add_init_script(path=TAP)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#riffusion_pictures_go")
        page.locator(PAGE_BUTTONS, has_text=re.compile("^ *Live *$")).first.click()
        page.wait_for_selector(".riffusion-live-picture")
        yield page
        page.close()
        assert errors == []
    assert "Traceback" not in server_log(results.parent)


def fill(page: Any, element: str, text: str) -> None:
    page.locator(f"#{element} textarea, #{element} input[type=number], #{element} input").first.fill(text)
    page.keyboard.press("Tab")


def small_windows(page: Any, width: int = 256) -> None:
    """Choose small images, which are quickly decoded."""
    page.locator("#riffusion_page_live .label-wrap", has_text="Beat and windows").click()
    fill(page, "riffusion_live_width", str(width))
    fill(page, "riffusion_live_overlap", "64")
    page.locator("#riffusion_page_live .label-wrap", has_text="Sound and model").click()
    page.click("#riffusion_live_preset input")
    page.locator("ul[role=listbox] li, ul.options li", has_text="custom").first.click()
    fill(page, "riffusion_live_custom", SMALL)


def start(page: Any, prompt: str = "funk") -> None:
    fill(page, "riffusion_live_prompt", prompt)
    page.click("#riffusion_live_go")


def shown_text(page: Any, name: str = "status") -> str:
    return str(page.inner_text(f".riffusion-live-{name}"))


def until(page: Any, what: Callable[[], bool], seconds: float = 150.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"this takes too long: {page.inner_text('#riffusion_live_stage')}"
        page.wait_for_timeout(100)


def ahead(page: Any) -> float:
    return float(page.get_attribute(".riffusion-live-meter", "aria-valuenow"))


def recorded(page: Any) -> int:
    """Return how many seconds the page shows as recorded; -1 if it is not recording."""
    told = re.search(r"recording (\d+):(\d\d)", shown_text(page, "ahead"))
    return 60 * int(told[1]) + int(told[2]) if told else -1


def well_ahead(page: Any, seconds: float) -> None:
    """Wait until enough audio is buffered to play without a pause on a busy machine."""
    until(page, lambda: shown_text(page) == "Playing.")
    page.click(".riffusion-live-row button")
    until(page, lambda: ahead(page) >= seconds)
    page.click(".riffusion-live-row button")
    until(page, lambda: shown_text(page) == "Playing.")
    page.wait_for_timeout(1000)  # it may fade in


@pytest.mark.player
def test_playback_is_gapless_and_sample_exact(chromium: Any, tmp_path: Path):
    """The played audio equals the generated audio sample for sample, over at least seven chunk borders."""
    results = tmp_path / "results"
    with page_of(chromium, results, 0.3) as page:
        small_windows(page)
        start(page)
        until(page, lambda: shown_text(page) == "Playing.")
        fill(page, "riffusion_live_next", "jazz bells")
        page.click("#riffusion_live_queue")
        page.wait_for_function("() => document.querySelector('#riffusion_live_next textarea').value === ''")
        page.wait_for_timeout(16_000)
        crossed = 0
        end = time.monotonic() + 120
        while crossed < 7:  # playback pauses when the machine is too busy to generate
            assert time.monotonic() < end, f"no more than {crossed} borders were played over"
            page.wait_for_timeout(1000)
            heard, lost = tapped(page.evaluate)
            assert lost * 128 <= np.flatnonzero(heard)[0], "the recorder has missed at most its beginning"
            crossed = borders_heard(heard, *played_from(results))
        until(page, lambda: "jazz bells" in shown_text(page, "now"))
        assert re.match(r"\d+ s ahead · generated at \d+(\.\d+)? times", shown_text(page, "ahead"))


def test_recording_equals_the_played_audio(chromium: Any, tmp_path: Path):
    results = tmp_path / "results"
    with page_of(chromium, results, 0.2) as page:
        small_windows(page)
        start(page, "slow <b>strings</b>")
        well_ahead(page, 12)
        page.click("#riffusion_live_record")
        until(page, lambda: recorded(page) >= 6)
        seen, then = recorded(page), time.monotonic()
        assert page.inner_text("#riffusion_live_record") == "Stop recording"
        page.click("#riffusion_live_record")
        page.wait_for_selector(".riffusion-live-recordings audio")
        late = time.monotonic() - then
        assert page.inner_text("#riffusion_live_record") == "Record"
        page.wait_for_timeout(500)
        heard, _ = tapped(page.evaluate)
        (path,) = results.glob("jams/*-*-*/*.wav")
        take = read_audio(path)
        assert take.sample_rate == RATE
        assert 6 <= take.duration < seen + 2 + late
        samples = take.samples[0]
        at = place_of(samples[1000:2000], heard) - 1000
        np.testing.assert_array_equal(heard[at : at + len(samples)], samples)
        # Playing the recording pauses the session, and vice versa.
        page.wait_for_function("() => document.querySelector('.riffusion-live-recordings audio').readyState >= 1")
        page.eval_on_selector(".riffusion-live-recordings audio", "audio => { audio.loop = true; audio.play(); }")
        until(page, lambda: shown_text(page) == "Paused.")
        assert page.inner_text(".riffusion-live-row button") == "Go on"
        page.focus(".riffusion-live-picture")
        page.keyboard.press(" ")
        until(page, lambda: shown_text(page) == "Playing.")
        assert page.eval_on_selector(".riffusion-live-recordings audio", "audio => audio.paused")
        assert page.locator(".riffusion-live-recordings b").count() == 0, "prompts are text, not HTML"
        # Stop finishes a recording, too.
        page.click("#riffusion_live_record")
        until(page, lambda: recorded(page) >= 2)
        page.click("#riffusion_live_stop")
        until(page, lambda: shown_text(page) == "The jam has ended.")
        until(page, lambda: page.locator(".riffusion-live-recordings audio").count() == 2)
        assert page.inner_text("#riffusion_live_record") == "Record"
        assert len(list(results.glob("jams/*-*-*/*.wav"))) == 2


@pytest.mark.player
def test_slow_backend_is_buffered_and_reported(chromium: Any, tmp_path: Path):
    """At less than half the playback speed it buffers, plays, runs empty at the end of a chunk, and continues."""
    results = tmp_path / "results"
    with page_of(chromium, results, 4.0) as page:
        small_windows(page)
        fill(page, "riffusion_live_ahead", "5")
        start(page)
        until(page, lambda: shown_text(page) == "Generating the first window ...")
        slow = r"Generating is slower than playing: 0\.\d\d times its speed\. "
        until(page, lambda: bool(re.match(slow + r"Buffering \d+ s before it plays\.", shown_text(page))))
        assert "plays in about" in shown_text(page, "ahead")
        until(page, lambda: bool(re.match(slow + "There will be pauses", shown_text(page))))
        until(page, lambda: "Buffering" in shown_text(page))
        until(page, lambda: "There will be pauses" in shown_text(page))
        page.wait_for_timeout(2500)
        heard, _ = tapped(page.evaluate)
        whole, borders = played_from(results)
        borders_heard(heard, whole, borders)
        before, after = stretches(heard, whole)[:2]
        ramp = np.arange(RISE) / (0.012 * RATE)
        border = min(borders, key=lambda border: abs(border - before.stop))
        begin = after.begin - (after.place - border)
        rising = whole[border:][: len(ramp)] * ramp
        np.testing.assert_allclose(heard[begin:][: len(ramp)], rising, atol=1e-3, err_msg="a click")
        assert np.abs(heard[before.end - 8 : before.end]).max() < 0.05, "the fade has no click"


def test_queued_prompts_can_be_dropped_and_are_reached_in_order(chromium: Any, tmp_path: Path):
    results = tmp_path / "results"
    with page_of(chromium, results, 0.2) as page:
        small_windows(page)
        page.click("#riffusion_live_queue")
        page.wait_for_function(
            "() => document.getElementById('riffusion_live_status').innerText.includes('Start the jam')"
        )
        start(page, " ")
        page.wait_for_function(
            "() => document.getElementById('riffusion_live_status').innerText.includes('Write a prompt')"
        )
        fill(page, "riffusion_live_travel", "4")
        fill(page, "riffusion_live_ahead", "8")
        start(page, "funk")
        until(page, lambda: bool(re.match(r"([89]|1\d) s ahead", shown_text(page, "ahead"))))
        assert page.inner_text("#riffusion_live_status").strip() == ""
        for prompt in ("jazz", "rock", "swing"):
            page.fill("#riffusion_live_next textarea", prompt)
            page.keyboard.press("Enter")
            page.wait_for_function("() => document.querySelector('#riffusion_live_next textarea').value === ''")
        queue = ".riffusion-live-queue li"
        page.wait_for_function("() => document.querySelectorAll('.riffusion-live-queue li').length >= 2")
        page.click(f"{queue} button[aria-label='Drop: rock']")
        page.wait_for_function(
            "() => ![...document.querySelectorAll('.riffusion-live-queue li')].some(i => i.innerText.includes('rock'))"
        )
        for pair in ("funk → jazz", "jazz → swing"):
            until(page, lambda pair=pair: bool(re.fullmatch(rf"Now: {pair} \((25|50|75) %\)", shown_text(page, "now"))))
        until(page, lambda: shown_text(page, "now") == "Now: swing")


@pytest.mark.player
def test_image_scrolls_under_the_playhead(chromium: Any, tmp_path: Path):
    with page_of(chromium, tmp_path / "results", 0.2) as page:
        small_windows(page)
        start(page)
        until(page, lambda: shown_text(page) == "Playing.")
        page.wait_for_timeout(1500)
        read = (
            "() => { const c = document.querySelector('.riffusion-live-picture');"
            " const d = c.getContext('2d').getImageData(0, Math.round(c.height / 2), c.width, 1).data;"
            " return [c.width, Array.from(d).filter((_, i) => i % 4 === 0)]; }"
        )
        width, before = page.evaluate(read)
        page.click(".riffusion-live-row button")
        meter = page.locator(".riffusion-live-meter")
        until(page, lambda: ahead(page) > 12)  # more than the image shows
        page.wait_for_timeout(300)
        _, still = page.evaluate(read)
        page.wait_for_timeout(300)
        assert page.evaluate(read)[1] == still, "the image does not move during a pause"
        assert before != still
        row = np.array(still[round(width * 0.35) + 8 :])
        assert len(np.unique(row)) > 20, "audio generated ahead is visible"
        assert meter.get_attribute("role") == "meter"
        assert 0 < ahead(page) <= float(meter.get_attribute("aria-valuemax")) == 20


def test_closing_the_page_ends_the_session_and_a_backend_error_is_shown(chromium: Any, tmp_path: Path):
    results = tmp_path / "results"
    with page_of(chromium, results, 0.2) as page:
        small_windows(page)
        start(page)
        until(page, lambda: shown_text(page) == "Playing.")
        (folder,) = results.glob("jams/playing/*")
        page.reload()
        end = time.monotonic() + 40
        while folder.exists():
            assert time.monotonic() < end, "the session of the previous page still runs"
            time.sleep(0.5)
        page.locator(PAGE_BUTTONS, has_text=re.compile("^ *Live *$")).first.click()
        page.wait_for_selector(".riffusion-live-picture")
        small_windows(page)
        fill(page, "riffusion_live_prompt", "out of paint")
        page.click("#riffusion_live_go")
        until(page, lambda: shown_text(page) == "out of paint")
        assert page.locator(".riffusion-live-row button").is_disabled()


def test_start_finishes_the_recording_of_the_previous_session(chromium: Any, tmp_path: Path):
    results = tmp_path / "results"
    with page_of(chromium, results, 0.2) as page:
        small_windows(page)
        start(page)
        until(page, lambda: shown_text(page) == "Playing.")
        page.click("#riffusion_live_record")
        until(page, lambda: recorded(page) >= 2)
        start(page, "jazz")
        page.wait_for_selector(".riffusion-live-recordings audio")
        until(page, lambda: shown_text(page, "now") == "Now: jazz" and shown_text(page) == "Playing.")
        assert page.locator(".riffusion-live-recordings audio").count() == 1
        assert len(list(results.glob("jams/*-*-*/*.wav"))) == 1


def test_speed_below_1_is_never_rounded_up_to_1(chromium: Any):
    page = chromium.new_page()
    page.add_script_tag(path=ROOT / "javascript" / "riffusion_live_screen.js")
    told = page.evaluate("() => [0.0042, 0.03, 0.34, 0.999, 1, 9.7, 12.4].map(riffusionLive.times)")
    page.close()
    assert told == ["0.004", "0.03", "0.34", "0.99", "1.0", "9.7", "12"]


@pytest.mark.player
def test_blocked_playback_is_reported_and_can_be_continued(chromium: Any, tmp_path: Path):
    """Browsers do so before the first user action, or during a phone call."""
    with page_of(chromium, tmp_path / "results", 0.2) as page:
        small_windows(page)
        start(page)
        until(page, lambda: shown_text(page) == "Playing.")
        page.evaluate("() => tap.contexts.at(-1).suspend()")
        until(page, lambda: shown_text(page) == "The browser blocked automatic playback: press Go on.", 20)
        page.click(".riffusion-live-row button")
        until(page, lambda: shown_text(page) == "Playing.", 20)
        assert page.evaluate("() => tap.contexts.at(-1).state") == "running"
        assert page.inner_text(".riffusion-live-row button") == "Pause"


@pytest.mark.player
def test_playback_waits_while_the_generation_speed_is_unknown(chromium: Any, tmp_path: Path):
    def unknown(route: Any) -> None:
        reply = route.fetch()
        told = reply.json()
        route.fulfill(response=reply, json={**told, "speed": None, "needed": told["aim"] + 60})

    with page_of(chromium, tmp_path / "results", 0.2) as page:
        small_windows(page)
        page.route(re.compile(r"\?heard="), unknown)
        start(page)
        until(page, lambda: shown_text(page) == "Buffering ...")
        until(page, lambda: re.match(r"\d+ s ahead", shown_text(page, "ahead")) is not None)
        assert "times" not in shown_text(page, "ahead")
        page.unroute_all(behavior="wait")
        until(page, lambda: shown_text(page) == "Playing.")


def test_starting_live_playback_pauses_other_players(chromium: Any, tmp_path: Path):
    clip = AudioClip(np.zeros((1, RATE), np.float32), RATE)
    path = write_audio(clip, tmp_path / "a.wav")
    data = base64.b64encode(path.read_bytes()).decode()
    with page_of(chromium, tmp_path / "results", 0.2) as page:
        page.evaluate(
            "data => { const a = document.createElement('audio'); a.id = 'other'; a.loop = true;"
            " a.src = 'data:audio/wav;base64,' + data; document.body.append(a); return a.play(); }",
            data,
        )
        small_windows(page)
        start(page)
        until(page, lambda: shown_text(page) == "Playing.")
        assert page.eval_on_selector("#other", "audio => audio.paused")
