"""Parse bodies of the original server and of the DAW plugin, as leniently as the original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from riffusion_ext.api.requests.body import read_json
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate import bounds
from riffusion_ext.generate.interpolation import PromptInput
from riffusion_ext.options.generation import CFG, DENOISE, MAX_TEXT_LENGTH
from riffusion_ext.validation.numbers import in_range

__all__ = ["InferenceInput", "read_inference_input", "read_object", "text_of"]


@dataclass(frozen=True)
class InferenceInput:
    """The fields that both servers share: an image between two prompts.

    Attributes
    ----------
    start, end
        The prompts.
    alpha
        Interpolation weight: 0 is `start`, 1 is `end`.
    steps
        Sampling steps.
    mask
        Name of a mask; "" for none.
    """

    start: PromptInput
    end: PromptInput
    alpha: float
    steps: int
    mask: str


def read_object(body: bytes, max_bytes: int) -> Mapping[str, object]:
    """Parse a body as a JSON object, whatever its content type.

    `max_bytes` is the maximum size without files in base64.

    Raises
    ------
    RiffusionError
        The body is not a JSON object, or is larger or deeper than allowed.
    """
    values = read_json(body, max_bytes=max_bytes)
    if not isinstance(values, dict):
        raise RiffusionError("the body must be a JSON object")
    return values


def read_inference_input(values: Mapping[str, object], *, max_steps: int) -> InferenceInput:
    """Read the fields that both servers share. Unknown fields are ignored, as by the original.

    Raises
    ------
    RiffusionError
        A value is missing, of another type, or out of range.
    """
    alpha = _read_float(values, "alpha", None, *bounds.ALPHA)
    steps = _read_int(values, "num_inference_steps", 50)
    in_range("num_inference_steps", steps, bounds.STEPS[0], max_steps)
    return InferenceInput(
        _read_end(values, "start"), _read_end(values, "end"), alpha, steps, text_of(values, "mask_image_id", "")
    )


def text_of(values: Mapping[str, object], name: str, default: str | None) -> str:
    """Return a text field. If it is missing or null, return the default."""
    value = values.get(name)
    if value is None:
        value = default
    if value is None:
        raise RiffusionError(f'missing value for field "{name}"')
    if not isinstance(value, str):
        raise _wrong_type(name, "str", value)
    if len(value) > MAX_TEXT_LENGTH:
        raise RiffusionError(f"{name} has {len(value)} characters, {MAX_TEXT_LENGTH} are allowed")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise RiffusionError(f"{name} holds half of a character (a surrogate without the other)") from None
    return value


def _read_end(values: Mapping[str, object], name: str) -> PromptInput:
    end = values.get(name)
    if end is None:
        raise RiffusionError(f'missing value for field "{name}"')
    if not isinstance(end, dict):
        raise _wrong_type(name, "PromptInput", end)
    if end.get("seed") is None:
        raise RiffusionError(f'missing value for field "{name}.seed"')
    return PromptInput(
        text_of(end, "prompt", None),
        text_of(end, "negative_prompt", ""),
        _read_int(end, "seed", 0) % 2**32,  # the plugin sends 32-bit hashes, half of them negative
        _read_float(end, "denoising", DENOISE.default, *bounds.DENOISE),
        # Below 1, the original applies no guidance, as at 1.
        max(_read_float(end, "guidance", CFG.default, 0, bounds.IMAGE_CFG[1]), float(bounds.IMAGE_CFG[0])),
    )


def _read_int(values: Mapping[str, object], name: str, default: int) -> int:
    value = values.get(name)
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():  # JavaScript has only floats
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(name, "int", value)
    return value


def _read_float(values: Mapping[str, object], name: str, default: float | None, low: float, high: float) -> float:
    value = values.get(name)
    if value is None:
        value = default
    if value is None:
        raise RiffusionError(f'missing value for field "{name}"')
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(name, "float", value)
    return float(in_range(name, value, low, high))


def _wrong_type(name: str, kind: str, value: object) -> RiffusionError:
    return RiffusionError(f'wrong value type for field "{name}" - should be "{kind}" instead of {type(value).__name__}')
