"""Configuration shared by all tests.

Property tests use the same examples on every machine; ``HYPOTHESIS_PROFILE=search`` tries new ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# Programs on PATH differ between machines, so ffmpeg is hidden; its own tests look for it (tests/unit/audio).
os.environ["RIFFUSION_FFMPEG"] = ""

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-proxy-server", "--disable-background-networking"]

# No deadlines: how long an example takes depends on the load of the machine.
settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return the path of Chromium."""
    path = os.environ.get("RIFFUSION_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium found; RIFFUSION_CHROMIUM may name one")
    return path


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Any]:
    """Start Chromium. While Playwright runs its event loop, asyncio.run() cannot start another."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()
