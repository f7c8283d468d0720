"""The OpenAPI schema of the routes, with an example for each body. The tests send every example."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

__all__ = ["EXAMPLES", "build_schema"]

_CLIP = {
    "id": "qGz0vJx2QmYkTt3p",
    "url": "/riffusion/v1/clips/qGz0vJx2QmYkTt3p",
    "name": "funky saxophone.wav",
    "bytes": 450752,
    "duration": 5.11,
    "seed": None,
    "sample_rate": 44100,
    "channels": 1,
}
_IMAGE = {
    "id": "m3Zt8dL0aXw1Rr5c",
    "url": "/riffusion/v1/pictures/m3Zt8dL0aXw1Rr5c",
    "name": "funky saxophone_00000.png",
    "bytes": 181034,
    "width": 512,
    "height": 512,
}
_JOB = {
    "id": "Zr2b9hVqWk7sN1xe",
    "url": "/riffusion/v1/jobs/Zr2b9hVqWk7sN1xe",
    "kind": "song",
    "state": "running",
    "progress": 0.4,
    "message": "window 3 of 7, step 12 of 30",
    "activity": {"step": 12, "steps": 30, "waiting": False},
    "error": None,
    "result": None,
    "created": 1700000000.0,
    "started": 1700000001.0,
    "ended": None,
}

EXAMPLES: dict[str, dict[str, object]] = {
    "/image-to-audio": {"picture": _IMAGE["id"], "format": "wav"},
    "/audio-to-images": {"clip": _CLIP["id"], "columns": 512},
    "/songs": {
        "score": "8 bars | funky saxophone, upbeat -- vocals\n8 bars | jazz piano trio | seed 42",
        "bpm": 120,
        "beat": "four on the floor",
        "steps": 30,
    },
    "/riffs": {"clip": _CLIP["id"], "prompt": "live jazz band", "denoise": "0:00 0.2, 0:30 0.4", "cfg": "6"},
    "/loops": {"prompt": "deep house bassline", "bars": 2, "bpm": 120, "beat": "four on the floor"},
    "/interpolations": {
        "start": {"prompt": "church bells", "seed": 42},
        "end": {"prompt": "jungle drums", "seed": 43},
        "count": 5,
        "seed_image": "og_beat",
    },
    "/paintings": {
        "requests": [
            {"prompts": ["church bells", "jungle drums"], "alpha": 0.5, "seeds": [42, 43], "width": 512, "height": 512}
        ]
    },
    "/datasets": {"clips": [_CLIP["id"]], "trigger": "mymusic", "target": 200},
}
"""Example bodies by path. The ids stand for those of uploaded files."""

_REPLIES: dict[tuple[str, str], tuple[str, object]] = {
    ("/image-to-audio", "200"): ("The clip", {**_CLIP, "notes": []}),
    ("/audio-to-images", "200"): ("The images", {"pictures": [{**_IMAGE, "max_value": 1.2e7}], "duration": 5.11}),
    ("/clips", "201"): (
        "The clip",
        {**{name: _CLIP[name] for name in ("id", "url", "name", "bytes", "duration", "seed")}, "notes": []},
    ),
    ("/pictures", "201"): ("The image", _IMAGE),
    ("/jobs/{id_}", "200"): ("The job", _JOB),
    ("/jobs/{id_}/cancel", "200"): ("The job", _JOB),
    ("/jobs", "200"): ("The jobs", {"jobs": [_JOB]}),
    ("/health", "200"): ("All is well", {"status": "ok", "jobs": {"waiting": 0, "running": 1}}),
    ("/version", "200"): ("Versions", {"version": "0.1.0", "api": "v1", "host": "webui"}),
}

_REFUSALS = {
    "400": "The body cannot be read at all",
    "401": "User or password are wrong",
    "404": "Unknown or expired id",
    "408": "The body came too slowly",
    "409": "Another model is loaded than the one asked for",
    "413": "Larger than the limits allow",
    "414": "The address is too long",
    "415": "The content type is not application/json",
    "422": "Something in the request is wrong",
    "429": "Too many jobs are waiting; Retry-After says when to ask again",
    "431": "The headers are too large",
    "501": "There is no model here",
    "503": "Too many jobs, or no room for results; Retry-After has the time to wait",
}

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def build_schema(app: FastAPI) -> dict[str, object]:
    """Return the OpenAPI schema of an application. It is built once, except for the list of servers."""
    if app.openapi_schema:
        return {**app.openapi_schema, "servers": app.servers}
    schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for path, methods in schema["paths"].items():
        for method, item in methods.items():
            _describe(path, method, item)
    schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["password"] = {"type": "http", "scheme": "basic", "description": "Where the server has --api-auth"}
    schema["security"] = [{}, {"password": []}]
    schema["components"].setdefault("schemas", {})["Refusal"] = {
        "title": "Refusal",
        "type": "object",
        "properties": {"detail": {"type": "string", "description": "One sentence"}},
        "required": ["detail"],
    }
    app.openapi_schema = schema
    return {**schema, "servers": app.servers}


def _describe(path: str, method: str, item: dict[str, Any]) -> None:
    responses = item.setdefault("responses", {})
    if path in EXAMPLES and method == "post":
        item["requestBody"]["content"]["application/json"]["example"] = EXAMPLES[path]
        if "202" in responses:
            responses["202"] = _reply("The job; Location has its address", _JOB)
        else:
            responses["202"] = _reply("With wait=false: a job", _JOB)
    if path in ("/clips", "/pictures") and method == "post":
        kind = "audio/*" if path == "/clips" else "image/*"
        item["requestBody"] = {"required": True, "content": {kind: _BINARY, "application/octet-stream": _BINARY}}
    for code in list(responses):
        if (path, code) in _REPLIES:
            responses[code] = _reply(*_REPLIES[path, code])
    if path.rpartition("/")[2] == "{id_}" and path.split("/")[1] in ("clips", "pictures", "archives"):
        kind = {"clips": "audio/*", "pictures": "image/*"}.get(path.split("/")[1], "application/zip")
        responses["200"] = {"description": "The file", "content": {kind: _BINARY}}
        responses["206"] = {"description": "The part that Range asks for", "content": {kind: _BINARY}}
        responses["304"] = {"description": "If-None-Match names this state of the file"}
        responses["416"] = _refusal("The file has no such part")
    if path.endswith("/events"):
        content = {"text/event-stream": {"schema": {"type": "string"}}}
        responses["200"] = {"description": "Events progress and end; data is the job", "content": content}
    for code, text in _REFUSALS.items():
        responses[code] = _refusal(text)


def _reply(text: str, example: object) -> dict[str, object]:
    return {"description": text, "content": {"application/json": {"schema": {"type": "object"}, "example": example}}}


def _refusal(text: str) -> dict[str, object]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {"description": text, "content": content}
