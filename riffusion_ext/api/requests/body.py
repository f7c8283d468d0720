"""Parse JSON bodies at a cost that is bounded by their size.

The json module holds the interpreter lock while it parses, so large texts and large numbers of values are found
first, by byte searches that take milliseconds::

    body --> long texts (files in base64) removed --> bytes, values and depth checked --> json --> lists checked
                      |                                                                                  |
                      +--------------------------------- put back ---------------------------------------+
"""

from __future__ import annotations

import json
import math
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from riffusion_ext.api.errors import ApiError

__all__ = ["MAX_DEPTH", "MAX_ITEMS", "MAX_NAMES", "MAX_VALUES", "check_structure", "read_json"]

MAX_DEPTH = 20
"""Maximum depth of nested lists and objects."""

MAX_VALUES = 20_000
"""Maximum number of values in a body, in all lists and objects."""

MAX_ITEMS = 64
"""Maximum length of a list that has no limit of its own."""

MAX_NAMES = 64
"""Maximum number of names in an object."""

_YIELD_EVERY = 200
_MAX_DIGITS = 400
_MAX_WHOLE_DIGITS = 40
_LONG_TEXT = 1 << 16
_CHUNK = 1 << 20
_MAX_QUOTES = 4 * MAX_VALUES
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= "
_DATA_URL = re.compile(rb'data:[^,"]{0,200},')
_ESCAPES = ((rb"\/", b"/"), (rb"\n", b""), (rb"\r", b""), (rb"\t", b""))
_BRACKETS = b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))


def read_json(body: bytes | bytearray, *, max_bytes: int, lengths: Mapping[str, int] | None = None) -> object:
    """Parse a body.

    Parameters
    ----------
    body
        JSON in UTF-8. It may contain files in base64.
    max_bytes
        Maximum size without those files.
    lengths
        Maximum lengths of lists, by their name in an object.

    Returns
    -------
    object
        The value, as from :func:`json.loads`. All numbers are finite.

    Raises
    ------
    ApiError
        The body is not JSON (422), or larger or deeper than allowed (413, 422).
    """
    token = secrets.token_hex(16)
    texts: dict[str, str] = {}
    if len(body) > max_bytes:
        body = _without_files(body, max_bytes, token, texts)
    check_structure(body)
    try:
        value = json.loads(
            body.decode("utf-8-sig"), parse_int=_parse_int, parse_float=_parse_float, parse_constant=_parse_constant
        )
    except UnicodeDecodeError:
        raise ApiError(422, "the body is not the JSON that is expected: it is not in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ApiError(422, f"the body is not the JSON that is expected: {error}") from None
    except RecursionError:  # possible within MAX_DEPTH if the caller is deep in the stack
        raise ApiError(422, _too_deep()) from None
    return _check_values(value, lengths or {}, texts)


def _without_files(body: bytes | bytearray, max_bytes: int, token: str, texts: dict[str, str]) -> bytes:
    """Replace each long text, which must be base64, with a short token; return the shortened body.

    A long run between two quotes may also lie between two texts. The json module then fails: a token outside of a
    text is not JSON.
    """
    too_large = ApiError(413, f"the body is larger than the {max_bytes} bytes that are allowed beside files in base64")
    parts: list[bytes] = []
    size = start = 0
    for _ in range(_MAX_QUOTES):
        end = body.find(b'"', start)
        last = end < 0
        end = len(body) if last else end
        if end - start > _LONG_TEXT:
            if last or not parts:
                raise too_large
            name = f"{token}{len(texts)}"
            texts[name] = _base64_text(body, start, end)
            part = name.encode()
        else:
            part = bytes(body[start:end])
        parts.append(part)
        size += len(part) + 1
        if size > max_bytes:
            raise too_large
        if last:
            return b'"'.join(parts)
        start = end + 1
    raise too_large


def _base64_text(body: bytes | bytearray, start: int, end: int) -> str:
    """Return a base64 text without its escapes. It is processed in chunks, so that other threads can run in between."""
    match = _DATA_URL.match(body, start, end)
    chunks = [match.group().decode("ascii", "replace")] if match else []
    start = match.end() if match else start
    while start < end:
        stop = min(start + _CHUNK, end)
        if stop < end and body[stop - 1] == 0x5C:  # keep a backslash and the character after it together
            stop -= 1
        chunk = body[start:stop]
        if b"\\" in chunk:
            for escape, replacement in _ESCAPES:
                chunk = chunk.replace(escape, replacement)
        if chunk.translate(None, _BASE64) or stop == start:
            raise ApiError(422, f"a text is longer than {_LONG_TEXT} characters and is not base64")
        chunks.append(chunk.decode("ascii"))
        start = stop
    return "".join(chunks)


def check_structure(body: bytes | bytearray, values: int = MAX_VALUES) -> None:
    """Raise an ApiError if a body has too many values or is nested too deeply; other JSON errors are not found.

    Parameters
    ----------
    body
        JSON in UTF-8.
    values
        Maximum number of values in all lists and objects.
    """
    # In a run of backslashes, every second one is escaped; a remaining one before a quote escapes the quote.
    plain = body.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    if plain.count(b'"') > 4 * values:
        raise ApiError(422, _too_many(values))
    outside = b'"'.join(plain.split(b'"')[::2])
    if sum(outside.count(mark) for mark in (b",", b"[", b"{")) > values:
        raise ApiError(422, _too_many(values))
    depth = 0
    for bracket in outside.translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ApiError(422, _too_deep())
        if depth < 0:
            return  # not JSON


def _check_values(value: object, lengths: Mapping[str, int], texts: Mapping[str, str]) -> object:
    """Check the sizes of all lists and objects, and put the long texts back; return the value."""
    top = [value]
    waiting: list[tuple[str, Any]] = [("the list", top)]
    count = 0
    while waiting:
        count += 1
        if count % _YIELD_EVERY == 0:
            time.sleep(0.0005)  # let other threads run before this one's switch interval is over
        name, group = waiting.pop()
        if isinstance(group, dict):
            _check_names(group)
            pairs: list[tuple[str | int, object]] = list(group.items())
        else:
            max_items = lengths.get(name, MAX_ITEMS)
            if len(group) > max_items:
                raise ApiError(422, f"at most {max_items} {name[:60]} are allowed here, got {len(group)}")
            pairs = list(enumerate(group))
        for key, inner in pairs:
            if isinstance(inner, (dict, list)):
                waiting.append((key if isinstance(key, str) else "items", inner))
            elif texts and isinstance(inner, str) and inner in texts:
                group[key] = texts[inner]
    return top[0]


def _check_names(group: Mapping[str, object]) -> None:
    if len(group) > MAX_NAMES:
        raise ApiError(422, f"an object has {len(group)} names, {MAX_NAMES} are allowed")
    for name in group:
        if name.startswith("__"):  # pydantic would take some of these for arguments
            raise ApiError(422, f"{name[:60]}: extra fields not permitted")


def _parse_int(text: str) -> int:
    if len(text) > _MAX_WHOLE_DIGITS:
        raise ApiError(422, f"a number has {len(text)} digits, {_MAX_WHOLE_DIGITS} are allowed")
    return int(text)


def _parse_float(text: str) -> float:
    if len(text) > _MAX_DIGITS:
        raise ApiError(422, f"a number has {len(text)} digits, {_MAX_DIGITS} are allowed")
    value = float(text)
    if not math.isfinite(value):
        raise ApiError(422, f"numbers must be finite, got {text[:30]}")
    return value


def _parse_constant(text: str) -> float:
    raise ApiError(422, f"numbers must be finite, got {text}")


def _too_many(values: int) -> str:
    return f"the body holds more than the {values} values that are allowed"


def _too_deep() -> str:
    return f"the body holds lists or objects more than {MAX_DEPTH} deep within each other"
