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
from starlette.responses import Response
from starlette.testclient import TestClient

from riffusion_ext.api.access import auth
from riffusion_ext.api.access.auth import Guard, is_allowed, parse_credentials
from riffusion_ext.api.app import mount
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.limits import Limits
from riffusion_ext.api.requests import receive
from riffusion_ext.api.requests.receive import Transfers
from riffusion_ext.api.routes.page import mount_media
from riffusion_ext.jobs import Lane
from riffusion_ext.library import ClipLibrary
from tests.unit.api.conftest import V1, MakeClient, basic, image_bytes, sentence, sound_bytes, upload

USERS = {"ann": "one:two", "bo": "drei"}


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


def test_every_described_route_is_tested_for_authentication(client: TestClient) -> None:
    described = client.get(f"{V1}/openapi.json").json()["paths"]
    ours = {(method.upper(), V1 + path.replace("{id_}", "x")) for path, item in described.items() for method in item}
    assert ours <= set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_requires_the_password(make_client: MakeClient, method: str, path: str) -> None:
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


def test_request_bodies_are_limited_in_size(make_client: MakeClient) -> None:
    client = make_client(body_bytes=2000, json_bytes=1000)
    for route, most in ((f"{V1}/image-to-audio", 2000), (f"{V1}/songs", 1000), (f"{V1}/jobs/x/cancel", 1000)):
        assert f"{most} bytes" in sentence(client.post(route, content=b"x" * (most + 1)), 413)
        assert client.post(route, content=b"x" * min(most, 1000)).status_code != 413
        pieces = itertools.repeat(b"x" * 100, 30)  # without a length in the headers
        assert f"{most} bytes" in sentence(client.post(route, content=iter(pieces)), 413)
    reply = client.post("/run_inference/", content=b"x" * 2001)
    assert (reply.status_code, reply.headers["content-type"]) == (413, "text/plain; charset=utf-8")
    reply = client.post("/run_vst/", content=b"x" * 2001)
    assert (reply.status_code, list(reply.json())) == (413, ["error"])
    assert upload(client, "clips", sound_bytes(0.5))["bytes"] > 2000  # uploads have a limit of their own
    assert client.service.bodies.held == 0  # type: ignore[attr-defined]


def test_only_routes_that_accept_files_allow_large_bodies() -> None:
    limits = Limits()
    assert limits.body("/image-to-audio") == limits.body("/audio-to-images") == limits.body_bytes
    assert {limits.body(route) for route in ("/songs", "/riffs", "/datasets", "/nothing", "")} == {1 << 20}


@pytest.mark.parametrize("path", ["/run_inference/", "/run_vst", f"{V1}/songs", f"{V1}/clips"])
def test_request_without_room_for_its_body_gets_503_with_retry_after(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(receive, "TIMEOUT_S", 0.0)
    client = make_client(bodies_bytes=-1, uploads_bytes=-1)
    service = client.service  # type: ignore[attr-defined]
    for transfers in (service.bodies, service.uploads):
        whole = transfers._try_enter()  # a body that was received and is being processed
        whole.receiving = False
    refused = client.post(path, content=b"x" * 100)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "try again" in refused.text


@pytest.mark.parametrize("route", [f"{V1}/pictures", f"{V1}/songs", "/run_inference/"])
def test_stalled_upload_is_cancelled_and_releases_its_room(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str
) -> None:
    monkeypatch.setattr(receive, "WINDOW_S", 0.2)
    client = make_client()
    arrives = [{"type": "http.request", "body": b"x" * 100, "more_body": True}]
    sent: list[Any] = []

    async def take() -> dict[str, Any]:
        if not arrives:
            await asyncio.sleep(3600)
        return arrives.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": route, "headers": [], "query_string": b""}
    asyncio.run(asyncio.wait_for(client.app(scope, take, send), 20))  # type: ignore[arg-type]
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"100 bytes of the body came in 0." in sent[1]["body"]
    service = client.service  # type: ignore[attr-defined]
    assert (service.uploads.held, service.bodies.held, service.uploads.receiving, service.bodies.receiving) == (0,) * 4
    assert list((tmp_path / "scratch").rglob("*.part")) == []


def test_body_is_released_before_the_reply_is_sent(make_client: MakeClient) -> None:
    client = make_client()
    bodies = client.service.bodies  # type: ignore[attr-defined]
    body = b'{"prompt": 1}'
    arrives = [{"type": "http.request", "body": body, "more_body": False}]
    held: list[int] = []

    async def take() -> dict[str, Any]:
        return arrives.pop(0)

    async def send(message: Any) -> None:
        held.append(bodies.held)

    scope = {"type": "http", "method": "POST", "path": f"{V1}/loops", "headers": [], "query_string": b""}
    asyncio.run(client.app(scope, take, send))  # type: ignore[arg-type]
    assert set(held) == {0}


@pytest.mark.parametrize("takes", [True, False])
def test_large_reply_is_sent_in_pieces_and_stops_at_a_stalled_client(
    monkeypatch: pytest.MonkeyPatch, takes: bool
) -> None:
    monkeypatch.setattr(auth, "SEND_TIMEOUT_S", 0.05)
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Response(bytes(range(256)) * 4096)(scope, receive, send)

    async def send(message: Any) -> None:
        sent.append(message)
        if not takes and len(sent) > 1:
            await asyncio.sleep(60)

    async def take() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    bodies = Transfers(1, 1, seconds=1.0)
    asyncio.run(Guard(app, credentials=None, body_bytes=lambda scope: 1, bodies=bodies)(scope, take, send))
    parts = [message["body"] for message in sent[1:]]
    assert max(map(len, parts)) == 1 << 18
    if takes:
        assert b"".join(parts) == bytes(range(256)) * 4096
        assert [message["more_body"] for message in sent[1:]] == [True, True, True, False]
    else:
        assert len(parts) == 1


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"params": {"name": "x" * 9000}}, 414),
        ({"params": [("a", "")] * 5000}, 414),
        ({"headers": {"x-many": "x" * 70000}}, 431),
    ],
)
def test_addresses_and_headers_are_limited_in_length(client: TestClient, more: Any, status: int) -> None:
    sentence(client.get(f"{V1}/health", **more), status)
    sentence(client.post(f"{V1}/clips", **more), status)


@pytest.mark.parametrize("clients", [50])
def test_fifty_concurrent_clients_all_get_answers(make_client: MakeClient, tmp_path: Path, clients: int) -> None:
    client = make_client()
    images = [image_bytes(64, seed=number, path=tmp_path) for number in range(clients)]
    start = threading.Barrier(clients)
    weights: list[int] = []

    def ask(data: bytes) -> bytes:
        start.wait(30)
        body = {"image": base64.b64encode(data).decode(), "inline": True}
        reply = client.post(f"{V1}/image-to-audio", json=body)
        weights.append(client.service.bodies.held)  # type: ignore[attr-defined]
        assert reply.status_code == 200, reply.text
        sound = client.get(reply.json()["url"])
        assert sound.status_code == 200
        assert base64.b64decode(reply.json()["audio"].partition(",")[2]) == sound.content
        return sound.content

    with ThreadPoolExecutor(clients) as pool:
        sounds = list(pool.map(ask, images))
    assert len(set(sounds)) == clients
    assert max(weights) <= sum(2 * len(data) for data in images)
    assert client.service.bodies.held == 0  # type: ignore[attr-defined]


def test_clients_beyond_the_waiting_limit_are_refused(make_client: MakeClient, image: bytes) -> None:
    client = make_client(lanes={"convert": Lane(threads=1, waiting=0)})
    go, began = threading.Event(), threading.Event()

    def hold(job: Any) -> dict[str, Any]:
        began.set()
        go.wait(30)
        return {}

    client.service.jobs.submit("held", "convert", hold)  # type: ignore[attr-defined]
    assert began.wait(10)
    sent = upload(client, "pictures", image)["id"]
    assert "waiting already" in sentence(client.post(f"{V1}/image-to-audio", json={"picture": sent}), 429)
    go.set()


def test_media_route_is_public_only_where_the_page_is(tmp_path: Path) -> None:
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


def test_routes_of_the_host_are_unchanged(tmp_path: Path) -> None:
    app = FastAPI()

    @app.get("/{path:path}")
    async def everything(request: Request, path: str) -> dict[str, str]:
        return {"host": path}

    mount(app, ApiContext(page_clips=ClipLibrary(), scratch=lambda: tmp_path), USERS)
    client = TestClient(app)
    assert client.get("/sdapi/v1/options").json() == {"host": "sdapi/v1/options"}
    assert client.get("/riffusion/v2").json() == {"host": "riffusion/v2"}
    assert client.get(f"{V1}/health").status_code == 401
    assert client.get("/openapi.json").json()["paths"].keys() == {"/{path}"}
