"""Settings as text that goes into files, so that a song can be made again from any of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.automation import Curve
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.typed import read_fields

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "IMAGES_KEY",
    "host_values",
    "image_id",
    "infotext",
    "read_record",
    "records_in",
    "to_record",
    "with_records",
]

IMAGES_KEY = "Riffusion pictures"
"""Name of the record of the images that something began with."""


_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_RECORDS = re.compile(rf"Riffusion (\w+): ({_QUOTED.pattern})")
_HOST = ("Schedule type", "Model hash", "VAE hash", "VAE", "Clip skip", "RNG", "Version")


def to_record(settings: Any) -> dict[str, Any]:
    """Return what in a dataclass differs from its defaults, as JSON can hold it."""
    record: dict[str, Any] = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        if value != item.default or item.default is MISSING:
            record[item.name] = _plain(value)
    return record


def read_record(kind: type[Any], record: Mapping[str, Any]) -> Any:
    """Make the settings that :func:`to_record` wrote down.

    Raises
    ------
    RiffusionError
        The record is none of that kind.
    """
    try:
        return kind(**{name: _value(name, value) for name, value in read_fields(kind, record).items()})
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, RiffusionError):
            raise
        raise RiffusionError(f"the record of the settings cannot be read: {error}") from error


def image_id(image: Image.Image) -> str:
    """Return what tells an image from all others: 16 hexadecimal digits, of its mode, size and pixels."""
    shape = repr((image.mode, image.size)).encode()
    return hashlib.sha256(shape + image.tobytes()).hexdigest()[:16]


def infotext(
    key: str,
    settings: Any,
    *,
    prompt: str,
    negative: str,
    size: tuple[int, int],
    extra: Mapping[str, Any],
    host: Mapping[str, str] = {},
    model: str = "",
    images: Mapping[str, str] = {},
) -> str:
    """Return generation parameters as webuis write and read them, with all the settings under one key.

    Parameters
    ----------
    key
        Name of the record, such as "Riffusion song".
    settings
        A dataclass with ``steps`` and ``sampler``.
    prompt, negative
        Of the beginning.
    size
        Of a window.
    extra
        More numbers, by name.
    host
        What the host said of itself (:func:`host_values`).
    model
        What generated it; left out where that is not known yet.
    images
        Identities of the images that it began with (:func:`image_id`), by name.
    """
    values: dict[str, Any] = {"Steps": settings.steps}
    if settings.sampler:
        values["Sampler"] = settings.sampler
    values |= dict(extra) | {"Size": f"{size[0]}x{size[1]}"}
    if model:
        values["Model"] = model
    values |= host
    if images:
        values[IMAGES_KEY] = json.dumps(dict(images))
    values[key] = json.dumps(to_record(settings), ensure_ascii=False)
    line = ", ".join(f"{name}: {_quoted(value)}" for name, value in values.items())
    return "\n".join(filter(None, [prompt, f"Negative prompt: {negative}" if negative else "", line]))


def with_records(text: str, ours: str) -> str:
    """Return a host's generation parameters of one image, and behind them the records of the whole (`ours`)."""
    return ", ".join([text, *(found.group() for found in _RECORDS.finditer(ours.rpartition("\n")[2]))])


def records_in(text: str) -> dict[str, dict[str, Any]]:
    """Return our records in generation parameters, by kind; of two of a kind the last, as prompts come first."""
    records = {}
    for kind, quoted in _RECORDS.findall(text):
        try:
            record = loads(loads(quoted))
        except (ValueError, TypeError):
            continue
        if isinstance(record, dict):
            records[kind] = record
    return records


def host_values(text: str) -> dict[str, str]:
    """Return what a host's generation parameters say of an image beyond the settings of ours: model, VAE, versions."""
    found = dict(_values_in(text.rpartition("\n")[2]))
    values = {name: found[name] for name in _HOST if name in found}
    try:
        return {name: str(loads(value)) if value.startswith('"') else value for name, value in values.items()}
    except ValueError:  # not quoted as JSON: then it is not for us
        return {}


def _values_in(line: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of ``Steps: 30, Model: "a, b", ...``, in time that grows with the length of the line."""
    position = 0
    while (colon := line.find(": ", position)) >= 0:
        name, begin = line[position:colon].rpartition(",")[2].strip(), colon + 2
        quoted = _QUOTED.match(line, begin)
        comma = line.find(", ", begin)
        end = quoted.end() if quoted else len(line) if comma < 0 else comma
        if end > begin:
            yield name, line[begin:end]
        position = end + 1


def _quoted(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:\n"') else text


def _plain(value: Any) -> Any:
    if isinstance(value, Curve):
        return value.text()
    if isinstance(value, (Keyframe, Score)):
        return to_record(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _value(name: str, value: Any) -> Any:
    if name == "score":
        return read_record(Score, value)
    if name == "keyframes":
        return tuple(read_record(Keyframe, item) for item in value)
    if name == "params":
        return SpectrogramParams.from_mapping(value)
    if name in ("denoise", "cfg", "wet") and isinstance(value, str):
        from riffusion_ext.generate.score.automation import parse_curve

        return parse_curve(value, name=name, low=0.0, high=100.0)
    return value
