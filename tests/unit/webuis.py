"""Servers with our routes and a fake backend, in threads or in processes of their own.

``python -m tests.unit.webuis PORT SECONDS NAME [USER:PASSWORD]``: each batch takes SECONDS.
"""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from PIL import Image

from riffusion_ext.api.access.auth import parse_credentials
from riffusion_ext.api.app import mount
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.routes.page import mount_media
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.library import ClipLibrary
from riffusion_ext.services.model_provider import BackendModel
from tests.unit.generate.fake_backends import InterruptibleBackend, by_seed

ROOT = Path(__file__).resolve().parents[2]
importlib.import_module("anyio._backends._asyncio")  # two servers in threads would import it at the same time

SAMPLERS = ("Euler", "DPM++ 2M")


def signed(request: Request) -> Image.Image:
    """Draw clouds and store an infotext, as a webui does."""
    image = by_seed(request)
    image.info["parameters"] = f"{request.prompts[0]}\nSteps: {request.steps}, Seed: {request.seeds[0]}"
    return image


class Model(InterruptibleBackend):
    """A fake model whose images have an infotext."""

    def __init__(self, *, name: str = "tiny", delay: float = 0.0, max_batch: int = 2) -> None:
        super().__init__(max_batch=max_batch, delay=delay)
        self.name = name

    def _clouds(self, request: Request) -> Image.Image:
        super()._clouds(request)
        return signed(request)


def webui(model: Model | None, folder: Path, credentials: str = "", *, samplers: Sequence[str] = SAMPLERS) -> FastAPI:
    """Return an application with the routes of a webui that we use."""
    others = ClipLibrary()
    service = ApiContext(
        host="webui",
        scratch=lambda: folder,
        device=lambda: "cpu",
        model=None if model is None else BackendModel(lambda: model, samplers, samplers[-1]),
        page_clips=others,
    )
    app = FastAPI()
    mount(app, service, parse_credentials(credentials))
    mount_media(app, others)
    return app


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application in a thread; yields its address."""
    port = free_port()
    config = uvicorn.Config(app, "127.0.0.1", port, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 120
    while not server.started:
        assert time.monotonic() < end
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


class Process:
    """A server process, which can be killed and started again on the same port."""

    def __init__(self, seconds: float = 0.0, name: str = "tiny", credentials: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = [str(self.port), str(seconds), name, credentials]
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.unit.webuis", *self._arguments]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)

    def ready(self) -> str:
        """Wait until it serves and return its address."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("serving")
        return self.url

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=120)


def main(port: str, seconds: str, name: str, credentials: str) -> None:
    """Serve until the process is killed."""
    with tempfile.TemporaryDirectory() as folder:
        app = webui(Model(name=name, delay=float(seconds)), Path(folder), credentials)
        server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", int(port), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
