"""Compiled functions where numba is installed, and torch's where it is not."""

from __future__ import annotations

import importlib
import logging
import threading
from functools import lru_cache
from types import ModuleType

import torch

__all__ = ["kernels"]

_log = logging.getLogger(__name__)
_LOCK = threading.Lock()


def kernels(device: torch.device) -> ModuleType | None:
    """Return :mod:`riffusion_ext.spectrogram.inversion.compiled`; None if it cannot be used, or not on this device.

    The first call in an environment compiles, which takes a few seconds. Later processes load the result from numba's
    cache.
    """
    if device.type != "cpu":
        return None
    with _LOCK:
        return _load()


@lru_cache(maxsize=1)
def _load() -> ModuleType | None:
    try:
        return importlib.import_module("riffusion_ext.spectrogram.inversion.compiled")
    except Exception as error:  # a numba that does not fit the installed numpy or LLVM raises anything
        _log.debug("the phases are computed without numba: %s", error)
        return None
