"""Pages of another site in a real browser: they can neither read from the server nor start anything."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.browser.conftest import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ATTACKS = """
async (target) => {
  const got = {};
  const song = JSON.stringify({score: "0:05 | a"});
  const attempt = async (name, act) => {
    try { got[name] = await act(); } catch (error) { got[name] = "refused"; }
  };
  const read = (path, options) => async () => (await fetch(target + path, options)).text();
  const blind = (path, body, type) => async () => {
    const headers = type ? {"Content-Type": type} : {};
    await fetch(target + path, {method: "POST", mode: "no-cors", headers, body});
    return "sent";
  };
  for (const path of ["/", "/config", "/riffusion/v1/jobs", "/gradio_api/info", "/queue/status", "/file=/etc/hostname"])
    await attempt("read " + path, read(path));
  await attempt("post json", read("/riffusion/v1/image-to-audio", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: '{"picture": "x"}'}));
  for (const path of ["/riffusion/v1/image-to-audio", "/run/predict", "/queue/join", "/gradio_api/queue/join"]) {
    await attempt("blob " + path, blind(path, new Blob([song])));
    await attempt("text " + path, blind(path, song, "text/plain"));
  }
  const form = new FormData();
  form.append("files", new Blob(["<script>1</script>"]), "page.html");
  for (const path of ["/upload", "/gradio_api/upload", "/riffusion/v1/pictures"])
    await attempt("form " + path, blind(path, form));
  await attempt("socket", () => new Promise((resolve, reject) => {
    const socket = new WebSocket(target.replace("http", "ws") + "/queue/join");
    socket.onopen = () => resolve("open");
    socket.onerror = reject;
  }));
  await attempt("image", () => new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve("shown");
    image.onerror = reject;
    image.src = target + "/favicon.ico";
  }));
  return got;
}
"""

FRAMED = """
async (target) => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  const heard = new Promise((resolve) => addEventListener("message", (event) => resolve(event.data), {once: true}));
  frame.srcdoc = `<script>fetch(${JSON.stringify(target + "/config")}).then((reply) => reply.text())
    .then((text) => parent.postMessage(text, "*"), () => parent.postMessage("refused", "*"))</script>`;
  document.body.append(frame);
  return await heard;
}
"""


class Stranger(BaseHTTPRequestHandler):
    """Serves an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    """Return the address of another site: other host, other port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, stranger: str) -> Iterator[str]:
    results = tmp_path_factory.mktemp("foreign") / "results"
    program = ("-m", "riffusion_ext", "ui", "--api", "--port", "PORT", "--output-dir", str(results))
    with serving(results, *program) as address:
        yield address


def jobs(server: str) -> list[Any]:
    with urllib.request.urlopen(f"{server}/riffusion/v1/jobs", timeout=60) as reply:
        found: list[Any] = json.load(reply)["jobs"]
    return found


def test_requests_from_another_site_are_refused_and_start_no_job(chromium: Any, server: str, stranger: str) -> None:
    page = chromium.new_page()
    replies: dict[str, list[int]] = {}
    page.on("response", lambda reply: replies.setdefault(reply.url.removeprefix(server), []).append(reply.status))
    page.goto(stranger)
    got = page.evaluate(ATTACKS, server)
    blind = {name: what for name, what in got.items() if what == "sent"}
    assert set(got.values()) <= {"refused", "sent"}, got
    for name in blind:  # the browser sends these without a preflight; the server must refuse them
        assert set(replies[name.partition(" ")[2]]) == {403}, name
    assert jobs(server) == []
    assert page.evaluate(FRAMED, server) == "refused"
    page.close()


def test_page_cannot_be_framed_by_another_site(chromium: Any, server: str, stranger: str) -> None:
    page = chromium.new_page()
    page.goto(stranger)
    with page.expect_response(lambda reply: reply.url.startswith(server)) as met:
        page.evaluate("(src) => document.body.append(Object.assign(document.createElement('iframe'), {src}))", server)
    assert met.value.status == 403
    page.close()


def test_link_from_another_site_opens_the_page(chromium: Any, server: str, stranger: str) -> None:
    page = chromium.new_page()
    page.goto(stranger)
    page.evaluate("(href) => { document.body.innerHTML = `<a href=${href}>go</a>` }", server)
    page.click("a")
    page.wait_for_selector("#riffusion_pictures_go", timeout=120_000)
    page.close()
