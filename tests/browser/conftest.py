"""A real browser on a running webui: addresses as in tests/live, a Chromium on the PATH."""

from __future__ import annotations

import os
import re
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

from tests.browser.page import Page

HOSTS = {"a1111": "RIFFUSION_A1111_URL", "forge": "RIFFUSION_FORGE_URL", "reforge": "RIFFUSION_REFORGE_URL"}
ROOT = Path(__file__).resolve().parents[2]

PAGE_BUTTONS = "#riffusion_pages button:not([tabindex='-1'])"
"""What opens our pages. gradio 6 has each a second time, unseen, to measure their width."""


@contextmanager
def serving(results: Path, *program: str) -> Iterator[str]:
    """Serve the tab without a webui; yields its address. The server's output is in ``log.txt`` beside the results.

    Parameters
    ----------
    results
        Folder for the results.
    program
        Arguments of Python that start another server, with ``PORT`` in place of the port. Default: our own server.
    """
    pytest.importorskip("gradio", exc_type=ImportError)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    program = program or ("-m", "riffusion_ext", "ui", "--port", "PORT", "--output-dir", str(results))
    command = [sys.executable, *(str(port) if part == "PORT" else part for part in program)]
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


def server_log(folder: Path) -> str:
    """Return the output of a server, without the error that gradio 3 sometimes logs when a page is closed."""
    text = (folder / "log.txt").read_text()
    gone = r"^ERROR: +Exception in ASGI application\n(?:(?!ERROR:).*\n)*?.*WebSocketDisconnect: 100[01]$"
    return re.sub(gone, "", text, flags=re.MULTILINE)


@pytest.fixture(params=sorted(HOSTS))
def address(request: pytest.FixtureRequest) -> str:
    url = os.environ.get(HOSTS[request.param], "")
    if not url:
        pytest.skip(f"{HOSTS[request.param]} is not set: no running {request.param} to test against")
    return url.rstrip("/")


@pytest.fixture
def open_page(chromium: Any, address: str) -> Iterator[Any]:
    """Open a page in a session of its own, like another browser tab."""
    contexts = []

    def opened() -> Page:
        contexts.append(chromium.new_context(viewport={"width": 1400, "height": 1000}))
        return Page(contexts[-1].new_page(), address)

    yield opened
    for context in contexts:
        context.close()
