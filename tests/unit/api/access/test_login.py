"""One password for everything, HTTP and WebSockets alike."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from riffusion_ext.api.access.auth import parse_credential, parse_credentials
from riffusion_ext.api.access.login import Login
from riffusion_ext.errors import RiffusionError
from tests.unit.api.conftest import basic


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.get("/page")(lambda: "page")
    app.get("/api")(lambda: "api")

    @app.websocket("/socket")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    def others(scope: Any) -> dict[str, str]:
        return {"bo": "two"} if scope["path"] == "/api" else {}

    return TestClient(
        Login(app, {"ann": "p,ss:w\u00f6rd"}, extra_credentials=others, is_own=lambda scope: scope["path"] == "/own")
    )


@pytest.mark.parametrize("path", ["/page", "/api", "/missing", "/docs", "/openapi.json"])
def test_every_route_asks_for_the_password(client: TestClient, path: str) -> None:
    for headers in ({}, basic("ann:wrong"), basic("ann:p"), basic(":"), basic("ann:"), {"Authorization": "Basic %"}):
        reply = client.get(path, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"].startswith("Basic")
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers=headers):
            pass


def test_right_password_is_accepted_by_every_route(client: TestClient) -> None:
    right = basic("ann:p,ss:w\u00f6rd")
    assert client.get("/page", headers=right).json() == "page"
    assert client.get("/api", headers=right).json() == "api"
    with client.websocket_connect("/socket", headers=right):
        pass


def test_api_password_does_not_open_the_pages(client: TestClient) -> None:
    assert client.get("/api", headers=basic("bo:two")).status_code == 200
    assert client.get("/page", headers=basic("bo:two")).status_code == 401


def test_internal_requests_need_no_password(client: TestClient) -> None:
    assert client.get("/own").status_code == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user:p,ss", ("user", "p,ss")),
        ("a:b:c", ("a", "b:c")),
        ("\u00e4:\u00f6", ("\u00e4", "\u00f6")),
    ],
)
def test_password_follows_the_first_colon(text: str, expected: tuple[str, str]) -> None:
    assert parse_credential(text) == expected


@pytest.mark.parametrize("text", ["", ":", "user:", ":password", "user", " : ", "user: "])
def test_credential_without_user_or_password_is_an_error(text: str) -> None:
    with pytest.raises(RiffusionError, match="user:password"):
        parse_credential(text)


@pytest.mark.parametrize("text", ["a:b,c", "a:b,", ",a:b", "a:b:c", ":", "a:", "a:b,:", "user:p,ss"])
def test_credential_list_that_the_webui_parses_differently_is_refused(text: str) -> None:
    with pytest.raises(RiffusionError):
        parse_credentials(text)
