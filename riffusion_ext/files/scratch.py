"""Temporary folders: removed at the end of the program or, if it was killed, by the next one.

::

    <temporary folder>/riffusion-k3b9x1_p/
      .riffusion-scratch     marker file: one line of text, locked as long as the owner runs

A folder is swept only if it holds the marker, belongs to the same user, and nobody holds the lock. The system releases
the lock when its owner ends, however it ends. Unlike process ids, locks also work across containers and users. The
marker gets its text once it is locked, so a folder that is just being created is never swept. Links are never
followed.
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
"""Name of the marker file."""

_PREFIX = "riffusion-"
_TEXT = b"Scratch of riffusion-ext: removed once nobody holds the lock of this file.\n"
_BYTE = 1 << 20  # byte to lock on Windows, where locked bytes cannot be read by others

_claimed: dict[Path, tuple[int, int]] = {}  # folder -> file descriptor of its marker, id of the process that created it
_lock = threading.RLock()
_swept: set[Path] = set()


def new(parent: Path | None = None) -> Path:
    """Create a folder that is removed at the end of the program. Only its user can access it.

    Parameters
    ----------
    parent
        Folder to create it in; None for the system's temporary folder. Remains of killed programs there are removed.
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
    """Mark an empty folder of this program as temporary; it is created if missing.

    On systems without file locks, it stays if the program is killed.
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
    """Remove a temporary folder of this process; others are left alone."""
    with _lock:
        number, maker = _claimed.pop(folder.absolute(), (-1, 0))
    if maker == os.getpid():
        _remove(folder.absolute(), number)


def close() -> None:
    """Remove all temporary folders of this process. Also called when the program ends."""
    with _lock:
        folders = list(_claimed)
    for folder in folders:
        release(folder)


def sweep(parent: Path, prefix: str = _PREFIX) -> int:
    """Remove temporary folders of killed programs; return their number.

    Parameters
    ----------
    parent
        Folder to search, without its subfolders.
    prefix
        Prefix of their names; "" for any.
    """
    count = 0
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                    count += _sweep(Path(parent).absolute() / entry.name)
    return count


def _sweep(folder: Path) -> bool:
    """Remove a folder if its program was killed; return whether it was removed."""
    marker = folder / MARK
    seen = marker.lstat()
    if not stat.S_ISREG(seen.st_mode) or not _is_own(folder.lstat()) or not _is_own(seen):
        return False
    number = os.open(marker, os.O_RDWR | _flags())
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
    """Remove a folder whose marker is open and locked. The marker goes last, so that remains can be swept later."""
    for _ in range(3):  # one of our threads may still be writing to it
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == MARK:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        Path(entry.path).unlink()
        if os.name == "nt" and number >= 0:  # open files cannot be deleted
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
    """Try to lock an open file; return whether that succeeded."""
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
