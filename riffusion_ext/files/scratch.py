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
            fd = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL | _flags(), 0o600)
            _claimed[folder] = (fd, os.getpid())
            if _try_lock(fd):
                os.write(fd, _TEXT)


def release(folder: Path) -> None:
    """Remove a temporary folder of this process; others are left alone."""
    with _lock:
        fd, owner = _claimed.pop(folder.absolute(), (-1, 0))
    if owner == os.getpid():
        _remove(folder.absolute(), fd)


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
    marker_status = marker.lstat()
    if not stat.S_ISREG(marker_status.st_mode) or not _is_own(folder.lstat()) or not _is_own(marker_status):
        return False
    fd = os.open(marker, os.O_RDWR | _flags())
    try:
        status = os.fstat(fd)
        is_intact = (status.st_dev, status.st_ino) == (
            marker_status.st_dev,
            marker_status.st_ino,
        ) and status.st_nlink == 1
        if not (is_intact and _try_lock(fd) and os.read(fd, len(_TEXT) + 1) == _TEXT):
            os.close(fd)
            return False
    except BaseException:
        os.close(fd)
        raise
    _remove(folder, fd)
    return not folder.exists()


def _remove(folder: Path, fd: int) -> None:
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
        if os.name == "nt" and fd >= 0:  # open files cannot be deleted
            os.close(fd)
            fd = -1
        with suppress(OSError):
            if {path.name for path in folder.iterdir()} <= {MARK}:
                (folder / MARK).unlink(missing_ok=True)
                folder.rmdir()
                break
    if fd >= 0:
        os.close(fd)


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _flags() -> int:
    return getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def _try_lock(fd: int) -> bool:
    """Try to lock an open file; return whether that succeeded."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(fd, _BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            os.lseek(fd, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


run_at_exit(close)
