"""Files of the user, opened only where they are files.

To open a named pipe waits until somebody writes into it, and a device such as ``/dev/zero`` has no end: whatever their
names, or the names of links to them, say. Standard library only.
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
    """Return the state of a file; for programs and libraries that open it by its name.

    Raises
    ------
    OSError
        It is missing, or is no regular file.
    """
    try:
        state = Path(path).stat()
    except ValueError:  # a NUL, or half surrogates that stand for no byte
        raise OSError(errno.EINVAL, "no file can have that name", os.fspath(path)) from None
    _check(state, path)
    return state


def open_regular(path: str | PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes.

    Raises
    ------
    OSError
        It is missing or may not be read, or is no regular file.
    """
    check_regular(path)  # some devices act when they are opened
    number = os.open(path, _FLAGS)
    try:
        _check(os.fstat(number), path)  # again: it may have become another one
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_regular(path: str | PathLike[str], max_bytes: int | None = None) -> bytes:
    """Return the bytes of a file.

    Parameters
    ----------
    path
        The file.
    max_bytes
        Bytes that it may have; None for any number.

    Raises
    ------
    OSError
        As :func:`open_regular`, or it is larger.
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
