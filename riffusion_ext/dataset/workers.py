"""Processes that work for this one, and end with it, however it ends.

A worker of joblib that loses its parent works through what it was handed, then waits five minutes for more, and all the
while it holds the pipes of the program. So each of ours looks four times a second whether its parent is still there.
The system could tell it (PR_SET_PDEATHSIG), but on Linux only, and it takes the end of the thread that started a worker
for the end of the process: in a webui, such threads come and go.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import riffusion_ext

__all__ = ["AHEAD", "map_unordered"]

AHEAD = 2
"""Items handed out for each process, so that none waits for the next."""

_Item = TypeVar("_Item")


def map_unordered(
    function: Callable[[_Item], Any], numbered: Sequence[tuple[int, _Item]], jobs: int
) -> Iterator[tuple[int, Any]]:
    """Call ``function(item)`` in other processes; yields numbers and results as they come, in any order.

    Parameters
    ----------
    function, numbered
        What to do, and with what; both are pickled.
    jobs
        Processes at once, 2 or more.

    Raises
    ------
    BrokenProcessPool
        A process has died. Errors of the function come through.
    """
    import joblib

    # joblib replaces a process whose memory grew or that stopped after five idle minutes, and nothing is lost. But it
    # warns in the thread that does so: where warnings are errors, that thread ends, and the results never come.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)
    # Songs are minutes of work: handed out one by one, so that a long one at the end does not keep others waiting.
    pool = joblib.Parallel(
        jobs, backend=_backend()(), batch_size=1, pre_dispatch=AHEAD * jobs, return_as="generator_unordered"
    )
    call = _portable_call()
    root = str(Path(riffusion_ext.__file__).resolve().parents[1])
    calls = (joblib.delayed(call)(root, number, pickle.dumps((function, item))) for number, item in numbered)
    with closing(pool(calls)) as results:
        for number, packed in results:
            yield number, pickle.loads(packed)


@lru_cache(maxsize=1)
def _backend() -> Any:
    """Return joblib's usual backend, but for what its processes begin with."""
    from joblib._parallel_backends import LokyBackend

    class Backend(LokyBackend):
        """Processes that end with this one."""

        def configure(self, *args: Any, **options: Any) -> int:
            options.update(initializer=_initializer(), initargs=(os.getpid(),))
            return int(super().configure(*args, **options))

    return Backend


@lru_cache(maxsize=1)  # joblib keeps its processes from one run to the next if they began with the same function
def _initializer() -> Callable[[int], None]:
    """Return what each process begins with; it goes there by value, as below."""

    def initialize(parent: int) -> None:
        import os
        import signal
        import threading
        import time

        # Ctrl-C, a closed terminal and the signals of `timeout` or systemd reach every process of a run; the one that
        # handed the songs out stops the others.
        for name in ("SIGINT", "SIGHUP", "SIGTERM"):
            if hasattr(signal, name) and threading.current_thread() is threading.main_thread():
                signal.signal(getattr(signal, name), signal.SIG_IGN)

        def watch() -> None:
            if os.name == "nt":  # where a process keeps the number of its parent when that is gone
                import ctypes

                kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
                kernel.OpenProcess.restype = ctypes.c_void_p
                kernel.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
                handle = kernel.OpenProcess(0x00100000, False, parent)  # SYNCHRONIZE
                if handle:
                    kernel.WaitForSingleObject(handle, 0xFFFFFFFF)
            else:
                while os.getppid() == parent:
                    time.sleep(0.25)
            os._exit(1)

        threading.Thread(target=watch, daemon=True, name="riffusion-parent").start()

    return initialize


def _portable_call() -> Callable[[str, int, bytes], tuple[int, bytes]]:
    """Return a function that goes to other processes by value, since they may not know where this package is.

    A webui takes the folders of extensions off the path again, and its processes may have been started by another one.
    """

    def call(root: str, number: int, packed: bytes) -> tuple[int, bytes]:
        import pickle
        import sys

        if root not in sys.path:
            sys.path.append(root)
        function, item = pickle.loads(packed)
        return number, pickle.dumps(function(item))

    return call
