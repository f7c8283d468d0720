"""Our routes in the host's server, by its flags."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.contract.conftest import Bench

V1 = "/riffusion/v1"
START = Callable[..., TestClient]


@pytest.fixture
def start(bench: Bench) -> START:
    """Return what starts the host's server with some flags, as at its start and at each Reload UI."""

    def started(**flags: Any) -> TestClient:
        sys.modules["modules.shared"].cmd_opts = SimpleNamespace(  # type: ignore[attr-defined]
            **{"api": False, "api_auth": None, "subpath": None, **flags}
        )
        app = FastAPI()
        bench.host.callbacks.fire("on_app_started", bench.host.demo, app)
        return TestClient(app)

    return started


def test_without_the_host_s_api_only_the_pages_have_routes(bench: Bench, start: START) -> None:
    client = start()
    for path in (f"{V1}/health", f"{V1}/clips/x", f"{V1}/openapi.json"):
        assert client.get(path).status_code == 404
    for path in (f"{V1}/songs", "/run_inference/", "/run_vst/"):
        assert client.post(path).status_code == 404
    _, info = bench.generate("On")
    (clip,) = info["clips"]
    reply = client.get(f"/riffusion/media/{clip['id']}", headers={"Range": "bytes=0-3"})
    assert (reply.status_code, reply.content) == (206, b"RIFF")
    reply = client.get("/riffusion/live/nothing")
    assert (reply.status_code, "this jam is over" in reply.text) == (404, True)


@pytest.mark.parametrize("flag", ["api", "nowebui"])
def test_with_it_all_are_there(bench: Bench, start: START, flag: str) -> None:
    client = start(**{flag: True})
    assert client.get(f"{V1}/version").json()["host"] == "webui"
    _, info = bench.generate("On")
    (clip,) = info["clips"]
    assert client.get(f"{V1}/clips/{clip['id']}").status_code == 200  # the ids that the host's own API gives
    reply = client.post(f"{V1}/loops", json={"prompt": "a"})
    assert reply.status_code == 501  # the stand-in has no model
    assert "cannot be made in this webui" in reply.json()["detail"]
    assert bench.host.log == []


def test_the_api_s_passwords_are_those_of_the_host(start: START) -> None:
    client = start(api=True, api_auth="ann:one,bo:two")
    assert client.get(f"{V1}/health").status_code == 401
    assert client.post("/run_inference/").status_code == 401
    for pair in ("ann:one", "bo:two"):
        headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        assert client.get(f"{V1}/health", headers=headers).status_code == 200


@pytest.mark.parametrize("flags", [{"api_auth": "nonsense"}, {"auth_file": "some.txt"}])
def test_passwords_that_cannot_be_read_leave_nothing_open(bench: Bench, start: START, flags: dict[str, str]) -> None:
    client = start(api=True, **flags)
    assert client.get(f"{V1}/health").status_code == 404
    assert any("passwords" in line for line in bench.host.log)


def test_what_was_uploaded_outlives_a_reload_of_the_page(bench: Bench, start: START) -> None:
    from PIL import Image

    path = bench.host.folder / "a.png"
    Image.new("RGB", (64, 64)).save(path)
    first = start(api=True, subpath="/sd/")
    sent = first.post(f"{V1}/pictures", content=path.read_bytes()).json()
    assert sent["url"].startswith(f"/sd{V1}/pictures/")
    again = start(api=True)
    assert again.get(f"{V1}/pictures/{sent['id']}").status_code == 200
