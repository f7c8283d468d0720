"""Estimates of memory and arithmetic, checked against a limit before the work begins.

A small file can require a lot: a minute at 1000 Hz becomes 192 times as many samples at 192 kHz, and an image of many
columns becomes hours of sound. So whatever enlarges sound or images checks its estimate first::

    workload = resample_workload(channels, samples, 1000, 192000)     numbers only, no memory
    check(workload)                                                   RiffusionError, with the figure and the limit

Estimates are upper bounds of the memory beyond the input. For large work they are at most two to three times the real
need.

The limit is most of the machine's memory, unless a caller lowers it: ``with allowance(Allowance(memory=2 << 30)):``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from riffusion_ext.audio.resampling import HALF_LENGTH, MAX_PHASES, ratio, resampled_length, table_shape
from riffusion_ext.errors import RiffusionError

__all__ = [
    "Allowance",
    "Workload",
    "allowance",
    "check",
    "current_allowance",
    "join_workload",
    "machine_memory",
    "read_workload",
    "resample_workload",
]

FLOAT = 4
"""Bytes of a float32."""

_MEMORY_SHARE = 0.8
"""Share of the machine's memory that one operation may use."""

_UNKNOWN_MEMORY = 8 << 30
"""Assumed memory, in bytes, where it cannot be determined."""

_BLOCK_BYTES = 32 << 20
"""Bytes of work buffers of constant size."""


@dataclass(frozen=True)
class Workload:
    """Upper bounds of what an operation needs.

    Attributes
    ----------
    what
        The operation, as the subject of a sentence: ``"resampling 60.0 s of sound to 192000 Hz"``.
    memory
        Peak memory in bytes, beyond the input.
    products
        Multiplications; a machine does about 1e9 to 1e10 per second.
    """

    what: str
    memory: int
    products: int = 0

    def __add__(self, other: Workload) -> Workload:
        """Return the sum of both, named after the first."""
        return Workload(self.what, self.memory + other.memory, self.products + other.products)


@dataclass(frozen=True)
class Allowance:
    """Limits of what an operation may need.

    Parameters
    ----------
    memory
        Bytes.
    products
        Multiplications.
    """

    memory: float
    products: float = math.inf


_ALLOWED: ContextVar[Allowance | None] = ContextVar("riffusion_allowance", default=None)


@contextmanager
def allowance(allowed: Allowance) -> Iterator[None]:
    """Limit the operations inside the ``with``. An outer allowance stays in force."""
    outer = _ALLOWED.get()
    if outer is not None:
        allowed = Allowance(min(allowed.memory, outer.memory), min(allowed.products, outer.products))
    token = _ALLOWED.set(allowed)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def current_allowance() -> Allowance:
    """Return the allowance in force: the caller's, or most of the machine's memory and unlimited arithmetic."""
    return _ALLOWED.get() or Allowance(_MEMORY_SHARE * machine_memory())


def check(workload: Workload) -> None:
    """Check a workload against the allowance in force.

    Raises
    ------
    RiffusionError
        The workload exceeds it. The message contains the figure and the limit.
    """
    allowed = current_allowance()
    if workload.memory > allowed.memory:
        needed, limit = _format_bytes(workload.memory), _format_bytes(allowed.memory)
        raise RiffusionError(
            f"{workload.what} needs up to {needed} of memory, {limit} are allowed here; a "
            "shorter part, a lower sample rate or fewer columns need less"
        )
    if workload.products > allowed.products:
        raise RiffusionError(
            f"{workload.what} needs up to {workload.products:.2g} multiplications, {allowed.products:.2g} are allowed "
            "here; a shorter part, a lower sample rate or fewer columns need less"
        )


def resample_workload(channels: int, samples: int, source_rate: int, rate: int) -> Workload:
    """Estimate :func:`~riffusion_ext.audio.resampling.resample`.

    Parameters
    ----------
    channels, samples
        Number of channels, and of samples per channel.
    source_rate, rate
        In Hz.
    """
    up, down = ratio(source_rate, rate)
    what = f"resampling {format_seconds(samples / source_rate)} of sound from {source_rate} to {rate} Hz"
    if up == down or not samples:
        return Workload(what, 0)
    out = channels * resampled_length(samples, source_rate, rate)
    taps = math.ceil(2 * HALF_LENGTH * max(up, down) / up)
    if max(up, down) > MAX_PHASES:
        rows, taps = table_shape(up, down)
        return Workload(what, FLOAT * (out + rows * taps) + _BLOCK_BYTES, 4 * out * taps)
    # Twice: scipy returns a view of a larger array.
    return Workload(what, 2 * FLOAT * out + _BLOCK_BYTES, out * taps)


def join_workload(channels: int, samples: int, rate: int) -> Workload:
    """Estimate converting clips to a common rate and number of channels, and joining them."""
    what = f"joining {format_seconds(samples / rate)} of sound with {channels} channels at {rate} Hz"
    return Workload(what, 3 * FLOAT * channels * samples)


def read_workload(channels: int, samples: int, sample_rate: int) -> Workload:
    """Estimate reading a part of a sound file into memory."""
    what = (
        f"reading {format_seconds(samples / max(sample_rate, 1))} of sound with {channels} channels at {sample_rate} Hz"
    )
    return Workload(what, 2 * FLOAT * channels * samples)


def format_seconds(seconds: float) -> str:
    """Format a duration: ``"12.3 s"``, ``"75 min"``, ``"20 h"``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def _format_bytes(number: float) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"


@lru_cache(maxsize=1)
def machine_memory() -> int:
    """Return the memory available to this process in bytes: the machine's, or the limit of the container."""
    sizes = [_physical_memory()]
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(place).read_text("ascii")))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return min(size for size in sizes if size > 0)


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return _windows_memory() or _UNKNOWN_MEMORY


def _windows_memory() -> int:
    """Return the physical memory as reported by Windows; 0 elsewhere."""
    import ctypes

    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    kilobytes = ctypes.c_ulonglong(0)
    if kernel is None or not kernel.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return 0
    return kilobytes.value * 1024
