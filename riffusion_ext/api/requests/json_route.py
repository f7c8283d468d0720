"""Routes that accept JSON: the body is parsed and validated in a thread, where FastAPI would block the event loop.

The route is still described by FastAPI. It receives the finished model in place of the body, and does not validate it
again (https://fastapi.tiangolo.com/how-to/custom-request-and-route/).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from riffusion_ext.api.errors import ApiError, first_sentence
from riffusion_ext.api.requests.body import read_json
from riffusion_ext.api.requests.content_type import is_json
from riffusion_ext.api.requests.receive import DisconnectedError
from riffusion_ext.api.requests.threads import PARSING, in_pool
from riffusion_ext.api.schemas import LIST_MODELS

if TYPE_CHECKING:
    from riffusion_ext.api.limits import Limits

__all__ = ["json_route", "read_model"]

_YIELD_EVERY = 50

_Handler = Callable[[Request], Coroutine[None, None, Response]]


class _ParsedRequest(Request):
    """A request whose body is already parsed into a model."""

    model: BaseModel

    async def body(self) -> bytes:
        """Return a placeholder, so that FastAPI calls :meth:`json`."""
        return b"{}"

    async def json(self) -> BaseModel:
        """Return the model."""
        return self.model


def json_route(limits: Limits) -> type[APIRoute]:
    """Return a route class that reads the argument ``body`` within these limits."""

    class JsonRoute(APIRoute):
        def get_route_handler(self) -> _Handler:
            handler = super().get_route_handler()
            model = get_type_hints(self.endpoint).get("body")
            if model is None:
                return handler

            async def read(request: Request) -> Response:
                _check_type(request)
                parsed = _ParsedRequest(request.scope, request.receive)
                parsed.model = await in_pool(PARSING, read_model, model, await _body(request), limits)
                return await handler(parsed)

            return read

    return JsonRoute


async def _body(request: Request) -> bytes | bytearray:
    """Return the body without copying it. The request, which lives until the response is sent, does not hold it."""
    chunks, more = [], True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise DisconnectedError
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_type(request: Request) -> None:
    text = request.headers.get("content-type", "")
    if text and not is_json(request.scope):
        raise ApiError(415, f"the content type must be application/json, got {text[:60]!r}")


def read_model(model: type[BaseModel], data: bytes | bytearray, limits: Limits) -> BaseModel:
    """Parse and validate a body.

    Raises
    ------
    ApiError
        The body is invalid; the message describes the first error.
    """
    values = read_json(data, max_bytes=limits.json_bytes, lengths=limits.lengths)
    if not isinstance(values, dict):
        raise ApiError(422, "the body is not the JSON that is expected: it must be an object")
    for name, kind in LIST_MODELS.get(model, {}).items():
        if isinstance(items := values.get(name), list):
            values[name] = _read_items(kind, items, name)
    body = _validate(model, values)
    _check_finite(body)
    return body


def _read_items(kind: type[BaseModel], items: list[object], name: str) -> list[BaseModel]:
    """Validate the items of a list one by one, so that of many invalid items only the first costs time."""
    models = []
    for number, item in enumerate(items):
        models.append(_validate(kind, item, (name, number)))
        if number % _YIELD_EVERY == 0:
            time.sleep(0.001)  # let other threads run before this one's switch interval is over
    return models


def _validate(kind: type[BaseModel], values: object, location: tuple[str | int, ...] = ()) -> BaseModel:
    validate: Callable[[object], BaseModel] = getattr(kind, "model_validate", None) or kind.parse_obj
    try:
        return validate(values)
    except ValidationError as error:
        errors = [{**item, "loc": (*location, *item["loc"])} for item in error.errors()]
        raise ApiError(422, first_sentence(errors)) from None


def _check_finite(value: object, name: str = "") -> None:
    """Raise an ApiError if a number is not finite: pydantic also converts texts such as "nan"."""
    if isinstance(value, BaseModel):
        for field, inner in vars(value).items():
            _check_finite(inner, f"{name}.{field}" if name else field)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_finite(inner, f"{name}.{number}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ApiError(422, f"{name}: numbers must be finite, got {value}")
