"""Health, version and capabilities of the service, and the OpenAPI description of its routes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from riffusion_ext import __version__
from riffusion_ext.api.openapi import EXAMPLES
from tests.unit.api.conftest import V1, ended, sound_bytes, upload
from tests.unit.generate.fake_backends import InterruptibleBackend


def test_health_version_and_capabilities_are_reported(client: TestClient, studio: InterruptibleBackend) -> None:
    assert client.get(f"{V1}/health").json() == {"status": "ok", "jobs": {"waiting": 0, "running": 0}}
    assert client.get(f"{V1}/version").json() == {"version": __version__, "api": "v1", "host": "standalone"}
    can = client.get(f"{V1}/capabilities").json()
    assert (can["paints"], can["model"], can["samplers"]) == (True, "studio", ["Euler", "DPM++ 2M"])
    assert {"fast", "best"} <= set(can["engines"])
    assert can["formats"][0] == "wav"
    assert "og_beat" in can["seed_images"]
    assert can["limits"]["lanes"]["paint"]["threads"] == 1


def test_openapi_description_is_complete(client: TestClient) -> None:
    schema = client.get(f"{V1}/openapi.json").json()
    assert schema["openapi"].startswith("3.")
    assert schema["components"]["securitySchemes"]["password"]["scheme"] == "basic"
    for path, item in schema["paths"].items():
        for method, route in item.items():
            assert route["summary"], path
            assert set(route["responses"]) & {"200", "201", "202"}, path
            assert {"401", "404", "422"} <= set(route["responses"]), path
            if method == "post" and "cancel" not in path:
                (content, *_) = route["requestBody"]["content"].values()
                assert "example" in content or content["schema"].get("format") == "binary", path
    assert schema["servers"] == [{"url": V1}]
    numbers = [part for part in _parts(schema) if "exclusiveMaximum" in part or "exclusiveMinimum" in part]
    assert numbers == []  # which OpenAPI 3.0 and 3.1 write in different ways
    ids = [route["operationId"] for item in schema["paths"].values() for route in item.values()]
    assert len(ids) == len(set(ids))
    docs = client.get(f"{V1}/docs")
    assert docs.status_code == 200
    assert f"{V1}/openapi.json" in docs.text


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _parts(item)


@pytest.mark.parametrize("path", sorted(EXAMPLES))
def test_every_example_of_the_description_is_accepted(
    client: TestClient, path: str, studio: InterruptibleBackend
) -> None:
    body = dict(EXAMPLES[path])
    file = io.BytesIO()
    Image.linear_gradient("L").resize((64, 512)).save(file, "PNG")
    ids: dict[str, Any] = {
        "picture": upload(client, "pictures", file.getvalue())["id"],
        "clip": upload(client, "clips", sound_bytes(1.0, rate=44100), "tune.wav")["id"],
    }
    ids["clips"] = [ids["clip"]]
    body |= {name: ids[name] for name in body if name in ids}
    if path == "/songs":
        body["score"] = body["score"].replace("8 bars", "1 bar")
    reply = client.post(V1 + path, json=body)
    assert reply.status_code in (200, 202), reply.text
    if reply.status_code == 202:
        ended(client, reply)
