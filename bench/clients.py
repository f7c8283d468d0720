"""Load test of the HTTP API: many concurrent clients decode images; measures failures, latency and memory.

The server is ``riffusion-ext ui --api`` in its own process. Each client sends an image and fetches the sound, in two
parts and as a whole. Memory is that of the server; Linux only, elsewhere the section is skipped.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from bench.material import Material
from bench.report import AIM, Gate, Section, Table, number
from bench.timing import ROOT

CLIENTS = 50
_START = 120.0  # seconds
_MB = 1e6

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def measure(material: Material, *, rounds: int) -> Section | None:
    """Run all clients concurrently, several times."""
    if not Path("/proc/self/status").exists() or importlib.util.find_spec("gradio") is None:
        return None
    bodies = [_body(piece.image, quarter_turns) for quarter_turns in range(4) for piece in material.pieces]
    with _server() as (url, status):
        _client(url, bodies[0])
        held = [_process_memory(status, "VmRSS")]
        took: list[list[float]] = []
        lost: list[str] = []
        for _ in range(rounds):
            seconds, errors = _run_clients(url, bodies)
            took.append(seconds)
            lost += errors
            held.append(_process_memory(status, "VmRSS"))
        peak = _process_memory(status, "VmHWM")
    rows: list[Sequence[str]] = [["before", "-", "-", "-", number(held[0] / _MB, 0)]]
    for count, (seconds, after) in enumerate(zip(took, held[1:], strict=True), 1):
        ordered = sorted(seconds) or [float("nan")]
        middle, last = ordered[len(ordered) // 2], ordered[-1]
        cells = (number(len(seconds) / last, 1), number(middle), number(last), number(after / _MB, 0))
        rows.append([f"round {count}", *cells])
    table = Table(
        f"{CLIENTS} clients at once, an image each",
        ["", "images a second", "median wait s", "longest wait s", "server holds MB"],
        rows,
    )
    gates = [
        Gate(f"clients: lost of {CLIENTS * rounds}", len(lost), "==", 0),
        Gate("clients: peak over a server that has served one", (peak - held[0]) / _MB, "<", 1000.0, "MB"),
        Gate("clients: held after the last round over the first", (held[-1] - held[1]) / _MB, "<", 100.0, "MB", AIM),
    ]
    return Section("clients", [table], gates, {"seconds": took, "held": held, "peak": peak, "lost": lost})


def _body(image: Image.Image, quarter_turns: int) -> bytes:
    """Build a request, with the image rotated by quarter turns to get many images from a few."""
    file = io.BytesIO()
    image.convert("RGB").rotate(90 * quarter_turns).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return json.dumps({"image": text, "format": "flac" if quarter_turns % 2 else "wav"}).encode()


def _run_clients(url: str, bodies: Sequence[bytes]) -> tuple[list[float], list[str]]:
    """Send all requests at the same time; return the seconds of each, and the errors."""
    start = threading.Barrier(CLIENTS)
    seconds: list[float] = []
    errors: list[str] = []

    def ask(number: int) -> None:
        start.wait()
        begun = time.perf_counter()
        try:
            _client(url, bodies[number % len(bodies)])
        except Exception as error:  # counted and reported: failures are measured
            errors.append(f"{type(error).__name__}: {error}")
        else:
            seconds.append(time.perf_counter() - begun)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, range(CLIENTS)))
    return seconds, errors


def _client(url: str, body: bytes) -> None:
    """Send an image and fetch its sound.

    Raises
    ------
    ValueError
        The response is not the expected one.
    """
    request = urllib.request.Request(f"{url}/riffusion/v1/image-to-audio", body, {"Content-Type": "application/json"})
    with _open(request, timeout=600) as reply:
        clip = json.load(reply)
    with _open(url + clip["url"], timeout=600) as reply:
        whole = reply.read()
    middle = len(whole) // 2
    parts = []
    for part in (f"bytes=0-{middle - 1}", f"bytes={middle}-"):
        with _open(urllib.request.Request(url + clip["url"], headers={"Range": part}), timeout=600) as reply:
            if reply.status != 206:
                raise ValueError(f"status {reply.status} for a part")
            parts.append(reply.read())
    if len(whole) != clip["bytes"] or b"".join(parts) != whole or whole[:4] not in (b"RIFF", b"fLaC"):
        raise ValueError("the sound is not whole")


@contextmanager
def _server() -> Iterator[tuple[str, Path]]:
    """Run the server in its own process; yields its URL and the file with its memory status."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "riffusion_ext", "ui", "--api", "--port", port, "--output-dir", folder]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet) as process:
            try:
                _wait_for_server(url, process)
                yield url, Path(f"/proc/{process.pid}/status")
            finally:
                process.terminate()
                process.wait(30)


def _wait_for_server(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end and process.poll() is None:
        try:
            _open(f"{url}/riffusion/v1/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError("riffusion-ext ui --api did not start")


def _process_memory(status: Path, key: str) -> float:
    """Return a memory figure of the process in bytes."""
    lines = status.read_text("ascii").splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
