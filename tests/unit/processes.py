"""Programs started by tests, and all their child processes, marked in their environment."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0  # seconds; generous, because the machine may be busy

CAN_COUNT = Path("/proc/self/environ").exists()


class Program:
    """A Python program in a session of its own; all its processes are ended with the context.

    Parameters
    ----------
    arguments
        Arguments of ``python``.
    folder
        Working directory, with ``tmp`` for temporary files.
    ignored
        Signals ignored from the start, as by ``nohup``.
    """

    def __init__(self, *arguments: str, folder: Path, ignored: tuple[int, ...] = (), **environment: str) -> None:
        self.mark = f"RIFFUSION_TEST_{secrets.token_hex(8)}"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}

        def prepare() -> None:
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env={**env, **environment, self.mark: "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=prepare,
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        for number in {*self.there(), *([self.process.pid] if self.process.poll() is None else [])}:
            try:
                os.kill(number, signal.SIGKILL)
            except OSError:
                continue
        self.process.communicate()

    def wait_for(self, what: Callable[[], object]) -> None:
        """Wait until a condition holds while the program runs."""
        end = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < end, "it takes too long"
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Send a signal, wait for the end, and return exit code, stdout and stderr."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def there(self) -> list[int]:
        """Return the running processes of the program."""
        mark = self.mark.encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():  # empty for one that has ended
                    found.append(int(folder.name))
            except OSError:  # of another user, or just ended
                continue
        return found

    def wait_until_gone(self) -> None:
        """Wait until all processes have ended."""
        end = time.monotonic() + 60
        while left := self.there():
            assert time.monotonic() < end, [Path(f"/proc/{number}/cmdline").read_bytes() for number in left]
            time.sleep(0.02)
