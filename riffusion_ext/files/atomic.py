"""Write files atomically: a file is either complete or does not exist."""

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
"""Temporary files being written, and the ids of their processes."""

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}(\.[^.]*)?")


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], *, error_type: type[RiffusionError] = RiffusionError
) -> Path:
    """Write a file under a temporary name in the same folder, then rename it.

    On any error, the temporary file is removed and an existing file stays unchanged.

    Parameters
    ----------
    path
        The file; its folder is created if missing.
    write
        Called once with the open file.
    error_type
        Class of the error to raise.

    Raises
    ------
    RiffusionError
        Of the class `error_type`: the file cannot be written.
    """
    # Short, so that it fits wherever the real name does; hidden, so that listings of the folder leave it out.
    temporary = path.with_name(f".{secrets.token_hex(6)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.lstat()  # fails on a name that is too long, before the work
        # "x" rather than tempfile, whose files are private to the user.
        _unfinished[temporary] = os.getpid()  # first: a signal may arrive between any two steps
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
    """Remove unfinished files of all threads before the program ends."""
    for temporary in list(_unfinished):
        _remove(temporary)


def _remove(temporary: Path) -> None:
    # Not in a process forked while another thread was writing. A file that is missing has been renamed already.
    if _unfinished.get(temporary) == os.getpid():
        with suppress(OSError):
            temporary.unlink()
    _unfinished.pop(temporary, None)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed programs from a folder. Call it while nobody writes there."""
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                path.unlink()


def write_failure(path: Path, error: OSError | ValueError) -> str:
    """Return one sentence why a file cannot be written, or its name cannot be looked up."""
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
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises if the folder above is not accessible
        return f"{path} is a folder, a file cannot take its place"
    if code in (errno.ENOTDIR, errno.EEXIST):
        return f"{path.parent} is not a folder, {path.name} cannot be written into it"
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = "the folder cannot be written to" + (", or the file is open elsewhere" if os.name == "nt" else "")
        return f"{path} could not be written: {why}"
    return f"{path} could not be written: {getattr(error, 'strerror', None) or error}"


run_at_exit(remove_unfinished)
