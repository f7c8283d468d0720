"""Our routes in the host's server, depending on its command-line flags."""

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
    """Return a function that starts the host's server with some flags, as at startup and at each Reload UI."""

    def started(**flags: Any) -> TestClient:
        sys.modules["modules.shared"].cmd_opts = SimpleNamespace(  # type: ignore[attr-defined]
            **{"api": False, "api_auth": None, "subpath": None, **flags}
        )
        app = FastAPI()
        bench.host.callbacks.fire("on_app_started", bench.host.demo, app)
        return TestClient(app, base_url="http://127.0.0.1:7860")

    return started


def test_only_the_pages_have_routes_without_the_host_api(bench: Bench, start: START) -> None:
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
def test_all_routes_are_served_with_the_host_api(bench: Bench, start: START, flag: str) -> None:
    client = start(**{flag: True})
    assert client.get(f"{V1}/version").json()["host"] == "webui"
    _, info = bench.generate("On")
    (clip,) = info["clips"]
    assert client.get(f"{V1}/clips/{clip['id']}").status_code == 200  # the ids in replies of the host's own API
    reply = client.post(f"{V1}/loops", json={"prompt": "a"})
    assert reply.status_code == 501  # the fake host has no model
    assert "cannot be made in this webui" in reply.json()["detail"]
    assert bench.host.log == []


def test_api_accepts_the_passwords_of_the_host(start: START) -> None:
    client = start(api=True, api_auth="ann:one,bo:two")
    assert client.get(f"{V1}/health").status_code == 401
    assert client.post("/run_inference/").status_code == 401
    for pair in ("ann:one", "bo:two"):
        headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        assert client.get(f"{V1}/health", headers=headers).status_code == 200


@pytest.mark.parametrize("flags", [{"api_auth": "nonsense"}, {"auth_file": "some.txt"}])
def test_unreadable_password_file_closes_all_routes(bench: Bench, start: START, flags: dict[str, str]) -> None:
    client = start(api=True, **flags)
    assert client.get(f"{V1}/health").status_code == 404
    assert any("credentials" in line or "passwords" in line for line in bench.host.log)


def test_uploads_survive_a_reload_of_the_page(bench: Bench, start: START) -> None:
    from PIL import Image

    path = bench.host.folder / "a.png"
    Image.new("RGB", (64, 64)).save(path)
    first = start(api=True, subpath="/sd/")
    sent = first.post(f"{V1}/pictures", content=path.read_bytes()).json()
    assert sent["url"].startswith(f"/sd{V1}/pictures/")
    again = start(api=True)
    assert again.get(f"{V1}/pictures/{sent['id']}").status_code == 200


FOREIGN = [
    {"Origin": "http://evil.test"},
    {"Origin": "null"},
    {"Host": "evil.test:7860"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "audio"},
]
PATHS = [
    *(("GET", f"{V1}/{name}") for name in ("health", "jobs", "clips/x", "docs")),
    *(("POST", f"{V1}/{name}") for name in ("songs", "pictures", "jobs/x/cancel")),
    *(("POST", path) for path in ("/run_inference", "/run_inference/", "/run_vst/")),
    *(("GET", path) for path in ("/riffusion/media/x", "/riffusion/live/x")),
    ("POST", "/riffusion/live/x/stop"),
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_pages_of_other_sites_reach_no_route(start: START, headers: dict[str, str]) -> None:
    client = start(api=True)
    for method, path in PATHS:
        assert client.request(method, path, headers=headers).status_code == 403
        assert client.request(method, path).status_code != 403


def test_webui_list_of_allowed_origins_is_honoured(start: START) -> None:
    for flags in (
        {"cors_allow_origins": "http://localhost:3000/, https://music.example"},
        {"cors_allow_origins_regex": r"https://.*\.example"},
        {"cors_allow_origins": "*"},
        {"cors_origins": "https://music.example"},  # these two are SD.Next's
        {"cors_regex": r"https://.*\.example"},
    ):
        client = start(api=True, **flags)
        assert client.get(f"{V1}/health", headers={"Origin": "https://music.example"}).status_code == 200
        assert client.get(f"{V1}/health", headers={"Origin": "null"}).status_code == 403
    client = start(api=True, cors_allow_origins="https://music.example,nonsense")
    assert client.get(f"{V1}/health", headers={"Host": "music.example"}).status_code == 200
    assert client.get(f"{V1}/health", headers={"Origin": "http://evil.test"}).status_code == 403


@pytest.mark.parametrize(
    ("flags", "host", "pages", "routes"),
    [
        ({}, "192.168.0.5:7860", 403, 403),
        ({"listen": True}, "192.168.0.5:7860", 404, 200),
        ({"listen": True}, "studio.local", 404, 403),
        ({"share": True}, "abc.gradio.live", 404, 403),
        ({"server_name": "studio.local"}, "studio.local:7860", 404, 200),
        ({"riffusion_allow_host": "studio.local, music.example"}, "music.example", 404, 200),
        ({"riffusion_allow_host": "*"}, "anything.example", 404, 200),
        ({"gradio_auth": "a:b"}, "studio.local", 404, 403),
    ],
)
def test_host_names_are_accepted_or_refused_by_command_line_flags(
    start: START, flags: dict[str, Any], host: str, pages: int, routes: int
) -> None:
    client = start(api=True, **flags)
    assert client.get("/riffusion/media/x", headers={"Host": host}).status_code == pages
    assert client.get(f"{V1}/health", headers={"Host": host}).status_code == routes


def test_any_host_name_is_accepted_with_a_password(start: START) -> None:
    client = start(api=True, api_auth="ann:one")
    for headers, status in (({}, 401), ({"Authorization": "Basic " + base64.b64encode(b"ann:one").decode()}, 200)):
        assert client.get(f"{V1}/health", headers={"Host": "studio.local", **headers}).status_code == status
