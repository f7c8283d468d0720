"""Select the torch device, with a fallback to the CPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import torch

from riffusion_ext.errors import RiffusionError

__all__ = ["parse_device", "resolve_device", "with_fallback"]

_LOG = logging.getLogger("riffusion")
_Result = TypeVar("_Result")


def parse_device(name: str) -> torch.device:
    """Return the device of this name, whether or not it is available.

    Raises
    ------
    RiffusionError
        torch knows no such device.
    """
    try:
        return torch.device(name)
    except RuntimeError:
        raise RiffusionError(
            f"the device must be auto, cpu, cuda, cuda:1 or another that torch knows, got {name!r}"
        ) from None


def resolve_device(name: str) -> torch.device:
    """Return the device to compute on.

    ``"auto"`` is CUDA (or ROCm) if available. Apple's MPS, DirectML and others lack complex tensors or the FFT and are
    replaced by the CPU, which is several times faster than real time.

    Raises
    ------
    RiffusionError
        torch knows no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = parse_device(name)
    if device.type != "cuda":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        _LOG.warning("no CUDA device is available, the sound is computed on the CPU")
        return torch.device("cpu")
    return device


def with_fallback(device: torch.device, compute: Callable[[torch.device], _Result]) -> _Result:
    """Compute on the device; if that fails, for example out of memory, compute again on the CPU."""
    if device.type == "cpu":
        return compute(device)
    try:
        return compute(device)
    except RuntimeError as error:  # includes torch.cuda.OutOfMemoryError
        _LOG.warning("the sound is computed on the CPU, since %s failed: %s", device, _first_line(error))
    with suppress(RuntimeError):  # after some failures the device rejects every call
        torch.cuda.empty_cache()
    return compute(torch.device("cpu"))


def _first_line(error: RuntimeError) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
