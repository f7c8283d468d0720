"""The examples in docs/api.md, run against a server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from PIL import Image

from tests.unit.api.conftest import MakeClient, sound_bytes
from tests.unit.webuis import serving

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(params=[""])
def address(make_client: MakeClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve the routes on a local port below the path in the parameter, as with --subpath and a proxy."""
    client, app = make_client(), FastAPI()
    client.service.prefix = request.param  # type: ignore[attr-defined]
    app.mount(request.param, client.app)
    with serving(app) as url:
        yield f"{url}{request.param}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "example"
    folder.mkdir()
    Image.linear_gradient("L").resize((64, 512)).save(folder / "picture.png")
    (folder / "song.wav").write_bytes(sound_bytes(1.0, rate=44100))
    return folder


def here(text: str, address: str) -> str:
    assert "http://127.0.0.1:7860" in text
    return text.replace("http://127.0.0.1:7860", address)


def run(command: list[str], folder: Path) -> str:
    """Run a command in a folder and return its output."""
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl_commands_of_the_documentation_work(address: str, folder: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    version = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    script = here("\n".join(blocks("sh")), address)
    if tuple(map(int, version.split(".")[:2])) < (7, 82):
        script = script.replace("--json", "-H 'Content-Type: application/json' -d")
    printed = run(["bash", "-euo", "pipefail", "-c", script], folder)
    assert (folder / "picture.flac").read_bytes()[:4] == b"fLaC"
    assert '"pictures":[{"id":' in (folder / "pictures.json").read_text()
    assert (folder / "header.bin").stat().st_size == 44
    assert "event: end" in printed
    assert printed.split()[-2:] == ["done", "done"]


@pytest.mark.parametrize("address", ["", "/sd"], indirect=True)
def test_python_client_of_the_documentation_works(address: str, folder: Path) -> None:
    (code,) = blocks("python")
    run([sys.executable, "-c", here(code, address)], folder)
    with wave.open(str(folder / "song.wav")) as song:
        assert song.getnframes() == 10 * 44100
    with wave.open(str(folder / "picture.wav")) as sound:
        assert sound.getnframes() == 63 * 441


def test_documented_routes_equal_the_described_routes(address: str) -> None:
    import json

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}/riffusion/v1/openapi.json") as reply:
        paths = json.load(reply)["paths"]
    table = PAGE.partition("## With curl")[0]
    named = set(re.findall(r"`(?:GET |POST )?(?:/riffusion/v1)?(/[\w/-]+)`", table)) - {"/run_inference/", "/run_vst/"}
    named = {path.replace("/ID", "/{id_}") for path in named if not path.startswith("/riffusion")}
    assert {path for path in paths} == named - {"/docs", "/openapi.json"}
