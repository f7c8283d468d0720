"""A real browser on a real webui. Both are found, not started: addresses as in tests/live, a Chromium on the PATH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

HOSTS = {"a1111": "RIFFUSION_A1111_URL", "forge": "RIFFUSION_FORGE_URL"}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("RIFFUSION_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium found; RIFFUSION_CHROMIUM may name one")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=sorted(HOSTS))
def address(request: pytest.FixtureRequest) -> str:
    url = os.environ.get(HOSTS[request.param], "")
    if not url:
        pytest.skip(f"{HOSTS[request.param]} is not set: no running {request.param} to test against")
    return url.rstrip("/")


@pytest.fixture
def open_page(chromium: Any, address: str) -> Iterator[Any]:
    """Open a page of its own session, as another browser tab would be."""
    contexts = []

    def opened() -> Page:
        contexts.append(chromium.new_context(viewport={"width": 1400, "height": 1000}))
        return Page(contexts[-1].new_page(), address)

    yield opened
    for context in contexts:
        context.close()


class Page:
    """webui's page, with the few things a user does on it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        page.set_default_timeout(120_000)
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_selector("#txt2img_prompt textarea")
        page.wait_for_timeout(2000)  # the host's own scripts settle

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
        """Press Generate and return what the players under the gallery know once they are there."""
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
