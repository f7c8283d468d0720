"""A real browser on a real webui. Both are found, not started: addresses as in tests/live, a Chromium on the PATH."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HOSTS = {"a1111": "RIFFUSION_A1111_URL", "forge": "RIFFUSION_FORGE_URL"}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--disable-background-networking"]


ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def serving(results: Path) -> Iterator[str]:
    """Serve the tab by itself; gives its address. What the server says is in ``log.txt`` beside the results."""
    pytest.importorskip("gradio", exc_type=ImportError)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "riffusion_ext", "ui", "--port", str(port), "--output-dir", str(results)]
    log = results.parent / "log.txt"
    with log.open("w") as file, subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT) as server:
        try:
            for _ in range(240):
                if server.poll() is not None:
                    pytest.fail(f"the server ended: {log.read_text()}")
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            else:
                pytest.fail(f"no answer from the server: {log.read_text()}")
            yield address
        finally:
            server.terminate()
            server.wait(20)


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
