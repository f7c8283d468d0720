"""Folders for files that go with the program: removed at its end, and where it was killed, by the next one.

::

    <temporary folder>/riffusion-k3b9x1_p/
      .riffusion-scratch     our mark: one line of text, and locked as long as the owner lives

A folder is swept only if it holds that mark, belongs to the same user, and nobody holds the lock. The system lets go of
the lock when its owner ends, however it ends; and it sees the lock of an owner in another container or of another user,
which a process number would not show. The mark gets its text once it is locked, so a folder that is just being made is
nobody's prey. Links are never followed.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from riffusion_ext.signals import run_at_exit

__all__ = ["MARK", "claim", "close", "new", "release", "sweep"]

MARK = ".riffusion-scratch"
"""Name of the file that says whose a folder is."""

_PREFIX = "riffusion-"
_TEXT = b"Scratch of riffusion-ext: removed once nobody holds the lock of this file.\n"
_BYTE = 1 << 20  # the locked byte of Windows, whose locked bytes nobody else can read

_claimed: dict[Path, tuple[int, int]] = {}  # descriptor of the mark, and the process that made it
_lock = threading.RLock()
_swept: set[Path] = set()


def new(parent: Path | None = None) -> Path:
    """Make a folder that is removed at the end of the program; only its user may look into it.

    Parameters
    ----------
    parent
        Where; None for the system's folder for temporary files. What killed programs have left there is removed.
    """
    parent = Path(tempfile.gettempdir() if parent is None else parent).absolute()
    with _lock:
        first = parent not in _swept
        _swept.add(parent)
    if first:
        sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).absolute()
    claim(folder)
    return folder


def claim(folder: Path) -> None:
    """Take a folder of this program's own, empty as yet, for scratch; it is made where it is missing.

    Where the system has no locks, it stays after a kill.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _lock:
        if folder in _claimed:
            return
        _claimed[folder] = (-1, os.getpid())
        with suppress(OSError):
            number = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL | _flags(), 0o600)
            _claimed[folder] = (number, os.getpid())
            if _try_lock(number):
                os.write(number, _TEXT)


def release(folder: Path) -> None:
    """Remove a folder that this process has made, as it is done with it; any other is left."""
    with _lock:
        number, maker = _claimed.pop(folder.absolute(), (-1, 0))
    if maker == os.getpid():
        _remove(folder.absolute(), number)


def close() -> None:
    """Remove all folders that this process has made. Called at its end, too."""
    with _lock:
        folders = list(_claimed)
    for folder in folders:
        release(folder)


def sweep(parent: Path, prefix: str = _PREFIX) -> int:
    """Remove the scratch folders in a folder whose programs were killed; returns how many.

    Parameters
    ----------
    parent
        Looked through, but not the folders in it.
    prefix
        What their names begin with; "" for any.
    """
    count = 0
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                    count += _sweep(Path(parent).absolute() / entry.name)
    return count


def _sweep(folder: Path) -> bool:
    """Remove a folder if it is stale; returns whether it was."""
    mark = folder / MARK
    seen = mark.lstat()
    if not stat.S_ISREG(seen.st_mode) or not _is_own(folder.lstat()) or not _is_own(seen):
        return False
    number = os.open(mark, os.O_RDWR | _flags())
    try:
        found = os.fstat(number)
        is_intact = (found.st_dev, found.st_ino) == (seen.st_dev, seen.st_ino) and found.st_nlink == 1
        if not (is_intact and _try_lock(number) and os.read(number, len(_TEXT) + 1) == _TEXT):
            os.close(number)
            return False
    except BaseException:
        os.close(number)
        raise
    _remove(folder, number)
    return not folder.exists()


def _remove(folder: Path, number: int) -> None:
    """Remove a folder whose mark is open under a number, and locked; the mark last, so that a rest is swept later."""
    for _ in range(3):  # a thread of ours may be writing into it still
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == MARK:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        Path(entry.path).unlink()
        if os.name == "nt" and number >= 0:  # an open file stays there
            os.close(number)
            number = -1
        with suppress(OSError):
            if {path.name for path in folder.iterdir()} <= {MARK}:
                (folder / MARK).unlink(missing_ok=True)
                folder.rmdir()
                break
    if number >= 0:
        os.close(number)


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _flags() -> int:
    return getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def _try_lock(number: int) -> bool:
    """Take the lock of an open file; returns whether nobody else has it."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(number, _BYTE, os.SEEK_SET)
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            os.lseek(number, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


run_at_exit(close)
