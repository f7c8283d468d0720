"""Thread pools for the work of requests. The host's own pool, 40 threads for all its routes, is left alone.

The pools are small: waiting work costs only a place in a queue, and the other threads of the program keep getting the
interpreter.
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
"""Parses JSON, one body at a time."""

FILES = ThreadPoolExecutor(4, "riffusion-files")
"""Opens and checks uploaded files; some audio files take seconds."""

_SHORT = ThreadPoolExecutor(4, "riffusion-short")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread, if it may wait for a disk or a lock."""
    return await in_pool(_SHORT, function, *args, **kwargs)


async def in_pool(pool: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a thread of a pool."""
    return await asyncio.get_running_loop().run_in_executor(pool, partial(function, *args, **kwargs))
