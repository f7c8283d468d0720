"""Open files of the user, but no pipes or devices.

Opening a named pipe blocks until somebody writes to it, and a device such as ``/dev/zero`` has no end, whatever their
names or those of links to them. Standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
from os import PathLike
from pathlib import Path
from typing import BinaryIO

__all__ = ["check_regular", "open_regular", "read_regular"]

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: str | PathLike[str]) -> os.stat_result:
    """Check a file before a program or library opens it by name; return its status.

    Raises
    ------
    OSError
        The file is missing or not a regular file.
    """
    try:
        state = Path(path).stat()
    except ValueError:  # a NUL, or surrogates that cannot be encoded
        raise OSError(errno.EINVAL, "no file can have that name", os.fspath(path)) from None
    _check(state, path)
    return state


def open_regular(path: str | PathLike[str]) -> BinaryIO:
    """Open a file for reading bytes.

    Raises
    ------
    OSError
        The file is missing, not readable, or not a regular file.
    """
    check_regular(path)  # opening some devices has side effects
    fd = os.open(path, _FLAGS)
    try:
        _check(os.fstat(fd), path)  # again: it may have been replaced
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read_regular(path: str | PathLike[str], max_bytes: int | None = None) -> bytes:
    """Read the bytes of a file.

    Parameters
    ----------
    path
        The file.
    max_bytes
        Maximum size; None for any.

    Raises
    ------
    OSError
        As for :func:`open_regular`, or the file is larger.
    """
    with open_regular(path) as file:
        data = file.read(-1 if max_bytes is None else max_bytes + 1)
    if max_bytes is not None and len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it has more than {max_bytes} bytes", str(Path(path)))
    return data


def _check(state: os.stat_result, path: str | PathLike[str]) -> None:
    if stat.S_ISREG(state.st_mode):
        return
    kind = next((name for fits, name in _KINDS if fits(state.st_mode)), "something else")
    code = errno.EISDIR if stat.S_ISDIR(state.st_mode) else errno.EINVAL
    raise OSError(code, f"it is {kind}, not a file", os.fspath(path))
