"""Access to the standalone server, and the address it listens on."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from riffusion_ext.api.server import Access, listen, protect
from riffusion_ext.errors import RiffusionError


@pytest.mark.parametrize(
    ("access", "private"),
    [
        *((Access(host), True) for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]")),
        *((Access(host, credentials={"a": "b"}), False) for host in ("0.0.0.0", "::", "192.168.0.4", "my-machine", "")),
        (Access(hosts=["music.example"]), False),
        (Access(origins=["https://music.example"]), False),
    ],
)
def test_server_is_private_only_on_loopback_without_other_hosts(access: Access, private: bool) -> None:
    access.check()
    assert access.is_private is private


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.0.4", "my-machine", "0"])
def test_listening_on_other_addresses_needs_a_password(host: str) -> None:
    with pytest.raises(RiffusionError, match="--auth USER:PASSWORD"):
        Access(host, api_credentials={"a": "b"}).check()


def test_wildcard_host_needs_a_password() -> None:
    with pytest.raises(RiffusionError, match="names one by one"):
        Access(hosts=["*"]).check()
    Access(hosts=["*"], credentials={"a": "b"}).check()


@pytest.mark.parametrize(
    ("host", "asked", "status"),
    [
        ("127.0.0.1", "127.0.0.1:1", 200),
        ("127.0.0.1", "192.168.0.4:1", 403),
        ("0.0.0.0", "192.168.0.4:1", 200),
        ("", "192.168.0.4:1", 200),
        ("::", "[2001:db8::1]:1", 200),
        ("0.0.0.0", "evil.test:1", 403),
        ("my-machine", "my-machine:1", 200),
        ("my-machine", "192.168.0.4:1", 403),
        ("fe80::1", "[fe80::1]:1", 200),
    ],
)
def test_requests_are_answered_by_host_name(host: str, asked: str, status: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("page")(scope, receive, send)

    client = TestClient(protect(app, Access(host), lambda scope: False))
    assert client.get("/", headers={"host": asked}).status_code == status


def test_bound_port_refuses_connections_until_it_listens() -> None:
    with closing(listen(Access())) as bound:
        port = bound.getsockname()[1]
        with closing(socket.socket()) as caller:
            assert caller.connect_ex(("127.0.0.1", port)) != 0
        bound.listen()
        with pytest.raises(OSError, match="in use"):
            listen(Access(port=port))


@pytest.mark.parametrize("path", ["/riffusion/v1", "/riffusion/v1/songs", "/run_vst/", "/run_inference"])
def test_api_passwords_apply_to_api_routes_only(path: str) -> None:
    access = Access(api_credentials={"bo": "two"})
    assert access.extra_credentials({"path": path}) == {"bo": "two"}
    for other in ("/", "/config", "/riffusion/media/x", "/riffusion/v1x", "/run_vstx", f"/x{path}", ""):
        assert not access.extra_credentials({"path": other})
