"""The standalone tab in a real browser with two remote webuis, one of which fails during the song."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from riffusion_ext.audio.io import read_audio
from tests.browser.conftest import server_log, serving
from tests.browser.test_song import WAIT, fill, open_page, until, until_window
from tests.unit.webuis import Process

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@contextmanager
def standalone(results: Path, *webuis: Process) -> Iterator[str]:
    options = [part for server in webuis for part in ("--webui", server.ready())]
    program = ("-m", "riffusion_ext", "ui", "--port", "PORT", "--output-dir", str(results), *options)
    results.mkdir()
    with serving(results, *program) as address:
        yield address


def test_song_page_generates_with_remote_webuis_until_all_are_down(chromium: Any, tmp_path: Path) -> None:
    servers = [Process(1.0), Process(1.0)]
    try:
        with standalone(tmp_path / "results", *servers) as address:
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(WAIT)
            page.goto(address)
            open_page(page, "Song")
            fill(page, "riffusion_song_score", "0:30 | funky sax\n0:15 | jazz bells")
            page.locator("#riffusion_song_go").click()
            until_window(page, 5)
            servers[0].kill()
            until_window(page, 9)
            servers[1].kill()
            said = until(page, "riffusion_song_status", "Resume goes on from there")
            assert f"none of the 2 webuis can generate: nothing listens on {servers[0].url}" in said
            servers[1].start()
            servers[1].ready()
            page.locator("#riffusion_song_resume").click()
            until(page, "riffusion_song_status", "Window ")
            until(page, "riffusion_song_status", "Saved as")
            page.close()
        (song,) = [path for path in (tmp_path / "results" / "songs").glob("2*/*.wav") if "unfinished" not in path.name]
        assert read_audio(song).samples.shape[1] == 45 * 44100
    finally:
        for server in servers:
            server.kill()
    assert "Traceback" not in server_log(tmp_path)
