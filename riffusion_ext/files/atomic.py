"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from riffusion_ext.errors import RiffusionError
from riffusion_ext.signals import run_at_exit

__all__ = ["remove_leftovers", "remove_unfinished", "write_atomically", "write_failure"]

_unfinished: dict[Path, int] = {}
"""Temporary names in use, and the processes that use them."""

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}(\.[^.]*)?")


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], *, error_type: type[RiffusionError] = RiffusionError
) -> Path:
    """Write a file under a temporary name in the same folder, then give it its own in one step.

    Whatever goes wrong, the temporary file is removed and a file that was there before stays as it was.

    Parameters
    ----------
    path
        The file; its folder is made where it is missing.
    write
        Called once with the open file.
    error_type
        What to raise.

    Raises
    ------
    RiffusionError
        Or the type given: the file cannot be written: one sentence says why.
    """
    # Short, so that it fits wherever the real name does; hidden, so that nobody who lists the folder picks it up.
    temporary = path.with_name(f".{secrets.token_hex(6)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.lstat()  # a name that is too long shows here, before the work
        # "x" rather than tempfile, whose files nobody else may read.
        _unfinished[temporary] = os.getpid()  # first: a signal may come between any two steps
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
        del _unfinished[temporary]
    except (OSError, ValueError) as error:
        if isinstance(error, RiffusionError):
            raise
        raise error_type(write_failure(path, error)) from error
    finally:
        if temporary in _unfinished:
            _remove(temporary)
    return path


def remove_unfinished() -> None:
    """Remove what is half written, by whatever thread, before the program ends; it is never finished then."""
    for temporary in list(_unfinished):
        _remove(temporary)


def _remove(temporary: Path) -> None:
    # Not in a process that was forked off while another thread was writing; where it is gone, it had its name already.
    if _unfinished.get(temporary) == os.getpid():
        with suppress(OSError):
            temporary.unlink()
    _unfinished.pop(temporary, None)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files from a folder, whose writers were killed. To be called while nobody is writing there."""
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                path.unlink()


def write_failure(path: Path, error: OSError | ValueError) -> str:
    """Return one sentence about a file that cannot be written, or whose name cannot even be looked up."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full, {path} could not be written"
    if code == errno.EFBIG:
        return f"the file is larger than the system allows, {path} could not be written"
    if code == errno.ENAMETOOLONG:
        name_bytes = max(len(os.fsencode(part)) for part in path.parts)
        if name_bytes <= 255:
            return f"the path is too long ({len(os.fsencode(path))} bytes): {path}"
        return f"the file name is too long ({name_bytes} bytes, most systems allow 255): {path}"
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where the folder above is closed to us
        return f"{path} is a folder, a file cannot take its place"
    if code in (errno.ENOTDIR, errno.EEXIST):
        return f"{path.parent} is not a folder, {path.name} cannot be written into it"
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = "the folder cannot be written to" + (", or the file is open elsewhere" if os.name == "nt" else "")
        return f"{path} could not be written: {why}"
    return f"{path} could not be written: {getattr(error, 'strerror', None) or error}"


run_at_exit(remove_unfinished)
