"""How much a piece of work needs, estimated before it begins, and how much it may need.

A small file can ask for much: a minute at 1000 Hz becomes 192 times as many samples at 192 kHz, and an image of many
columns hours of sound. So whatever makes sound or images larger says first what it is about to do::

    workload = resample_workload(channels, samples, 1000, 192000)     numbers only, no memory
    check(workload)                                            RiffusionError, with the figure and the limit

Estimates are upper bounds, of what is held beyond the input. They are of the order of what is really needed: two to
three times as much at most where the work is large.

What may be needed is the machine's memory, unless a caller allows less: ``with allowance(Allowance(memory=2 << 30)):``.
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
"""Bytes of a sample, and of most numbers."""

_MEMORY_SHARE = 0.8
"""Of the machine's memory that one piece of work may take."""

_UNKNOWN_MEMORY = 8 << 30
"""Taken for the memory of a machine that does not tell."""

_BLOCK_BYTES = 32 << 20
"""Blocks of constant size that the work goes on in, in bytes."""


@dataclass(frozen=True)
class Workload:
    """What a piece of work needs at most.

    Attributes
    ----------
    what
        The work, as the subject of a sentence: ``"resampling 60.0 s of sound to 192000 Hz"``.
    memory
        Bytes held at one time, beyond the input.
    products
        Multiplications; some 1e9 to 1e10 are done in a second.
    """

    what: str
    memory: int
    products: int = 0

    def __add__(self, other: Workload) -> Workload:
        """Return both, held at the same time, by the name of the first."""
        return Workload(self.what, self.memory + other.memory, self.products + other.products)


@dataclass(frozen=True)
class Allowance:
    """What a piece of work may need.

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
    """Allow what is done inside no more than this; the caller's own allowance, where there is one, stays in force."""
    outer = _ALLOWED.get()
    if outer is not None:
        allowed = Allowance(min(allowed.memory, outer.memory), min(allowed.products, outer.products))
    token = _ALLOWED.set(allowed)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def current_allowance() -> Allowance:
    """Return what work may need here: what the caller allows, else most of the machine's memory and any time."""
    return _ALLOWED.get() or Allowance(_MEMORY_SHARE * machine_memory())


def check(workload: Workload) -> None:
    """Refuse work that needs more than is allowed, before it begins.

    Raises
    ------
    RiffusionError
        It does; the message has the figure and the limit.
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
    """Return what :func:`~riffusion_ext.audio.resampling.resampled` needs.

    Parameters
    ----------
    channels, samples
        Of the sound; samples of each channel.
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
    # Twice: what scipy returns is a view of a larger array.
    return Workload(what, 2 * FLOAT * out + _BLOCK_BYTES, out * taps)


def join_workload(channels: int, samples: int, rate: int) -> Workload:
    """Return what it needs to bring so much sound to one form and to join it."""
    what = f"joining {format_seconds(samples / rate)} of sound with {channels} channels at {rate} Hz"
    return Workload(what, 3 * FLOAT * channels * samples)


def read_workload(channels: int, samples: int, sample_rate: int) -> Workload:
    """Return what it needs to read so much of a sound file into memory."""
    what = (
        f"reading {format_seconds(samples / max(sample_rate, 1))} of sound with {channels} channels at {sample_rate} Hz"
    )
    return Workload(what, 2 * FLOAT * channels * samples)


def format_seconds(seconds: float) -> str:
    """Return a length of time for a sentence: ``"12.3 s"``, ``"75 min"``, ``"20 h"``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.0f} h"


def _format_bytes(number: float) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.0f} MB"


@lru_cache(maxsize=1)
def machine_memory() -> int:
    """Return the bytes of memory that this process can have: the machine's, or less in a container."""
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
    """Return the physical memory as Windows tells it; 0 elsewhere."""
    import ctypes

    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    kilobytes = ctypes.c_ulonglong(0)
    if kernel is None or not kernel.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return 0
    return kilobytes.value * 1024
