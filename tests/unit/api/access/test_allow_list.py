"""Allow-lists of hosts and origins: what they accept and refuse."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from riffusion_ext.api.access import allow_list as module
from riffusion_ext.api.access.allow_list import AllowList, AllowListMiddleware, parse_host, parse_origin
from riffusion_ext.errors import RiffusionError

HERE = "127.0.0.1:7862"


def asked(*headers: tuple[str, str], method: str = "GET", kind: str = "http") -> dict[str, Any]:
    """Return the scope of a request."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": kind, "method": method, "path": "/", "headers": raw}


def may(allow_list: AllowList, *headers: tuple[str, str], method: str = "GET") -> bool:
    return allow_list.refusal_reason(asked(*headers, method=method)) == ""


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", HERE, "localhost", "LOCALHOST:1", "localhost.", "[::1]", "[::1]:80", "127.8.9.10:7862"],
)
def test_loopback_hosts_are_accepted(host: str) -> None:
    assert may(AllowList(), ("host", host))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.test", "evil.test:7862", "localhost.evil.test", "127.0.0.1.evil.test", "a@127.0.0.1", "127.0.0.1@evil"),
        *("", " ", "localhost:x", "localhost:", "localhost/", "192.168.0.5", "[::2]", "0.0.0.0", "::1", "[localhost"),
        *(
            "127.0.0.1,evil.test",
            "127.0.0.1 evil.test",
            "local\u00e9",
            "2130706433",
            "127.1",
            "0x7f.0.0.1",
            "*",
            "null",
        ),
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    assert not may(AllowList(), ("host", host))


def test_request_must_name_one_host() -> None:
    assert not may(AllowList())
    assert not may(AllowList(), ("host", HERE), ("host", HERE))
    assert not may(AllowList(), ("host", HERE), ("Host", "evil.test"))


def test_host_names_addresses_and_wildcards_can_be_allowed() -> None:
    from_names = AllowList.from_names(["Studio.local", "[fe80::1]"], ["https://music.example:8443"])
    for host in ("studio.local:7862", "music.example", "[fe80::1]:5"):
        assert may(from_names, ("host", host))
    assert not may(from_names, ("host", "other.local"))
    wide = AllowList(any_address=True)
    assert may(wide, ("host", "192.168.0.5:7862"))
    assert may(wide, ("host", "[2001:db8::1]"))
    assert not may(wide, ("host", "evil.test"))
    for everybody in (AllowList(any_host=True), AllowList(hosts=frozenset({"*"}))):
        assert may(everybody, ("host", "evil.test"))
        assert not may(everybody, ("host", "evil.test"), ("origin", "http://other.test"))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (HERE, f"http://{HERE}"),
        (HERE, f"HTTP://{HERE}"),
        ("localhost", "http://localhost"),
        ("localhost", "https://localhost"),  # behind a proxy that speaks TLS
        ("[::1]:7862", "http://[::1]:7862"),
        ("localhost:80", "http://localhost"),
    ],
)
def test_requests_of_the_same_origin_are_accepted(host: str, origin: str) -> None:
    assert may(AllowList(), ("host", host), ("origin", origin), method="POST")


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "http://evil.test", "http://127.0.0.1", "http://127.0.0.1:1", "http://localhost:7862", "file://"),
        *("http://127.0.0.1:7862.evil.test", "http://evil.test/http://127.0.0.1:7862", "http://a@127.0.0.1:7862"),
        *("ftp://127.0.0.1:7862", "127.0.0.1:7862", "http://127.0.0.1:7862/", "http://127.0.0.1:7862 http://evil.test"),
        *("chrome-extension://abcdef", "data:", "http://", "http://music.example"),
    ],
)
def test_requests_of_other_origins_are_refused(origin: str) -> None:
    allowing = AllowList.from_names([], ["https://music.example"])
    for method in ("GET", "POST", "OPTIONS"):
        for allow_list in (AllowList(), allowing):
            assert not may(allow_list, ("host", HERE), ("origin", origin), method=method)
            same = ("sec-fetch-site", "same-origin")  # sent by a browser for another address, or forged
            assert not may(allow_list, ("host", HERE), ("origin", origin), same, method=method)


def test_request_with_two_origins_is_refused() -> None:
    assert not may(AllowList(), ("host", HERE), ("origin", f"http://{HERE}"), ("origin", f"http://{HERE}"))


def test_configured_origins_are_accepted() -> None:
    listed = AllowList.from_names([], ["https://music.example", "http://localhost:3000"])
    pattern = AllowList(origin_pattern=r"https://[a-z]+\.example")
    assert may(listed, ("host", HERE), ("origin", "http://localhost:3000"))
    for allow_list in (listed, pattern):
        assert may(allow_list, ("host", HERE), ("origin", "https://music.example"), method="POST")
        assert not may(allow_list, ("host", HERE), ("origin", "https://music.example:444"), method="POST")
        assert not may(allow_list, ("host", HERE), ("origin", "https://music.example.evil.test"), method="POST")
    assert not may(AllowList(origin_pattern=".*"), ("host", HERE), ("origin", "null"))
    assert not may(AllowList(origin_pattern=".*"), ("host", HERE), ("origin", "http://" + "a" * 400))


NAVIGATION = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something new"])
def test_cross_site_requests_without_an_origin_may_only_navigate(site: str) -> None:
    common = (("host", HERE), ("sec-fetch-site", site))
    images = (("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"))
    frames = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"))
    for kind in (images, frames, ()):
        assert not may(AllowList(), *common, *kind)
    assert may(AllowList(), *common, *NAVIGATION)
    assert not may(AllowList(), *common, *NAVIGATION, method="POST")
    allowing = AllowList.from_names([], ["https://music.example"])
    assert may(allowing, *common, *images, ("referer", "https://music.example/player"))
    assert not may(allowing, *common, *images, ("referer", "https://evil.test/https://music.example/"))


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_same_origin_requests_without_an_origin_are_accepted(site: str) -> None:
    assert may(AllowList(), ("host", HERE), ("sec-fetch-site", site))


def test_requests_without_origin_and_fetch_headers_pass() -> None:
    assert may(AllowList(), ("host", HERE), method="POST")


@given(st.text(max_size=40))
def test_parsing_any_text_returns_a_host_or_raises(text: str) -> None:
    for parse in (parse_host, parse_origin):
        try:
            parsed = parse(text)
        except RiffusionError:
            continue
        assert parsed


@pytest.mark.parametrize("origin", ["music.example", "https://music.example/path", "null", "https://"])
def test_invalid_settings_are_refused(origin: str) -> None:
    with pytest.raises(RiffusionError):
        AllowList.from_names([], [origin])


class Behind:
    """An application behind the checks, which counts the requests that reach it."""

    def __init__(self, allow_list: AllowList, *, cross_origin: bool = False) -> None:
        self.reached = 0
        app = FastAPI()

        @app.api_route("/", methods=["GET", "POST", "OPTIONS"])
        def page() -> dict[str, str]:
            self.reached += 1
            return {"secret": "tune"}

        @app.websocket("/socket")
        async def talk(socket: WebSocket) -> None:
            self.reached += 1
            await socket.accept()
            await socket.send_text("tune")
            await socket.close()

        self.client = TestClient(
            AllowListMiddleware(app, allow_list, cross_origin=cross_origin), base_url=f"http://{HERE}"
        )


def test_refused_request_does_not_reach_the_app() -> None:
    behind = Behind(AllowList())
    for headers in ({"host": "evil.test"}, {"origin": "null"}, {"origin": "http://evil.test"}):
        for method in ("GET", "POST", "OPTIONS"):
            reply = behind.client.request(method, "/", headers=headers)
            assert reply.status_code == 403
            assert "tune" not in reply.text
            assert "access-control-allow-origin" not in reply.headers
        with pytest.raises(WebSocketDisconnect), behind.client.websocket_connect("/socket", headers=headers):
            pass
    assert behind.reached == 0
    assert behind.client.get("/").json() == {"secret": "tune"}
    with behind.client.websocket_connect("/socket", headers={"host": HERE, "origin": f"http://{HERE}"}) as socket:
        assert socket.receive_text() == "tune"


def test_allowed_origins_get_cors_headers() -> None:
    behind = Behind(AllowList.from_names([], ["https://music.example"]), cross_origin=True)
    origin = {"origin": "https://music.example"}
    reply = behind.client.post("/", headers=origin)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "https://music.example")
    asking = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    reached = behind.reached
    reply = behind.client.options("/", headers=asking)
    assert reply.status_code == 204
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "content-type" in reply.headers["access-control-allow-headers"].lower()
    assert behind.reached == reached
    assert "access-control-allow-origin" not in behind.client.get("/").headers


def test_each_refusal_is_logged_once_and_their_number_is_limited(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REPORTED", set())
    behind = Behind(AllowList())
    with caplog.at_level(logging.WARNING):
        for number in (*range(60), 0, 1):
            behind.client.get("/", headers={"host": f"evil{number}.test"})
    assert len(caplog.records) == 20
    assert "--allow-host evil0.test" in caplog.text
