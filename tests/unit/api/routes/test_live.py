"""Routes that the page "Live" uses while a session plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext.api.routes.live import LIVE, mount_live, report
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity, Request
from riffusion_ext.generate.live.registry import JamRegistry
from riffusion_ext.generate.live.session import TIMEOUT_S, Jam
from riffusion_ext.generate.live.settings import JamSettings
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.unit.generate.fake_backends import FakeBackend, by_seed
from tests.unit.small import SMALL
from tests.unit.waiting import until


def jam_of(folder: Path, generate: Callable[[Request], Image.Image] = by_seed) -> Jam:
    settings = JamSettings("funk", ahead=6, width=192, overlap=64, params=SMALL)
    return Jam(settings, FakeBackend(generate), folder, DecodeSettings(device="cpu"))


@pytest.fixture
def jam(tmp_path: Path) -> Iterator[Jam]:
    jam = jam_of(tmp_path / "jam")
    yield jam
    jam._stop.set()
    jam._last_contact = 0.0
    jam.join(20)


@pytest.fixture
def app() -> Any:
    return FastAPI()


@pytest.fixture
def url(app: Any, jam: Jam) -> str:
    jams = JamRegistry()
    mount_live(app, jams)
    return f"{LIVE}/{jams.start(jam)}"


@pytest.fixture
def client(app: Any) -> TestClient:
    return TestClient(app)


def test_state_contains_everything_a_player_needs(client: TestClient, url: str, jam: Jam):
    until(lambda: jam.is_ahead)
    told = client.get(url).json()
    assert (told["rate"], told["channels"], told["hop"], told["height"]) == (8000, 1, 80, 64)
    assert (told["state"], told["why"], told["aim"]) == ("resting", "", 6.0)
    assert told["samples"] == told["chunks"][-1]["stop"] >= 6 * 8000
    assert (told["speed"], told["needed"]) == (jam.throughput.speed, jam.throughput.needed)
    assert 0 < told["needed"] <= 6
    assert told["turns"][0] == {"start": 0, "prompt": "funk", "to": "funk", "alpha": 0.0}
    assert told["strips"][0] == {"number": 0, "start": 0, "stop": 128}
    assert (told["recording"], told["shown"], told["queue"], told["step"]) == (None, [], [], [0, 0])
    whole = b""
    for chunk in told["chunks"]:
        reply = client.get(f"{url}/chunk/{chunk['number']}")
        assert reply.headers["content-type"] == "application/octet-stream"
        assert len(reply.content) == 2 * (chunk["stop"] - chunk["start"])
        whole += reply.content
    samples = np.frombuffer(whole, "<i2") / 32768
    jam.store.with_samples(0, len(samples), lambda clip: np.testing.assert_array_equal(clip.samples[0], samples))
    strip = client.get(f"{url}/strip/0")
    assert strip.headers["content-type"] == "image/png"
    assert strip.headers["x-content-type-options"] == "nosniff"


def test_state_lists_only_new_chunks_and_the_playhead_moves(client: TestClient, url: str, jam: Jam):
    until(lambda: jam.is_ahead)
    told = client.get(url).json()
    last = told["chunks"][-1]["number"]
    again = client.get(url, params={"heard": 9000, "chunk": last, "strip": 10**14, "shown": 5}).json()
    assert [chunk["number"] for chunk in again["chunks"]][:1] == [last]
    assert again["strips"] == []
    assert again["heard"] == jam.position == 9000
    assert client.get(url).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("value", ["-1", "1.5", "x", "", "9" * 40, "0" * 5000, "٣", "1e5"])
def test_invalid_numbers_are_refused(client: TestClient, url: str, value: str):
    for name in ("heard", "chunk", "strip", "shown"):
        reply = client.get(url, params={name: value})
        assert reply.status_code == 400
        assert "must be a whole number" in reply.json()["detail"]


def test_queued_prompts_can_be_dropped_and_the_session_stopped(client: TestClient, url: str, jam: Jam):
    until(lambda: jam.is_ahead)
    wish = jam.prompts.add("<b>jazz</b>")
    assert client.get(url).json()["queue"] == [{"key": wish.key, "prompt": "<b>jazz</b>"}]
    assert client.post(f"{url}/drop/{wish.key}").json() == {"dropped": True}
    assert client.post(f"{url}/drop/{wish.key}").json() == {"dropped": False}
    assert client.get(f"{url}/drop/1").status_code in (404, 405)
    assert client.post(f"{url}/stop").status_code == 200
    until(lambda: jam.ended)
    assert client.get(url).json()["state"] == "ended"


def test_unknown_sessions_and_chunks_are_refused_in_one_sentence(client: TestClient, url: str, jam: Jam):
    until(lambda: jam.is_ahead)
    for path in (f"{LIVE}/nothing", f"{url}/chunk/999", f"{url}/strip/999", f"{url}/other/0", f"{LIVE}/no/chunk/0"):
        reply = client.get(path)
        assert reply.status_code == 404
        assert reply.json()["detail"]
    for path in (f"{url}/chunk/..%2f..%2fpasswd", f"{url}/chunk/-1", f"{LIVE}/..%2f..%2fetc"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("mark", [None, "abc"])
def test_listening_needs_the_password_of_the_page(app: Any, url: str, jam: Jam, mark: str | None):
    until(lambda: jam.is_ahead)
    app.auth, app.tokens = {"u": "p"}, {"secret": "u"}
    if mark:
        app.cookie_id = mark
    name = "access-token" + (f"-{mark}" if mark else "")
    for path in (url, f"{url}/chunk/0", f"{url}/strip/0"):
        assert TestClient(app).get(path).status_code == 401
        assert TestClient(app, cookies={name: "wrong"}).get(path).status_code == 401
        assert TestClient(app, cookies={name: "secret"}).get(path).status_code == 200
    for path in (f"{url}/stop", f"{url}/drop/1"):
        assert TestClient(app).post(path).status_code == 401
    assert not jam.should_end()


def test_fetching_chunks_keeps_the_session_alive(client: TestClient, url: str, jam: Jam):
    """Over a slow line, fetching may take longer than the time after which a page counts as closed."""
    until(lambda: jam.is_ahead)
    for piece in ("chunk/0", "strip/0"):
        jam._last_contact -= TIMEOUT_S / 2
        before = jam._last_contact
        assert client.get(f"{url}/{piece}").status_code == 200
        assert jam._last_contact > before


def test_state_is_generating_waiting_failed_or_ended(tmp_path: Path):
    def broken(request: Request) -> Image.Image:
        raise RiffusionError("out of paint")

    jam = jam_of(tmp_path / "a", broken)
    assert report(jam)["state"] == "painting"
    jam.activity = Activity(waiting=True)
    assert report(jam)["state"] == "waiting"
    jam.activity = Activity(3, 20)
    assert (report(jam)["state"], report(jam)["step"]) == ("painting", [3, 20])
    jam.start()
    until(lambda: jam.ended)
    assert (report(jam)["state"], report(jam)["why"]) == ("failed", "out of paint")
    jam._last_contact = 0.0
