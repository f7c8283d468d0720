"""The standalone server with its API."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from riffusion_ext.cli import main
from riffusion_ext.ui import gradio_compat
from tests.unit.webuis import Model, free_port, serving, webui

pytestmark = pytest.mark.slow

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> str:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "riffusion_ext",
            "ui",
            "--port",
            str(port),
            "--output-dir",
            str(tmp_path_factory.mktemp("ui") / "o"),
        ]
        env = {**os.environ, "no_proxy": "127.0.0.1,localhost", "GRADIO_ANALYTICS_ENABLED": "False"}
        started.append(subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=env))
        lines = started[-1].stdout or []
        assert any("Riffusion runs on" in line for line in lines)  # gradio 3 prints something before
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=120)


class Named:
    """A server that generates with a remote webui; the last test that needs the webui stops it."""

    def __init__(self, serve: Any, folder: Path, stack: ExitStack) -> None:
        self.model = Model()
        far = stack.enter_context(serving(webui(self.model, folder, "ann:one")))
        self.take_away = stack.close
        self.url = serve("--api", "--webui", far.replace("://", "://ann:one@"))


@pytest.fixture(scope="module")
def named(serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    with ExitStack() as stack:
        yield Named(serve, tmp_path_factory.mktemp("far"), stack)


def status(url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> tuple[int, Any]:
    try:
        with _open(urllib.request.Request(url, body, headers or {}), timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_option_api_serves_routes_beside_the_page(serve: Any, tmp_path: Path) -> None:
    from PIL import Image

    url = serve("--api", "--api-auth", "ann:one")
    assert _open(url).status == 200
    assert status(f"{url}/riffusion/v1/health")[0] == 401
    right = {"Authorization": "Basic " + base64.b64encode(b"ann:one").decode()}
    assert status(f"{url}/riffusion/v1/version", right)[1]["host"] == "standalone"
    Image.linear_gradient("L").resize((64, 64)).save(tmp_path / "a.png")
    code, sent = status(f"{url}/riffusion/v1/pictures", right, (tmp_path / "a.png").read_bytes())
    assert code == 201
    body = json.dumps({"picture": sent["id"]}).encode()
    code, clip = status(f"{url}/riffusion/v1/image-to-audio", {**right, "Content-Type": "application/json"}, body)
    assert (code, clip["duration"]) == (200, 0.63)
    assert (
        status(f"{url}/riffusion/v1/loops", {**right, "Content-Type": "application/json"}, b'{"prompt":"a"}')[0] == 501
    )


def test_other_origins_cannot_read_replies(named: Named) -> None:
    asked = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for method, path in (("GET", "/riffusion/v1/jobs"), ("GET", "/config"), ("OPTIONS", "/riffusion/v1/loops")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            _open(urllib.request.Request(f"{named.url}{path}", None, asked, method=method), timeout=60)
        with caught.value as reply:
            assert reply.status == 403
            assert reply.headers["Access-Control-Allow-Origin"] is None, (method, path)


def test_named_webuis_generate_for_routes_and_pages(named: Named) -> None:
    url = named.url
    json_ = {"Content-Type": "application/json"}
    code, result_notes = status(f"{url}/riffusion/v1/capabilities")
    assert (code, result_notes["model"], result_notes["samplers"]) == (200, "tiny", ["Euler", "DPM++ 2M"])
    code, job = status(f"{url}/riffusion/v1/loops", json_, b'{"prompt": "bass", "bars": 1, "steps": 2}')
    assert code == 202
    end = time.monotonic() + 300
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)
        job = status(f"{url}{job['url']}")[1]
    assert (job["state"], job["result"]["clip"]["duration"]) == ("done", 2.0), job["error"]
    assert named.model.requests[0].loop
    page = _open(f"{url}/config").read().decode()
    assert "DPM++ 2M" in page
    assert "start it with --webui" not in page
    named.take_away()
    code, result_notes = status(f"{url}/riffusion/v1/capabilities")
    assert (code, b"nothing listens on" in result_notes) == (503, True)


def test_unreachable_webui_is_named_in_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "--webui", "http://127.0.0.1:9", "--output-dir", str(tmp_path / "o")]) == 1
    assert capsys.readouterr().err == "riffusion-ext ui: nothing listens on http://127.0.0.1:9\n"


def test_routes_are_absent_without_the_option(serve: Any) -> None:
    url = serve()
    assert status(f"{url}/riffusion/v1/health")[0] == 404
    assert status(f"{url}/run_vst/", body=b"{}")[0] in (404, 405)


@pytest.mark.parametrize("option", ["--auth", "--api-auth"])
@pytest.mark.parametrize("text", ["ann", ":", "ann:", ":one", ""])
def test_invalid_password_is_refused(option: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "--api", option, text]) == 2
    assert "user:password" in capsys.readouterr().err


def test_password_of_the_routes_needs_the_routes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "--api-auth", "ann:one"]) == 2
    assert "--api" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.0.4", "my-machine"])
@pytest.mark.parametrize("more", [[], ["--api", "--api-auth", "ann:one"]])
def test_listening_on_other_addresses_needs_a_password(
    host: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ui", "--host", host, *more]) == 2
    assert "--auth USER:PASSWORD" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "text"), [("--allow-origin", "music.example"), ("--allow-host", "http://a")])
def test_invalid_names_and_origins_are_refused(option: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", option, text]) == 2
    assert text in capsys.readouterr().err


def test_password_protects_every_path(serve: Any) -> None:
    url = serve("--api", "--auth", "ann:p,ss:w", "--api-auth", "bo:two")
    page = f"{url}/"
    both = [{"Authorization": "Basic " + base64.b64encode(text).decode()} for text in (b"ann:p,ss:w", b"bo:two")]
    paths = ["/", "/config", "/theme.css", "/favicon.ico", "/nothing", "/riffusion/media/x", "/riffusion/live/x"]
    for path in (*paths, "/queue/join", "/gradio_api/queue/data", "/riffusion/v1/health", "/riffusion/v1/docs"):
        assert status(f"{url}{path}")[0] == 401, path
        assert status(f"{url}{path}", {"Authorization": "Basic " + base64.b64encode(b"ann:p").decode()})[0] == 401, path
    for path in paths[:3]:
        assert _open(urllib.request.Request(f"{url}{path}", headers=both[0])).status == 200
        assert status(f"{url}{path}", both[1])[0] == 401
    for headers in both:
        assert status(f"{url}/riffusion/v1/health", headers)[0] == 200
    with _open(urllib.request.Request(page, headers=both[0])) as reply:
        assert reply.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_stopped_server_reports_it_and_removes_scratch_folders(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "riffusion_ext",
        "ui",
        "--api",
        "--port",
        str(port),
        "--output-dir",
        f"{tmp_path}/o",
    ]
    env = {**os.environ, "TMPDIR": str(scratch), "GRADIO_ANALYTICS_ENABLED": "False"}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, **streams) as process:
        assert any("Riffusion runs on" in line for line in process.stdout or [])
        with socket.create_connection(("127.0.0.1", port)) as page:  # open as long as the page
            target = "/gradio_api/heartbeat/abc" if "gradio_api" in index(port) else "/heartbeat/abc"
            page.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            page.recv(100)
            assert list(scratch.glob("riffusion-*"))
            process.terminate()
            _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[-1] == f"stopped; results and recordings are in {tmp_path}/o"
    assert "Traceback" not in said
    assert list(scratch.glob("riffusion-*")) == []


def index(port: int) -> str:
    page: str = _open(f"http://127.0.0.1:{port}/").read().decode()
    return page


def test_css_and_theme_reach_the_mounted_page() -> None:
    with gradio_compat.page("Riffusion", "a { color: red }") as blocks:
        pass
    options = gradio_compat.mount_options(blocks)
    if int(version("gradio").split(".")[0]) < 6:
        assert (blocks.css, blocks.theme.body_text_color_subdued) == ("a { color: red }", "*neutral_500")
    else:
        assert (options["css"], options["theme"].body_text_color_subdued) == ("a { color: red }", "*neutral_500")
