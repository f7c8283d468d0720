"""Threads for the work of requests. The host's own, of which it has 40 for all its routes, are left to it.

A pool has few threads: what waits for one costs no more than its place in a queue, and the others of a program get
the interpreter in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

__all__ = ["FILES", "PARSING", "in_pool", "in_thread"]

P = ParamSpec("P")
T = TypeVar("T")

PARSING = ThreadPoolExecutor(1, "riffusion-parse")
"""Reads JSON, one body at a time."""

FILES = ThreadPoolExecutor(4, "riffusion-files")
"""Opens and checks what was uploaded; some sounds take seconds."""

_SHORT = ThreadPoolExecutor(4, "riffusion-short")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something that may wait for a disk or a lock, or takes a moment, in a thread."""
    return await in_pool(_SHORT, function, *args, **kwargs)


async def in_pool(pool: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something in a thread of a pool."""
    return await asyncio.get_running_loop().run_in_executor(pool, partial(function, *args, **kwargs))
