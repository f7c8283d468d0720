r"""Check file names that come from untrusted files, so that they cannot lead outside their folder.

A training set or a folder of windows can come from anywhere. The files it names are opened, replaced and removed, so
each must be a bare name or a path below the folder, and no folder on the way may be a link. Names with a special
meaning on any system are refused on all of them: ``..\x``, ``C:x``, ``NUL``, ``x.``.

Standard library only.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import shown

__all__ = ["bare_name", "below", "check_folders", "is_bare", "is_below", "is_link", "is_relative"]

_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 1024  # bytes
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\\/]")
_LINKS = (0xA000000C, 0xA0000003)  # Windows: IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT


def is_bare(name: object) -> bool:
    """Whether a value is a valid file name, without folders, on every system."""
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_BYTES or name in (".", ".."):
        return False
    if any(character in "/\\:" or ord(character) < 0x20 or ord(character) == 0x7F for character in name):
        return False
    if name[-1] in ". " or _DEVICES.fullmatch(name.split(".")[0].rstrip(" ")):
        return False
    return _encoded_size(name) <= _MAX_NAME_BYTES


def is_below(name: object) -> bool:
    """Whether a value is a relative path of bare names, with forward slashes."""
    return isinstance(name, str) and len(name) <= _MAX_PATH_BYTES and all(map(is_bare, name.split("/")))


def is_relative(name: object) -> bool:
    """Whether a value is a relative path on this system that stays below its folder; for files that are only read.

    Songs may have names that are invalid on other systems, such as ``AC:DC/Who?.mp3``.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 4 * _MAX_PATH_BYTES or "\0" in name:
        return False
    path = Path(name)
    parts = _SEPARATORS.split(name)
    return (
        not path.anchor and not path.drive and ".." not in parts and bool(path.parts) and _encoded_size(name) < 1 << 16
    )


def bare_name(name: object, what: str) -> str:
    """Check that a value is a bare file name, and return it.

    Parameters
    ----------
    name
        Any value.
    what
        What it names, for the error message: "an image in manifest.json".

    Raises
    ------
    RiffusionError
        It is not a bare name.
    """
    if not is_bare(name):
        raise RiffusionError(f"{what} must be the bare name of a file, got {shown(name)}")
    assert isinstance(name, str)
    return name


def below(folder: Path, name: object) -> Path:
    """Return the path of a file below a folder.

    Parameters
    ----------
    folder
        Folder given by the user.
    name
        Relative path with forward slashes.

    Raises
    ------
    RiffusionError
        The path leaves the folder, or a folder on the way is a link.
    """
    if not is_below(name):
        raise RiffusionError(f"{shown(name)} is no name of a file below {folder}")
    assert isinstance(name, str)
    path = folder / name
    check_folders(folder, path.parent)
    return path


def check_folders(folder: Path, last: Path) -> None:
    """Raise a RiffusionError if a folder below `folder`, down to `last`, is a link: it may lead anywhere."""
    parts = last.relative_to(folder).parts
    for number in range(len(parts)):
        path = folder.joinpath(*parts[: number + 1])
        if is_link(path):
            raise RiffusionError(f"{path} is a link to another place; nothing is written or removed through it")


def is_link(path: Path) -> bool:
    """Whether a path is a symbolic link or a Windows junction."""
    try:
        state = path.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(state.st_mode) or getattr(state, "st_reparse_tag", 0) in _LINKS


def _encoded_size(name: str) -> int:
    """Return the size of a name in bytes; a number above all limits if it cannot be encoded."""
    try:
        return len(os.fsencode(name) if os.name != "nt" else name.encode("utf-8"))
    except UnicodeEncodeError:
        return 1 << 16
