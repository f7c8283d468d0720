"""Which routes of gradio's server can be reached: its pages, and no files by path."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from riffusion_ext.api.access import gradio_gate
from riffusion_ext.api.access.gradio_gate import GradioGate, cached_file

READ = [
    "/",
    "/config",
    "/theme.css",
    "/assets/index-1.js",
    "/static/img/logo.svg",
    "/info",
    "/queue/data?session_hash=a",
]
NEWER = ["/gradio_api/info", "/gradio_api/queue/data", "/gradio_api/heartbeat/abc", "/gradio_api/startup-events"]
CALLED = ["/run/predict", "/api/predict/", "/queue/join", "/reset", "/gradio_api/queue/join", "/gradio_api/cancel"]


class Gradio:
    """A fake gradio that records its requests."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            message = await receive()
            if message["type"] == "websocket.receive":
                self.got.append((scope["path"], message["text"].encode()))
                await send({"type": "websocket.send", "text": "done"})
                await send({"type": "websocket.close"})
            return
        body = b"".join([part async for part in Request(scope, receive).stream()])
        self.got.append((scope["path"], body))
        await PlainTextResponse("gradio")(scope, receive, send)


@pytest.fixture
def gradio() -> Gradio:
    return Gradio()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    (folder / "0123abcd").mkdir(parents=True)
    (folder / "0123abcd" / "a.png").write_bytes(b"\x89PNG image")
    (folder / "0123abcd" / "page.html").write_text("<script>alert(1)</script>")
    (folder / "0123abcd" / "drawing.svg").write_text("<svg onload='alert(1)'/>")
    return folder


@pytest.fixture
def client(gradio: Gradio, cache: Path) -> TestClient:
    return TestClient(GradioGate(gradio, cache, upload_bytes=5000, body_bytes=4000))


@pytest.mark.parametrize("path", [*READ, *NEWER])
def test_routes_read_by_pages_are_served(client: TestClient, path: str) -> None:
    assert client.get(path).text == "gradio"
    assert client.head(path).status_code == 200


@pytest.mark.parametrize("path", CALLED)
def test_routes_called_by_pages_are_served(client: TestClient, gradio: Gradio, path: str) -> None:
    assert client.post(path, json={"data": ["a"]}).text == "gradio"
    assert json.loads(gradio.got[-1][1]) == {"data": ["a"]}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/proxy=http://127.0.0.1/",
            "/docs",
            "/openapi.json",
            "/redoc",
            "/monitoring",
            "/monitoring/summary",
            "/user",
        ),
        *("/token", "/login", "/dev/reload", "/custom_component/a/b/c.js", "/stream/a", "/component_server"),
        *("/gradio_api/proxy=http://a/", "/gradio_api/mcp/", "/gradio_api/deep_link", "/gradio_api/call/a", "/node/x"),
        *("/static/../secret", "/assets/%2e%2e/secret", "/nothing", "/\u00e9"),
    ],
)
def test_other_routes_are_refused(client: TestClient, gradio: Gradio, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.request(method, path).status_code in (403, 404)
    assert gradio.got == []


@pytest.mark.parametrize("prefix", ["/file=", "/file/", "/gradio_api/file="])
def test_files_of_the_cache_are_served_without_scripts(client: TestClient, cache: Path, prefix: str) -> None:
    reply = client.get(f"{prefix}{cache}/0123abcd/a.png", headers={"Range": "bytes=1-3"})
    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (206, b"PNG", "image/png")
    for name in ("page.html", "drawing.svg"):
        reply = client.get(f"{prefix}{cache}/0123abcd/{name}")
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("prefix", ["/file=", "/file/", "/gradio_api/file="])
def test_files_outside_the_cache_are_not_served(client: TestClient, gradio: Gradio, cache: Path, prefix: str) -> None:
    secret = cache.parent / "secret.png"
    secret.write_bytes(b"secret")
    (cache / "0123abcd" / "link.png").symlink_to(secret)
    (cache / "folder").symlink_to(cache.parent)
    names = [
        *(f"{secret}", f"{cache}/../secret.png", f"{cache}/0123abcd/../../secret.png", f"{cache}/0123abcd/link.png"),
        *(f"{cache}/folder/secret.png", f"{cache}", f"{cache}/", f"{cache}/0123abcd", "README.md", "./README.md"),
        *("/etc/hostname", "//etc/hostname", "http://127.0.0.1:1/", "https://evil.test/a.png", "C:/a", "%00", "~root"),
        *(f"{cache}/0123abcd/%2e%2e/%2e%2e/secret.png", f"/{cache}/0123abcd/a.png", f"{cache}/0123abcd/none.png"),
    ]
    for name in names:
        reply = client.get(f"{prefix}{name}")
        assert reply.status_code in (403, 404), name
        assert b"secret" not in reply.content.replace(b"secret.png", b"")
    assert gradio.got == []


def file_of(version: int, path: str) -> dict[str, Any]:
    if version == 3:
        return {"name": path, "is_file": True, "data": None, "orig_name": "a"}
    return {"path": path, "orig_name": "a", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("version", [3, 4])
def test_calls_may_name_uploaded_files_only(client: TestClient, gradio: Gradio, cache: Path, version: int) -> None:
    mine = file_of(version, f"{cache}/0123abcd/a.png")
    for data in ([mine], [[mine, mine]], [{"deep": [mine]}]):
        assert client.post("/run/predict", json={"data": data}).status_code == 200
    count = len(gradio.got)
    for path in ("/etc/hostname", f"{cache}/../x", "README.md", "http://127.0.0.1/", "", f"{cache}"):
        for data in ([file_of(version, path)], [[mine, file_of(version, path)]], [{"deep": [file_of(version, path)]}]):
            for route in ("/run/predict", "/queue/join", "/gradio_api/queue/join", "/gradio_api/run/predict"):
                assert client.post(route, json={"data": data}).status_code == 403
    assert len(gradio.got) == count


def test_websocket_calls_cannot_name_foreign_files(client: TestClient, gradio: Gradio, cache: Path) -> None:
    with client.websocket_connect("/queue/join") as socket:
        socket.send_json({"data": [file_of(3, f"{cache}/0123abcd/a.png")]})
        assert socket.receive_text() == "done"
    with client.websocket_connect("/queue/join") as socket:
        socket.send_json({"data": [file_of(3, "/etc/hostname")]})
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
    assert len(gradio.got) == 1
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/other"):
        pass


def test_call_without_valid_json_is_refused(client: TestClient, gradio: Gradio, cache: Path) -> None:
    hidden = json.dumps({"data": [file_of(3, "/etc/hostname")]})
    for body in (b"{", b"[" * 3000, b"\xff", hidden.encode("utf-16"), hidden.encode("utf-32-le")):
        assert client.post("/run/predict", content=body).status_code == 422
    assert gradio.got == []


@pytest.mark.parametrize("item", [b"{}", b"[]", b"1", b'"a"', b"[[]]"])
def test_a_call_of_very_many_values_is_refused_before_it_is_read(
    gradio: Gradio, cache: Path, monkeypatch: pytest.MonkeyPatch, item: bytes
) -> None:
    client = TestClient(GradioGate(gradio, cache))
    read: list[int] = []
    monkeypatch.setattr(gradio_gate, "json", SimpleNamespace(loads=lambda text: read.append(len(text))))
    reply = client.post("/run/predict", content=b'{"data":[' + b",".join([item] * 60_000) + b"]}")
    assert (reply.status_code, read, gradio.got) == (422, [], [])
    assert "50000 values" in reply.json()["detail"]


def test_image_data_does_not_count_as_many_values(gradio: Gradio, cache: Path) -> None:
    image = "data:image/png;base64," + "A,[{" * 500_000
    assert TestClient(GradioGate(gradio, cache)).post("/run/predict", json={"data": [image]}).text == "gradio"


@pytest.mark.parametrize("path", ["/upload", "/gradio_api/upload"])
def test_uploads_are_bounded_with_and_without_a_length(client: TestClient, gradio: Gradio, path: str) -> None:
    assert client.post(path, content=b"x" * 5000).status_code == 200
    assert client.post(path, content=b"x" * 5001).status_code == 413
    assert client.post(path, content=iter([b"x" * 1000] * 6)).status_code == 413
    assert [len(body) for _, body in gradio.got] == [5000]


def test_too_large_call_is_refused(client: TestClient, gradio: Gradio) -> None:
    assert client.post("/run/predict", json={"data": ["x" * 4000]}).status_code == 413
    assert gradio.got == []


def test_size_limit_is_lower_for_calls_without_images(gradio: Gradio, cache: Path) -> None:
    client, call = TestClient(GradioGate(gradio, cache)), {"data": ["x" * (5 << 20)]}
    assert client.post("/gradio_api/queue/join", json=call).status_code == 413
    assert client.post("/run/predict", json=call).status_code == 200


def test_cached_file_needs_an_absolute_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cache)
    assert cached_file(cache, "0123abcd/a.png") is None
    assert cached_file(cache, f"{cache}/0123abcd/a.png") == cache / "0123abcd" / "a.png"


class Leaving:
    """Stores an upload as gradio does: in a file at the top of the folder, which is moved when complete."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        file = self.cache / "tmp1"
        async for part in Request(scope, receive).stream():
            with file.open("ab") as opened:
                opened.write(part)
        (self.cache / "abc").mkdir(exist_ok=True)
        file.replace(self.cache / "abc" / "a.wav")
        await PlainTextResponse("whole")(scope, receive, send)


def test_refused_upload_leaves_no_file(cache: Path) -> None:
    (cache / ".mark").touch()
    client = TestClient(GradioGate(Leaving(cache), cache, upload_bytes=5000))
    assert client.post("/upload", content=iter([b"x" * 1000] * 5)).text == "whole"
    before = sorted(cache.rglob("*"))
    assert client.post("/upload", content=iter([b"x" * 1000] * 6)).status_code == 413
    assert sorted(cache.rglob("*")) == before


def test_uploads_share_a_total_size_limit(cache: Path) -> None:
    client = TestClient(GradioGate(Leaving(cache), cache, upload_bytes=5000, folder_bytes=9000))
    assert client.post("/upload", content=b"x" * 5000).text == "whole"
    refused = client.post("/upload", content=b"x" * 5000)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    assert client.post("/upload", content=b"x" * 3000).text == "whole"


def test_application_reading_on_after_an_upload_gets_the_disconnect(cache: Path) -> None:
    heard: list[str] = []

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            pass
        heard.append(message["type"])
        await Response("done")(scope, receive, send)
        heard.append((await receive())["type"])

    assert TestClient(GradioGate(listening, cache)).post("/upload", content=b"x").text == "done"
    assert heard == ["http.request", "http.disconnect"]


def test_started_response_is_not_started_again(cache: Path) -> None:
    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await Response("early")(scope, receive, send)
        while (await receive())["type"] == "http.request":
            pass

    client = TestClient(GradioGate(hasty, cache, upload_bytes=10))
    assert client.post("/upload", content=iter([b"x" * 8] * 3)).text == "early"
