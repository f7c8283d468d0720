"""Worker processes that end with their parent, however it ends.

A joblib worker that loses its parent finishes its items, then waits five minutes for more, holding the program's pipes
all the while. So each of ours checks four times a second whether its parent still runs. PR_SET_PDEATHSIG exists only on
Linux, and fires when the thread that started the worker ends, not the process: in a webui, such threads come and go.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import riffusion_ext

__all__ = ["AHEAD", "map_unordered"]

AHEAD = 2
"""Items dispatched ahead for each process, so that none waits for its next item."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_unordered(
    function: Callable[[_Item], _Result], numbered: Sequence[tuple[int, _Item]], jobs: int
) -> Iterator[tuple[int, _Result]]:
    """Call ``function(item)`` in other processes, and yield numbers and results as they arrive, in any order.

    Parameters
    ----------
    function, numbered
        Function and numbered items; both are pickled.
    jobs
        Number of processes, 2 or more.

    Raises
    ------
    BrokenProcessPool
        A process died. Errors of the function are raised as they are.
    """
    import joblib

    # joblib replaces a process whose memory grew or that stopped after five idle minutes, and no item is lost. But it
    # warns in its own thread: where warnings are errors, that thread ends, and the results never arrive.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)
    # Songs take minutes each, so they are dispatched singly: no process waits for another's batch at the end.
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
def _backend() -> type[object]:
    """Return joblib's default backend class with our initializer for its processes."""
    from joblib._parallel_backends import LokyBackend

    class Backend(LokyBackend):
        """Loky backend whose processes end with this one."""

        def configure(self, *args: object, **options: object) -> int:
            options.update(initializer=_initializer(), initargs=(os.getpid(),))
            return int(super().configure(*args, **options))

    return Backend


@lru_cache(maxsize=1)  # joblib reuses its processes only if the initializer is the same object
def _initializer() -> Callable[[int], None]:
    """Return the initializer of worker processes; it is pickled by value, as in :func:`_portable_call`."""

    def initialize(parent: int) -> None:
        import os
        import signal
        import threading
        import time

        # Ctrl-C, a closed terminal and the signals of `timeout` or systemd reach every process of a run; the parent
        # stops its workers itself.
        for name in ("SIGINT", "SIGHUP", "SIGTERM"):
            if hasattr(signal, name) and threading.current_thread() is threading.main_thread():
                signal.signal(getattr(signal, name), signal.SIG_IGN)

        def watch() -> None:
            if os.name == "nt":  # there, getppid() does not change when the parent ends
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
    """Return a function that is pickled by value, since worker processes may not know where this package is.

    A webui removes the folders of extensions from the path again, and another extension may have started the processes.
    """

    def call(root: str, number: int, packed: bytes) -> tuple[int, bytes]:
        import pickle
        import sys

        if root not in sys.path:
            sys.path.append(root)
        function, item = pickle.loads(packed)
        return number, pickle.dumps(function(item))

    return call
