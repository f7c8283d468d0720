"""The routes in an application of their own, with a fake backend."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext.api.app import mount
from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.limits import Limits
from riffusion_ext.api.routes.page import mount_media
from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.formats.wav import write_wav
from riffusion_ext.library import ClipLibrary
from riffusion_ext.metadata import save_image
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.services.model_provider import BackendModel
from tests.unit.generate.fake_backends import InterruptibleBackend
from tests.unit.small import SMALL

V1 = "/riffusion/v1"


@pytest.fixture
def studio() -> InterruptibleBackend:
    return InterruptibleBackend()


MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client(tmp_path: Path, studio: InterruptibleBackend) -> Iterator[MakeClient]:
    """Return a maker of clients: ``credentials``, ``generates``, ``lanes``, ``output``, and the fields of Limits."""
    opened: list[TestClient] = []

    def make(
        *, credentials: Any = None, generates: bool = True, lanes: Any = None, output: bool = True, **limits: Any
    ) -> TestClient:
        limit = Limits(**limits)
        limit = replace(limit, lanes={**limit.lanes, **(lanes or {})})
        others = ClipLibrary()
        service = ApiContext(
            scratch=lambda: tmp_path / "scratch",
            device=lambda: "cpu",
            model=BackendModel(lambda: studio, ["Euler", "DPM++ 2M"]) if generates else None,
            page_clips=others,
            limits=limit,
            output=(lambda: tmp_path / "results") if output else None,
        )
        app = FastAPI()
        mount(app, service, credentials)
        mount_media(app, others)
        client = TestClient(app, raise_server_exceptions=False)
        client.service = service  # type: ignore[attr-defined]
        opened.append(client)
        return client

    yield make
    studio.go_on.set()
    for client in opened:
        for job in client.service.jobs.all():  # type: ignore[attr-defined]
            job.cancel()
            assert job.wait(60)


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


def image_bytes(width: int = 64, *, seed: int = 0, params: SpectrogramParams = SMALL, path: Path) -> bytes:
    """Return a PNG file of clouds that records its parameters."""
    values = np.random.default_rng(seed).integers(0, 255, (params.num_frequencies // 8, width // 8), np.uint8)
    image = Image.fromarray(values).resize((width, params.num_frequencies), Image.Resampling.BICUBIC).convert("RGB")
    return save_image(image, path / f"{seed}.png", params, 30e6).read_bytes()


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    return image_bytes(path=tmp_path)


def sound_bytes(seconds: float, *, rate: int = 8000, channels: int = 1, seed: int = 0) -> bytes:
    """Return a WAV file of chords over a little noise."""
    rng = np.random.default_rng(seed)
    time_ = np.arange(round(seconds * rate)) / rate
    wave = 0.02 * rng.standard_normal((channels, len(time_)))
    for start in np.arange(0, seconds, 0.5):
        tone = np.where(time_ >= start, np.exp(-4 * np.abs(time_ - start)), 0.0)
        wave += 0.2 * tone * np.sin(2 * np.pi * rng.choice([220.0, 330.0, 440.0]) * time_)
    file = io.BytesIO()
    write_wav(file, AudioClip(wave.astype(np.float32), rate), subtype="pcm16", tags={})
    return file.getvalue()


def basic(text: str) -> dict[str, str]:
    """Return the header of a user and a password, as in ``"ann:secret"``."""
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def upload(client: TestClient, kind: str, data: bytes, name: str = "") -> dict[str, Any]:
    reply = client.post(f"{V1}/{kind}", content=data, params={"name": name} if name else None)
    assert reply.status_code == 201, reply.text
    return reply.json()


def ended(client: TestClient, reply: Any, *, state: str = "done") -> dict[str, Any]:
    """Follow a job to its end and return its view."""
    assert reply.status_code == 202, reply.text
    view = reply.json()
    assert reply.headers["location"] == view["url"]
    end = time.monotonic() + 300
    while view["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.02)
        view = client.get(view["url"]).json()
    assert view["state"] == state, (view["error"], view)
    return view


def sentence(reply: Any, status: int) -> str:
    """Check that a request was refused with one sentence, and return it."""
    assert reply.status_code == status, (reply.status_code, reply.text)
    body = reply.json()
    assert list(body) == ["detail"], body
    text = body["detail"]
    assert isinstance(text, str)
    assert text
    assert "\n" not in text
    json.dumps(text).encode("ascii")
    return text
