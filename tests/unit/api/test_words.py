"""Descriptions of the API use the words image and generate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi.testclient import TestClient

from tests.unit.words import forbidden


def described(part: Any) -> Iterator[str]:
    """Yield the summaries and descriptions of a part of the OpenAPI document."""
    if isinstance(part, dict):
        yield from (part[name] for name in ("summary", "description") if isinstance(part.get(name), str))
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from described(inner)


def test_descriptions_of_routes_and_fields_say_image_and_generate(client: TestClient) -> None:
    texts = [*described(client.get("/riffusion/v1/openapi.json").json())]
    assert len(texts) > 50
    assert {text: forbidden(text) for text in texts if forbidden(text)} == {}
