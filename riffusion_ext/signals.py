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
    "ignore_first_signal",
    "on_first_signal",
    "received_signal",
    "run_at_exit",
    "stopping_signals",
    "terminal_closed",
]

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that stop the program, if the system has them. SIGBREAK is Ctrl-Break or a closed console on Windows."""

_SAME_S = 0.5  # seconds within which two signals count as one
_RETRY_S = 0.02  # seconds between two attempts to raise Stop


class Stop(KeyboardInterrupt):
    """Raised in the main thread to stop the program.

    Attributes
    ----------
    signum
        Number of the received signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.signum = signum


class _State:
    """State of the signal handling. Changed only in the main thread, except for `retries`."""

    def __init__(self, depth: int) -> None:
        self.depth = depth  # uninterruptible frames outside the program, which do not count
        self.first: int | None = None
        self.received_at = 0.0
        self.callback: Callable[[int], None] | None = None
        self.pending = False
        self.deferrals = 0
        self.retries = self.handled_retries = 0
        self.code: int | None = None
        self.terminals = [fd for fd in (0, 1, 2) if _is_terminal(fd)]

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal, or a retry of a deferred Stop."""
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
                with suppress(OSError, RuntimeError):  # it prints, and may interrupt another print
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
        """Return a hook for unraisable exceptions that raises a lost Stop again later."""

        def on_unraisable(event: sys.UnraisableHookArgs) -> None:
            if isinstance(event.exc_value, Stop):
                self.pending = True
                threading.Thread(target=self._retry, daemon=True, name="riffusion-signal").start()
            else:
                hook(event)

        return on_unraisable

    def leave_closed_terminals(self) -> None:
        """Redirect output to closed terminals to the null device, as writing there would fail."""
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

    Ignored signals stay ignored (``nohup``, background jobs of a script), and other handlers stay installed. It does
    nothing outside the main thread, and when nested.
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
    """Call a function on the first signal, for work that can end by itself; the next signal raises Stop.

    Parameters
    ----------
    callback
        Called in the main thread with the number of the signal, between any two bytecode instructions. It must return
        at once, and not raise.
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
    """Defer signals until the end of a short block that must not be interrupted."""
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
    """Call a function at the end of the program, even if a second signal ends it. It may be called twice."""
    _exit_actions.append(action)
    atexit.register(action)


def finish(code: int) -> None:
    """Run the exit actions at the end of the program.

    A program that was stopped ends here, without waiting for its threads. For any other, the exit code is fixed: a late
    signal only makes it end sooner.
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
    """Defer signals in a block after the result is complete, and ignore one that arrives in it."""
    state = _state
    with defer_signals():
        yield
        if state is not None:
            state.first, state.pending = None, False


def received_signal() -> int | None:
    """Return the number of the first signal received inside :func:`stopping_signals`, or None."""
    return None if _state is None else _state.first


def terminal_closed() -> bool:
    """Whether the terminal of the program was closed. It counts as SIGHUP, which arrives a moment later."""
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
    """Return the exit code of a stopped program, by the convention of shells: 130 for Ctrl-C, 143 for SIGTERM."""
    signum = error.signum if isinstance(error, Stop) else received_signal()
    return 128 + int(signal.SIGINT if signum is None else signum)


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


def _uninterruptible_frames(frame: FrameType | None) -> int:
    """Count the frames of a stack that must not be interrupted by an exception."""
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
    """Send a signal to the main thread, which interrupts blocking calls."""
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
    """Return the file descriptor of sys.stderr, if it is not 2, and 2 was a terminal."""
    with suppress(OSError, ValueError, AttributeError):
        if 2 in terminals and (fd := sys.stderr.fileno()) > 2:
            return [fd]
    return []
