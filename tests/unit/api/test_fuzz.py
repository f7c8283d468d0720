"""Arbitrary requests to our routes: each gets a status below 500 and one sentence."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from riffusion_ext.api.openapi import EXAMPLES
from riffusion_ext.jobs import Job, Lane
from tests.unit.api.conftest import V1, MakeClient, image_bytes, sound_bytes, upload

FUZZ = settings(
    max_examples=int(os.environ.get("RIFFUSION_FUZZ", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.sampled_from(["PICTURE", "CLIP", "wav", "og_beat", "0:05 | funk", "../../etc/passwd", "\x00", "\ud800"])
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def busy(make_client: MakeClient, tmp_path: Path) -> Iterator[TestClient]:
    """Return a client of a server with an image and a clip, which refuses long jobs with 429."""
    full = Lane(threads=1, waiting=0)
    client = make_client(lanes={"paint": full, "dataset": full})
    client.image = upload(client, "pictures", image_bytes(path=tmp_path))["id"]  # type: ignore[attr-defined]
    client.clip = upload(client, "clips", sound_bytes(0.5))["id"]  # type: ignore[attr-defined]
    client.schema = client.get(f"{V1}/openapi.json").json()  # type: ignore[attr-defined]
    go, held = threading.Event(), []

    def hold(job: Job) -> dict[str, Any]:
        held.append(job)
        assert go.wait(600)
        return {}

    jobs = [client.service.jobs.submit("held", lane, hold) for lane in ("paint", "dataset")]  # type: ignore[attr-defined]
    yield client
    go.set()
    for job in jobs:
        assert job.wait(10)


def named(client: Any, value: Any) -> Any:
    """Replace names by the ids of real files."""
    if isinstance(value, dict):
        return {key: named(client, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [named(client, inner) for inner in value]
    return {"PICTURE": client.image, "CLIP": client.clip}.get(value, value) if isinstance(value, str) else value


def check(reply: Any) -> None:
    assert reply.status_code < 500, (reply.status_code, reply.text)
    if reply.status_code >= 400:
        assert list(reply.json()) == ["detail"], reply.text
        assert isinstance(reply.json()["detail"], str)


@pytest.mark.parametrize("path", sorted(EXAMPLES))
@FUZZ
@given(data=st.data())
def test_any_value_of_any_field_gets_a_regular_reply(path: str, busy: TestClient, data: st.DataObject) -> None:
    schema = busy.schema  # type: ignore[attr-defined]
    reference = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    fields = sorted(schema["components"]["schemas"][reference.rpartition("/")[2]]["properties"])
    example = {**EXAMPLES[path], **{name: name.upper() for name in ("picture", "clip") if name in EXAMPLES[path]}}
    changes = data.draw(st.dictionaries(st.sampled_from(fields), JSON, max_size=3))
    check(busy.post(V1 + path, content=json.dumps(named(busy, {**example, **changes}))))


@pytest.mark.parametrize("path", [*sorted(EXAMPLES), "/pictures", "/clips", "/jobs/x/cancel"])
@FUZZ
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_gets_a_regular_reply(path: str, busy: TestClient, body: bytes) -> None:
    check(busy.post(V1 + path, content=body))


@FUZZ
@given(head=st.integers(1, 3000), tail=st.binary(max_size=40), kind=st.sampled_from(["pictures", "clips"]))
def test_damaged_files_get_a_regular_reply(busy: TestClient, tmp_path: Path, head: int, tail: bytes, kind: str) -> None:
    whole = sound_bytes(0.2) if kind == "clips" else image_bytes(path=tmp_path)
    reply = busy.post(f"{V1}/{kind}", content=whole[:head] + tail + whole[head + len(tail) :])
    check(reply)
    if reply.status_code == 201:
        route, name = ("/image-to-audio", "picture") if kind == "pictures" else ("/audio-to-images", "clip")
        check(busy.post(V1 + route, json={name: reply.json()["id"]}))


@FUZZ
@given(id_=st.text(min_size=1, max_size=30), range_=st.text(max_size=20), tag=st.text(max_size=20))
def test_any_id_and_header_gets_a_regular_reply(busy: TestClient, id_: str, range_: str, tag: str) -> None:
    from urllib.parse import quote

    headers = {"Range": f"bytes={range_}".encode("utf-8", "replace"), "If-None-Match": tag.encode("utf-8", "replace")}
    headers = {name: value for name, value in headers.items() if b"\n" not in value and b"\r" not in value}
    place = quote(id_.encode("utf-8", "replace"), safe="")
    for kind in ("clips", "pictures", "archives", "jobs"):
        assert busy.get(f"{V1}/{kind}/{place}", headers=headers).status_code < 500
    assert busy.get(f"{V1}/clips/{busy.clip}", headers=headers).status_code in (200, 206, 304, 416)  # type: ignore[attr-defined]
