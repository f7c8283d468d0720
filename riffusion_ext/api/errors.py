"""Error responses of the routes: always JSON with one sentence."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import without_folders
from riffusion_ext.generate.backends.base import BackendUnavailableError
from riffusion_ext.jobs import BusyError
from riffusion_ext.library import FullError

__all__ = [
    "ApiError",
    "AsciiJSON",
    "Refuse",
    "add_handlers",
    "first_sentence",
    "headers_of",
    "not_found",
    "refusal",
    "refusal_headers",
]

logger = logging.getLogger(__name__)

_MAX_CHARACTERS = 600
_RETRY = {429: "5", 503: "5"}


class AsciiJSON(JSONResponse):
    """JSON response in ASCII. It can echo any text of a client, even a lone surrogate."""

    def render(self, content: object) -> bytes:
        """Return the body as ASCII."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class ApiError(RiffusionError):
    """An error with an HTTP status of its own.

    Parameters
    ----------
    status
        HTTP status code.
    text
        One sentence.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


def not_found(kind: str) -> ApiError:
    """Return the error for an unknown or expired id."""
    return ApiError(404, f"there is no {kind} of this id; it was never there, or was removed to make room")


class Refuse(Protocol):
    """A function that builds an error response, such as :func:`refusal`."""

    def __call__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
        """Build the response."""
        ...


def refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response with one sentence, from which folders of the server are removed."""
    return AsciiJSON({"detail": without_folders(text)[:_MAX_CHARACTERS]}, status, refusal_headers(status, headers))


def refusal_headers(status: int, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """Add the header Retry-After to the headers of a refusal, for statuses that have one."""
    more = {"Retry-After": _RETRY[status]} if status in _RETRY else {}
    return {**more, **(headers or {})}


def status_of(error: BaseException) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, ApiError):
        return error.status
    if isinstance(error, BusyError):
        return 429
    if isinstance(error, (FullError, BackendUnavailableError)):
        return 503
    if isinstance(error, RiffusionError):
        return 422
    return 500


def headers_of(error: BaseException) -> Mapping[str, str] | None:
    """Return the extra response headers of an error."""
    if isinstance(error, FullError):
        return {"Retry-After": str(math.ceil(error.seconds))}
    return error.headers if isinstance(error, ApiError) else None


def add_handlers(app: FastAPI) -> None:
    """Register handlers that turn all errors of an application into such responses."""

    async def known(request: Request, error: Exception) -> Response:
        return refusal(status_of(error), str(error), headers_of(error))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return refusal(422, first_sentence(error.errors()))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refusal(error.status_code, str(error.detail), error.headers)

    async def unexpected(request: Request, error: Exception) -> Response:
        logger.exception("%s %s", request.method, request.url.path, exc_info=error)
        return refusal(500, f"something went wrong here: {type(error).__name__}; the server's log has the details")

    app.add_exception_handler(RiffusionError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def first_sentence(errors: Sequence[Mapping[str, object]]) -> str:
    """Describe the first validation error of a body in one sentence."""
    if not errors:
        return "the request is not understood"
    location = errors[0].get("loc")
    parts = location if isinstance(location, (list, tuple)) else ()
    places = [str(part) for part in parts if part not in ("body", "query", "path")]
    text = str(errors[0].get("msg", "is not understood"))
    name = ".".join(places)[:100]
    if not name or text.startswith(("JSON", "Expecting")):
        return f"the body is not the JSON that is expected: {text}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{name}: {text}{more}"
