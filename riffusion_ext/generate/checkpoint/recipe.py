"""Convert settings to text in files and back, so that a song can be reproduced from any of its files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.automation import Curve
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.params.parameters import without_later_defaults
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.typed import read_fields

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from PIL import Image

    class PieceSettings(DataclassInstance, Protocol):
        """Settings that are recorded: a dataclass with steps and sampler."""

        @property
        def steps(self) -> int: ...
        @property
        def sampler(self) -> str: ...


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
"""Key of the ids of the input images in generation parameters."""


T = TypeVar("T")

_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_RECORDS = re.compile(rf"Riffusion (\w+): ({_QUOTED.pattern})")
_HOST = ("Schedule type", "Model hash", "VAE hash", "VAE", "Clip skip", "RNG", "Version")


def to_record(settings: DataclassInstance) -> dict[str, object]:
    """Return the fields of a dataclass that differ from their defaults, as JSON values."""
    record: dict[str, object] = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        if value != item.default or item.default is MISSING:
            record[item.name] = _to_json(value)
    return record


def read_record(kind: type[T], record: object) -> T:
    """Return the settings from a record of :func:`to_record`.

    Raises
    ------
    RiffusionError
        The record is not one of that kind.
    """
    make: Callable[..., T] = kind
    try:
        return make(**{name: _value(name, value) for name, value in read_fields(kind, record).items()})
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, RiffusionError):
            raise
        raise RiffusionError(f"the record of the settings cannot be read: {error}") from error


def image_id(image: Image.Image) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of mode, size and pixels of an image."""
    shape = repr((image.mode, image.size)).encode()
    return hashlib.sha256(shape + image.tobytes()).hexdigest()[:16]


def infotext(
    key: str,
    settings: PieceSettings,
    *,
    prompt: str,
    negative: str,
    size: tuple[int, int],
    extra: Mapping[str, object],
    host: Mapping[str, str] = {},
    model: str = "",
    images: Mapping[str, str] = {},
) -> str:
    """Return generation parameters in the format of webuis, with all settings under one key.

    Parameters
    ----------
    key
        Name of the record, such as "Riffusion song".
    settings
        A dataclass with ``steps`` and ``sampler``.
    prompt, negative
        Prompt and negative prompt at the start.
    size
        Width and height of a window.
    extra
        Further values, by name.
    host
        Values of the host (:func:`host_values`).
    model
        Name of the model; left out if empty.
    images
        Ids of the input images (:func:`image_id`), by name.
    """
    values: dict[str, object] = {"Steps": settings.steps}
    if settings.sampler:
        values["Sampler"] = settings.sampler
    values |= dict(extra) | {"Size": f"{size[0]}x{size[1]}"}
    if model:
        values["Model"] = model
    values |= host
    if images:
        values[IMAGES_KEY] = json.dumps(dict(images))
    values[key] = json.dumps(to_record(settings), ensure_ascii=False)
    line = ", ".join(f"{name}: {_quote(value)}" for name, value in values.items())
    return "\n".join(filter(None, [prompt, f"Negative prompt: {negative}" if negative else "", line]))


def with_records(text: str, ours: str) -> str:
    """Return the generation parameters of one image by the host, followed by the records of the piece in `ours`."""
    return ", ".join([text, *(found.group() for found in _RECORDS.finditer(ours.rpartition("\n")[2]))])


def records_in(text: str) -> dict[str, dict[str, object]]:
    """Return our records in generation parameters, by kind; the last of each kind, as the prompt comes first."""
    records: dict[str, dict[str, object]] = {}
    for kind, quoted in _RECORDS.findall(text):
        try:
            record = loads(loads(quoted))
        except (ValueError, TypeError):
            continue
        if isinstance(record, dict):
            records[kind] = record
    return records


def host_values(text: str) -> dict[str, str]:
    """Return the values in a host's generation parameters that our settings lack: model, VAE, versions."""
    found = dict(_values_in(text.rpartition("\n")[2]))
    values = {name: found[name] for name in _HOST if name in found}
    try:
        return {name: str(loads(value)) if value.startswith('"') else value for name, value in values.items()}
    except ValueError:  # not quoted as JSON, so not written by us
        return {}


def _values_in(line: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of ``Steps: 30, Model: "a, b", ...``, in linear time."""
    position = 0
    while (colon := line.find(": ", position)) >= 0:
        name, begin = line[position:colon].rpartition(",")[2].strip(), colon + 2
        quoted = _QUOTED.match(line, begin)
        comma = line.find(", ", begin)
        end = quoted.end() if quoted else len(line) if comma < 0 else comma
        if end > begin:
            yield name, line[begin:end]
        position = end + 1


def _quote(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:\n"') else text


def _to_json(value: object) -> object:
    if isinstance(value, Curve):
        return value.text()
    if isinstance(value, (Keyframe, Score)):
        return to_record(value)
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value, dict_factory=without_later_defaults)
    return value


def _value(name: str, value: object) -> object:
    if name == "score":
        return read_record(Score, value)
    if name == "keyframes":
        if not isinstance(value, Iterable):
            raise TypeError(f"{type(value).__name__!r} object is not iterable")
        return tuple(read_record(Keyframe, item) for item in value)
    if name == "params":
        if not isinstance(value, Mapping):
            raise TypeError(f"{type(value).__name__!r} object has no attribute 'items'")
        return SpectrogramParams.from_mapping(value)
    if name in ("denoise", "cfg", "wet") and isinstance(value, str):
        from riffusion_ext.generate.score.automation import parse_curve

        return parse_curve(value, name=name, low=0.0, high=100.0)
    return value
