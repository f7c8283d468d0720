"""Passwords, and limits of size and number."""

from __future__ import annotations

import asyncio
import base64
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from riffusion_ext.api import guard
from riffusion_ext.api.app import mount
from riffusion_ext.api.guard import is_allowed, parse_credentials
from riffusion_ext.api.page import mount_media
from riffusion_ext.api.service import Service
from riffusion_ext.jobs import Lane
from riffusion_ext.library import ClipLibrary
from tests.unit.api.conftest import V1, MakeClient, picture_bytes, sentence, sound_bytes, upload

USERS = {"ann": "one:two", "bo": "drei"}


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


WRONG: list[dict[str, str]] = [
    {},
    basic("ann:drei"),
    basic("ann:"),
    basic("ann"),
    basic(":"),
    basic("nobody:"),
    basic("nobody:x"),
    {"Authorization": "Basic %%%"},
    {"Authorization": "Basic /w=="},
    {"Authorization": "Bearer ann"},
    {"Authorization": ""},
]

ROUTES = [
    ("GET", f"{V1}/health"),
    ("GET", f"{V1}/version"),
    ("GET", f"{V1}/capabilities"),
    ("GET", f"{V1}/openapi.json"),
    ("GET", f"{V1}/docs"),
    ("GET", f"{V1}/jobs"),
    ("GET", f"{V1}/jobs/x"),
    ("GET", f"{V1}/jobs/x/events"),
    ("POST", f"{V1}/jobs/x/cancel"),
    ("GET", f"{V1}/clips/x"),
    ("HEAD", f"{V1}/clips/x"),
    ("GET", f"{V1}/pictures/x"),
    ("GET", f"{V1}/archives/x"),
    ("POST", f"{V1}/clips"),
    ("POST", f"{V1}/pictures"),
    ("POST", f"{V1}/image-to-audio"),
    ("POST", f"{V1}/audio-to-images"),
    ("POST", f"{V1}/songs"),
    ("POST", f"{V1}/riffs"),
    ("POST", f"{V1}/loops"),
    ("POST", f"{V1}/interpolations"),
    ("POST", f"{V1}/paintings"),
    ("POST", f"{V1}/datasets"),
    ("GET", f"{V1}/nothing"),
    ("POST", "/run_inference/"),
    ("POST", "/run_inference"),
    ("POST", "/run_vst/"),
    ("POST", "/run_vst"),
]


def test_every_route_is_in_the_matrix(client: TestClient) -> None:
    described = client.get(f"{V1}/openapi.json").json()["paths"]
    ours = {(method.upper(), V1 + path.replace("{id_}", "x")) for path, item in described.items() for method in item}
    assert ours <= set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_is_open_without_the_password(make_client: MakeClient, method: str, path: str) -> None:
    client = make_client(credentials=USERS)
    for headers in WRONG:
        reply = client.request(method, path, headers=headers)
        assert reply.status_code == 401, headers
        assert reply.headers["www-authenticate"] == "Basic"
        assert method == "HEAD" or "Incorrect username or password" in reply.text
    for right in ("ann:one:two", "bo:drei"):
        assert client.request(method, path, headers=basic(right)).status_code != 401
        assert make_client().request(method, path).status_code != 401


def test_a_wrong_password_is_refused_before_the_body_is_read(make_client: MakeClient) -> None:
    client = make_client(credentials=USERS, body_bytes=10)
    assert client.post(f"{V1}/songs", content=b"x" * 1000).status_code == 401


def test_passwords_are_read_as_the_webui_reads_them() -> None:
    assert parse_credentials("ann:one,bo:drei") == {"ann": "one", "bo": "drei"}
    assert parse_credentials("") == {}
    assert is_allowed(basic("ü:ö")["Authorization"], {"ü": "ö"})


def test_bodies_have_a_limit(make_client: MakeClient) -> None:
    client = make_client(body_bytes=1000)
    for route in (f"{V1}/image-to-audio", f"{V1}/songs", f"{V1}/jobs/x/cancel"):
        assert "1000 bytes" in sentence(client.post(route, content=b"x" * 1001), 413)
        assert client.post(route, content=b"x" * 1000).status_code != 413
        pieces = itertools.repeat(b"x" * 100, 20)  # without a length in the headers
        assert "1000 bytes" in sentence(client.post(route, content=iter(pieces)), 413)
    reply = client.post("/run_inference/", content=b"x" * 1001)
    assert (reply.status_code, reply.headers["content-type"]) == (413, "text/plain; charset=utf-8")
    reply = client.post("/run_vst/", content=b"x" * 1001)
    assert (reply.status_code, list(reply.json())) == (413, ["error"])
    assert upload(client, "clips", sound_bytes(0.5))["bytes"] > 1000  # uploads have a limit of their own
    assert client.service.weight.held == 0  # type: ignore[attr-defined]


def test_many_large_bodies_at_once_are_refused(make_client: MakeClient) -> None:
    client = make_client()
    weight = client.service.weight  # type: ignore[attr-defined]
    weight.held = weight.most + 1
    refused = client.post(f"{V1}/songs", json={})
    assert "try again" in sentence(refused, 503)
    assert refused.headers["retry-after"] == "5"
    client.service.uploads = client.service.limits.uploads  # type: ignore[attr-defined]
    assert "uploaded at present" in sentence(client.post(f"{V1}/clips", content=b"x"), 503)


@pytest.mark.parametrize("route", [f"{V1}/pictures", f"{V1}/songs"])
def test_who_sends_half_a_body_and_waits_is_not_waited_for(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str
) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.2)
    client = make_client()
    arrives = [{"type": "http.request", "body": b"x" * 100, "more_body": True}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not arrives:
            await asyncio.sleep(3600)
        return arrives.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": route, "headers": [], "query_string": b""}
    asyncio.run(asyncio.wait_for(client.app(scope, receive, send), 20))  # type: ignore[arg-type]
    assert sent[0]["status"] == 408
    assert b"nothing more of the body" in sent[1]["body"]
    service = client.service  # type: ignore[attr-defined]
    assert (service.uploads, service.weight.held) == (0, 0)
    assert list((tmp_path / "scratch").rglob("*.part")) == []


@pytest.mark.parametrize("clients", [50])
def test_fifty_clients_at_once_lose_nothing(make_client: MakeClient, tmp_path: Path, clients: int) -> None:
    client = make_client()
    pictures = [picture_bytes(64, seed=number, path=tmp_path) for number in range(clients)]
    start = threading.Barrier(clients)
    weights: list[int] = []

    def ask(data: bytes) -> bytes:
        start.wait(30)
        body = {"image": base64.b64encode(data).decode(), "inline": True}
        reply = client.post(f"{V1}/image-to-audio", json=body)
        weights.append(client.service.weight.held)  # type: ignore[attr-defined]
        assert reply.status_code == 200, reply.text
        sound = client.get(reply.json()["url"])
        assert sound.status_code == 200
        assert base64.b64decode(reply.json()["audio"].partition(",")[2]) == sound.content
        return sound.content

    with ThreadPoolExecutor(clients) as pool:
        sounds = list(pool.map(ask, pictures))
    assert len(set(sounds)) == clients
    assert max(weights) <= sum(2 * len(data) for data in pictures)
    assert client.service.weight.held == 0  # type: ignore[attr-defined]


def test_more_clients_than_may_wait_are_told_so(make_client: MakeClient, picture: bytes) -> None:
    client = make_client(lanes={"convert": Lane(threads=1, waiting=0)})
    go, began = threading.Event(), threading.Event()

    def hold(job: Any) -> dict[str, Any]:
        began.set()
        go.wait(30)
        return {}

    client.service.jobs.submit("held", "convert", hold)  # type: ignore[attr-defined]
    assert began.wait(10)
    sent = upload(client, "pictures", picture)["id"]
    assert "waiting already" in sentence(client.post(f"{V1}/image-to-audio", json={"picture": sent}), 429)
    go.set()


def test_the_door_of_the_page_is_as_open_as_the_page(tmp_path: Path) -> None:
    clips = ClipLibrary()
    path = tmp_path / "a.wav"
    path.write_bytes(sound_bytes(0.5))
    id_ = clips.add(path, title="a", duration=0.5).id
    for mark in (None, "abc"):
        app: Any = FastAPI()
        mount_media(app, clips)
        client = TestClient(app)
        url = f"/riffusion/media/{id_}"
        assert client.get(url).status_code == 200  # no login
        app.auth, app.tokens = {"u": "p"}, {"secret": "u"}
        if mark:
            app.cookie_id = mark
        name = "access-token" + (f"-{mark}" if mark else "")
        for cookies, status in (({}, 401), ({name: "wrong"}, 401), ({name: "secret"}, 200), ({"other": "secret"}, 401)):
            asking = TestClient(app, cookies=cookies)
            assert asking.get(url).status_code == status
        assert client.get(f"{V1}/clips/{id_}").status_code == 404  # the routes themselves are not there


def test_the_host_s_own_routes_stay_as_they_are(tmp_path: Path) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    async def everything(request: Request, path: str) -> dict[str, str]:
        return {"host": path}

    mount(app, Service(others=ClipLibrary(), scratch=lambda: tmp_path), USERS)
    client = TestClient(app)
    assert client.get("/sdapi/v1/options").json() == {"host": "sdapi/v1/options"}
    assert client.get("/riffusion/v2").json() == {"host": "riffusion/v2"}
    assert client.get(f"{V1}/health").status_code == 401
    assert client.get("/openapi.json").json()["paths"].keys() == {"/{path}"}
