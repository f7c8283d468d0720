"""The page of a webui, and the actions of a user."""

from __future__ import annotations

from typing import Any

PLAYS = "id => { const a = document.querySelector(id + ' audio'); return a && !a.paused && a.currentTime > 0.2; }"
WAIT = 120_000  # ms


class Page:
    """The page of a webui, with the actions of a user."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        page.set_default_timeout(120_000)
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_selector("#txt2img_prompt textarea")
        page.wait_for_timeout(2000)  # wait for the host's own scripts

    def number(self, elem_id: str, value: int) -> None:
        self.page.fill(f"#{elem_id} input[type=number]", str(value))
        self.page.keyboard.press("Tab")

    def prepare(self, tab: str, prompt: str, *, width: int = 128) -> None:
        if tab == "img2img":
            self.page.click("#tabs button:has-text('img2img')")
        self.page.fill(f"#{tab}_prompt textarea", prompt)
        self.number(f"{tab}_steps", 1 if tab == "txt2img" else 2)
        self.number(f"{tab}_width", width)
        self.page.wait_for_timeout(300)

    def generate(self, tab: str) -> list[dict[str, Any]]:
        """Press Generate and return the data of the players below the gallery."""
        before = self.page.inner_html(f"#{tab}_riffusion_players")
        self.page.click(f"#{tab}_generate")
        self.page.wait_for_function(
            "([id, before]) => { const e = document.querySelector(id);"
            " return e.innerHTML !== before && e.querySelector('audio'); }",
            arg=[f"#{tab}_riffusion_players", before],
            timeout=300_000,
        )
        return self.players(tab)

    def players(self, tab: str) -> list[dict[str, Any]]:
        self.page.wait_for_function(
            "id => [...document.querySelectorAll(id + ' audio')].every(a => a.readyState >= 1 || a.error)",
            arg=f"#{tab}_riffusion_players",
        )
        return self.page.eval_on_selector_all(
            f"#{tab}_riffusion_players .riffusion-clip",
            "clips => clips.map(c => ({"
            " duration: c.querySelector('audio').duration, error: c.querySelector('audio').error?.message ?? '',"
            " title: c.querySelector('.riffusion-title').textContent,"
            " facts: c.querySelector('.riffusion-facts').innerText,"
            " download: c.querySelector('a').download, url: c.querySelector('a').href }))",
        )


def fill(page: Any, element: str, text: str) -> None:
    page.locator(f"#{element} textarea, #{element} input").first.fill(text)


def until(page: Any, element: str, text: str) -> str:
    """Wait until an element shows a text; return all its text."""
    page.wait_for_function(
        "([id, text]) => document.getElementById(id).innerText.includes(text)", arg=[element, text], timeout=WAIT
    )
    return str(page.inner_text(f"#{element}"))


def press_until(page: Any, button: str, element: str, text: str) -> str:
    """Press a button until an element shows a text; returns all that the element shows.

    gradio ignores a press while the answer to the one before is on its way, so that a press
    right after an answer may be lost. Only for a press that may be repeated, as one that is
    refused.
    """
    for attempt in range(WAIT // 200):
        if attempt % 50 == 0:  # every ten seconds
            page.click(f"#{button}")
        shown = str(page.inner_text(f"#{element}"))
        if text in shown:
            return shown
        page.wait_for_timeout(200)
    raise AssertionError(f"{text!r} is not in {shown!r}")
