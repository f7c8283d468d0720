"""Signals that end a program: SIGTERM and SIGHUP act like Ctrl-C.

The handlers are installed by our own programs only, by :func:`stopping_signals` around all their work. A webui keeps
its own handlers: nothing here is installed by an import.

::

    first signal      raises Stop in the main thread, or calls the callback of `on_first_signal`
    within 0.5 s      ignored: `timeout`, shells and terminals often send two
    a later one       ends the program at once (inside `on_first_signal`, the second raises Stop, the third ends it)

An exception that can come at any moment is safe only where Python code can be interrupted. So Stop waits while the
main thread is inside an import (C modules turn it into an ImportError, or are left half initialised), inside a
``__del__``, a weak reference's callback or a callback from a C library (whose exceptions are printed and lost), or
inside :func:`defer_signals`.
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

__all__ = [
    "NAMES",
    "Stop",
    "defer_signals",
    "exit_code",
    "finish",
    "hung_up",
    "ignore_first_signal",
    "on_first_signal",
    "received_signal",
    "run_at_exit",
    "stopping_signals",
]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What is taken as the wish to stop, where the system has it; SIGBREAK is Windows' Ctrl-Break or closed console."""

_SAME_S = 0.5  # seconds within which two signals are one wish
_RETRY_S = 0.02  # seconds between two tries to raise


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


class _State:
    """What came, and what became of it. Changed in the main thread only, but for `retries`."""

    def __init__(self, depth: int) -> None:
        self.depth = depth  # delicate frames around all of it: whoever imports a program is not interrupted less
        self.first: int | None = None
        self.received_at = 0.0
        self.callback: Callable[[int], None] | None = None
        self.pending = False
        self.deferrals = 0
        self.retries = self.handled_retries = 0
        self.code: int | None = None
        self.terminals = [fd for fd in (0, 1, 2) if _is_terminal(fd)]

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Take a signal, or the knock of a Stop that had to wait."""
        if self.code is not None:
            os._exit(self.code)
        if self.pending and self.retries > self.handled_retries:
            self.handled_retries = self.retries
            self._raise(frame)
            return
        now = time.monotonic()
        if self.first is not None and now - self.received_at < _SAME_S:
            return
        if self.terminals:
            self.leave_closed_terminals()
        second, self.first, self.received_at = self.first is not None, self.first or signum, now
        if self.callback is not None:
            callback, self.callback = self.callback, None if second else self.callback
            if second:
                self._request_stop(frame)
            else:
                with suppress(OSError, RuntimeError):  # it says something, maybe while something else is being said
                    callback(signum)
        elif second:
            _terminate(signum)
        else:
            self._request_stop(frame)

    def _request_stop(self, frame: FrameType | None) -> None:
        self.pending = True
        self._raise(frame)

    def _raise(self, frame: FrameType | None) -> None:
        if self.deferrals or _uninterruptible_frames(frame) > self.depth:
            threading.Thread(target=self._retry, daemon=True, name="riffusion-signal").start()
            return
        self.pending = False
        assert self.first is not None
        raise Stop(self.first)

    def _retry(self) -> None:
        time.sleep(_RETRY_S)
        if self.pending and self.first is not None:
            self.retries += 1
            _send(self.first)

    def unraisable_hook(
        self, hook: Callable[[sys.UnraisableHookArgs], object]
    ) -> Callable[[sys.UnraisableHookArgs], object]:
        """Return a hook for exceptions that nobody can catch: a Stop among them is raised again elsewhere."""

        def on_unraisable(event: sys.UnraisableHookArgs) -> None:
            if isinstance(event.exc_value, Stop):
                self.pending = True
                threading.Thread(target=self._retry, daemon=True, name="riffusion-signal").start()
            else:
                hook(event)

        return on_unraisable

    def leave_closed_terminals(self) -> None:
        """Let output go nowhere that went to a terminal which is gone: writing there is an error."""
        for fd in {*self.terminals, *_own_stderr(self.terminals)}:
            if not _is_terminal(fd):
                with suppress(OSError):
                    nowhere = os.open(os.devnull, os.O_RDWR)
                    os.dup2(nowhere, fd)
                    os.close(nowhere)


_state: _State | None = None
_exit_actions: list[Callable[[], object]] = []


@contextmanager
def stopping_signals() -> Iterator[None]:
    """Raise :class:`Stop` in the main thread on Ctrl-C, SIGTERM and SIGHUP, for a ``with`` around a whole program.

    What is ignored stays ignored (``nohup``, jobs in the background of a script), a handler that somebody else has
    installed stays, and outside the main thread nothing is changed. Inside itself, it changes nothing more.
    """
    global _state
    if _state is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    state = _State(_uninterruptible_frames(sys._getframe()))
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    before = {}
    hook = sys.unraisablehook
    try:
        _state, sys.unraisablehook = state, state.unraisable_hook(hook)
        for signum in _numbers():
            if signal.getsignal(signum) in defaults:
                before[signum] = signal.signal(signum, state.handle)
        yield
    finally:
        state.pending = False
        for signum, handler in before.items() if state.code is None else ():
            signal.signal(signum, handler)
        _state, sys.unraisablehook = None, hook


@contextmanager
def on_first_signal(callback: Callable[[int], None]) -> Iterator[None]:
    """Take the first signal as a wish, for work that ends by itself once it is told to; the next one raises Stop.

    Parameters
    ----------
    callback
        Called in the main thread with the number of the signal, between any two steps of what goes on there. It must
        return at once, and not raise.
    """
    state = _state
    if state is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before, state.callback = state.callback, callback
    try:
        yield
    finally:
        state.callback = before


@contextmanager
def defer_signals() -> Iterator[None]:
    """Let a signal wait until the end of a short piece of work that must not be left in the middle."""
    state = _state
    if state is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    state.deferrals += 1
    try:
        yield
    finally:
        state.deferrals -= 1


def run_at_exit(action: Callable[[], object]) -> None:
    """Have something done at the end of the program, also where a second signal ends it; what is done twice is safe."""
    _exit_actions.append(action)
    atexit.register(action)


def finish(code: int) -> None:
    """Do what is to be done at the end of the program.

    One that was stopped ends here, and does not wait for threads that are still at work. Of any other, the exit code
    is settled: a late signal only makes it end sooner.
    """
    with defer_signals():
        _run_exit_actions()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        if received_signal() is not None:
            os._exit(code)
        if _state is not None:
            _state.code = code


@contextmanager
def ignore_first_signal() -> Iterator[None]:
    """Do what is left to do once the result is there: a first signal then comes too late, and nothing is said of it."""
    state = _state
    with defer_signals():
        yield
        if state is not None:
            state.first, state.pending = None, False


def received_signal() -> int | None:
    """Return the number of the first signal that came inside :func:`stopping_signals`; None where none did."""
    return None if _state is None else _state.first


def hung_up() -> bool:
    """Whether the terminal of the program was closed; that counts as SIGHUP, which comes a moment later."""
    if _state is None or all(_is_terminal(fd) for fd in _state.terminals):
        return False
    with defer_signals():
        _state.first, _state.received_at = (
            _state.first or int(getattr(signal, "SIGHUP", signal.SIGTERM)),
            time.monotonic(),
        )
        _state.leave_closed_terminals()
    return True


def exit_code(error: BaseException | None = None) -> int:
    """Return what a program ends with that was stopped, as shells count: 130 for Ctrl-C, 143 for SIGTERM."""
    signum = error.signum if isinstance(error, Stop) else received_signal()
    return 128 + int(signal.SIGINT if signum is None else signum)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


def _uninterruptible_frames(frame: FrameType | None) -> int:
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


def _run_exit_actions() -> None:
    for action in reversed(_exit_actions):
        with suppress(Exception):
            action()


def _terminate(signum: int) -> None:
    _run_exit_actions()
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
