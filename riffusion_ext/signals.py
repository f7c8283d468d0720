"""Signals that end a program: SIGTERM and SIGHUP mean what Ctrl-C means.

The handlers belong to programs of our own, which hold them with :func:`stopping_signals` around all their work. A
webui keeps its own: nothing here is installed by an import.

::

    first signal      Stop is raised in the main thread, or a wish is noted inside `wished`
    within 0.5 s      taken for the same: `timeout`, shells and terminals often send two
    a later one       ends the program at once (inside `wished`, the second one raises Stop, the third ends it)

An exception that comes at any moment is safe only where Python code can be left. So Stop waits while the main thread
is inside an import (modules in C turn it into an ImportError, or are left half made), inside a ``__del__``, a weak
reference's or a C library's call back to Python (whose exceptions are printed and lost), or inside :func:`shielded`.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

__all__ = [
    "NAMES",
    "Stop",
    "at_end",
    "concluded",
    "exit_code",
    "finish",
    "hung_up",
    "received",
    "shielded",
    "stopping_signals",
    "wished",
]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What is taken as the wish to stop, where the system has it; SIGBREAK is Windows' Ctrl-Break or closed console."""

_SAME = 0.5  # seconds within which two signals are one wish
_KNOCK = 0.02  # seconds between two tries to raise


class Stop(KeyboardInterrupt):
    """Raised in the main thread where the program shall stop.

    Attributes
    ----------
    signum
        The signal that came.
    """

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


class _Watch:
    """What came, and what became of it. Changed in the main thread only, but for `knocks`."""

    def __init__(self, depth: int) -> None:
        self.depth = depth  # delicate frames around all of it: whoever imports a program is not interrupted less
        self.first: int | None = None
        self.at = 0.0
        self.wish: Callable[[int], None] | None = None
        self.pending = False
        self.shields = 0
        self.knocks = self.heard = 0
        self.code: int | None = None
        self.terminals = [fd for fd in (0, 1, 2) if _is_terminal(fd)]

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Take a signal, or the knock of a Stop that had to wait."""
        if self.code is not None:
            os._exit(self.code)
        if self.pending and self.knocks > self.heard:
            self.heard = self.knocks
            self._raise(frame)
            return
        now = time.monotonic()
        if self.first is not None and now - self.at < _SAME:
            return
        if self.terminals:
            self.leave_closed_terminals()
        second, self.first, self.at = self.first is not None, self.first or signum, now
        if self.wish is not None:
            wish, self.wish = self.wish, None if second else self.wish
            if second:
                self._want(frame)
            else:
                with suppress(OSError, RuntimeError):  # it says something, maybe while something else is being said
                    wish(signum)
        elif second:
            _die(signum)
        else:
            self._want(frame)

    def _want(self, frame: FrameType | None) -> None:
        self.pending = True
        self._raise(frame)

    def _raise(self, frame: FrameType | None) -> None:
        if self.shields or _delicate(frame) > self.depth:
            threading.Thread(target=self._knock, daemon=True, name="riffusion-signal").start()
            return
        self.pending = False
        assert self.first is not None
        raise Stop(self.first)

    def _knock(self) -> None:
        time.sleep(_KNOCK)
        if self.pending and self.first is not None:
            self.knocks += 1
            _send(self.first)

    def lost(self, hook: Callable[[Any], object]) -> Callable[[Any], object]:
        """Return a hook for exceptions that nobody can catch: a Stop among them is raised again elsewhere."""

        def unraisable(told: Any) -> None:
            if isinstance(told.exc_value, Stop):
                self.pending = True
                threading.Thread(target=self._knock, daemon=True, name="riffusion-signal").start()
            else:
                hook(told)

        return unraisable

    def leave_closed_terminals(self) -> None:
        """Let output go nowhere that went to a terminal which is gone: writing there is an error."""
        for fd in {*self.terminals, *_own_stderr(self.terminals)}:
            if not _is_terminal(fd):
                with suppress(OSError):
                    nowhere = os.open(os.devnull, os.O_RDWR)
                    os.dup2(nowhere, fd)
                    os.close(nowhere)


_watch: _Watch | None = None
_acts: list[Callable[[], object]] = []


@contextmanager
def stopping_signals() -> Iterator[None]:
    """Raise :class:`Stop` in the main thread on Ctrl-C, SIGTERM and SIGHUP, for a ``with`` around a whole program.

    What is ignored stays ignored (``nohup``, jobs in the background of a script), a handler that somebody else has
    installed stays, and outside the main thread nothing is changed. Inside itself, it changes nothing more.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(_delicate(sys._getframe()))
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {}
    hook = sys.unraisablehook
    try:
        _watch, sys.unraisablehook = watch, watch.lost(hook)
        for signum in _numbers():
            if signal.getsignal(signum) in usual:
                before[signum] = signal.signal(signum, watch.handle)
        yield
    finally:
        watch.pending = False
        for signum, handler in before.items() if watch.code is None else ():
            signal.signal(signum, handler)
        _watch, sys.unraisablehook = None, hook


@contextmanager
def wished(wish: Callable[[int], None]) -> Iterator[None]:
    """Take the first signal as a wish, for work that ends by itself once it is told to; the next one raises Stop.

    Parameters
    ----------
    wish
        Called in the main thread with the number of the signal, between any two steps of what goes on there. It must
        return at once, and not raise.
    """
    watch = _watch
    if watch is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before, watch.wish = watch.wish, wish
    try:
        yield
    finally:
        watch.wish = before


@contextmanager
def shielded() -> Iterator[None]:
    """Let a signal wait until the end of a short piece of work that must not be left in the middle."""
    watch = _watch
    if watch is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch.shields += 1
    try:
        yield
    finally:
        watch.shields -= 1


def at_end(act: Callable[[], object]) -> None:
    """Have something done at the end of the program, also where a second signal ends it; what is done twice is safe."""
    _acts.append(act)
    atexit.register(act)


def finish(code: int) -> None:
    """Do what is to be done at the end of the program.

    One that was stopped ends here, and does not wait for threads that are still at work. Of any other, the exit code
    is settled: a late signal only makes it end sooner.
    """
    with shielded():
        _tidy()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if received() is not None:
            os._exit(code)
        if _watch is not None:
            _watch.code = code


@contextmanager
def concluded() -> Iterator[None]:
    """Do what is left to do once the result is there: a first signal then comes too late, and nothing is said of it."""
    watch = _watch
    with shielded():
        yield
        if watch is not None:
            watch.first, watch.pending = None, False


def received() -> int | None:
    """Return the number of the first signal that came inside :func:`stopping_signals`; None where none did."""
    return None if _watch is None else _watch.first


def hung_up() -> bool:
    """Whether the terminal of the program was closed; that counts as SIGHUP, which comes a moment later."""
    if _watch is None or all(_is_terminal(fd) for fd in _watch.terminals):
        return False
    with shielded():
        _watch.first, _watch.at = _watch.first or int(getattr(signal, "SIGHUP", signal.SIGTERM)), time.monotonic()
        _watch.leave_closed_terminals()
    return True


def exit_code(error: BaseException | None = None) -> int:
    """Return what a program ends with that was stopped, as shells count: 130 for Ctrl-C, 143 for SIGTERM."""
    signum = error.signum if isinstance(error, Stop) else received()
    return 128 + int(signal.SIGINT if signum is None else signum)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


def _delicate(frame: FrameType | None) -> int:
    """Count the calls around a frame that must not be left by an exception from outside."""
    count = 0
    while frame is not None:
        code = frame.f_code
        name, file = code.co_name, code.co_filename
        importing = file.startswith("<frozen importlib")
        collecting = name == "__del__" or file.endswith(("weakref.py", "_weakrefset.py"))
        called_by_libsndfile = name.startswith("vio_") and "soundfile" in file
        count += importing or collecting or called_by_libsndfile
        frame = frame.f_back
    return count


def _send(signum: int) -> None:
    """Send a signal to the main thread, which it wakes where it waits."""
    with suppress(OSError, ValueError, RuntimeError):
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, signum)
        else:
            import _thread

            _thread.interrupt_main(signal.Signals(signum))


def _tidy() -> None:
    for act in reversed(_acts):
        with suppress(Exception):
            act()


def _die(signum: int) -> None:
    _tidy()
    if os.name != "nt":
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    os._exit(128 + signum)


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _own_stderr(terminals: list[int]) -> list[int]:
    """Where sys.stderr writes to, if that was a terminal and no longer is file descriptor 2."""
    with suppress(OSError, ValueError, AttributeError):
        if 2 in terminals and (fd := sys.stderr.fileno()) > 2:
            return [fd]
    return []
