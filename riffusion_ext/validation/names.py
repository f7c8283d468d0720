r"""Names that stand in files which somebody else may have made: they lead nowhere but where they belong.

A training set or a folder of windows can come from anywhere. What its files name is opened, replaced and removed, so
each name is a bare one, or one of a file below the folder; and no folder on the way is a link to another place. What
any system would understand otherwise is refused on all of them: ``..\x``, ``C:x``, ``NUL``, ``x.``.

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
_LINKS = (0xA000000C, 0xA0000003)  # IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT: links of Windows


def is_bare(name: object) -> bool:
    """Whether a value is the name of a file, without folders, on any system."""
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
    """Whether a value is a path below a folder as far as this system is concerned; for what is only read.

    Songs are called what people call them, such as ``AC:DC/Who?.mp3``, which another system could not hold.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 4 * _MAX_PATH_BYTES or "\0" in name:
        return False
    path = Path(name)
    parts = _SEPARATORS.split(name)
    return (
        not path.anchor and not path.drive and ".." not in parts and bool(path.parts) and _encoded_size(name) < 1 << 16
    )


def bare_name(name: object, what: str) -> str:
    """Return a name that is a bare one.

    Parameters
    ----------
    name
        Anything that was read.
    what
        What it names, for the message: "an image in manifest.json".

    Raises
    ------
    RiffusionError
        It is something else.
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
        Where the user said.
    name
        Relative, with forward slashes.

    Raises
    ------
    RiffusionError
        The name leads elsewhere, or a folder on the way is a link.
    """
    if not is_below(name):
        raise RiffusionError(f"{shown(name)} is no name of a file below {folder}")
    assert isinstance(name, str)
    path = folder / name
    check_folders(folder, path.parent)
    return path


def check_folders(folder: Path, last: Path) -> None:
    """Raise a RiffusionError where a folder below `folder`, down to `last`, is a link: it may lead anywhere."""
    parts = last.relative_to(folder).parts
    for number in range(len(parts)):
        path = folder.joinpath(*parts[: number + 1])
        if is_link(path):
            raise RiffusionError(f"{path} is a link to another place; nothing is written or removed through it")


def is_link(path: Path) -> bool:
    """Whether a path is a symbolic link, or a junction of Windows."""
    try:
        state = path.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(state.st_mode) or getattr(state, "st_reparse_tag", 0) in _LINKS


def _encoded_size(name: str) -> int:
    """Bytes of a name; more than any may have where it has half surrogates that stand for no byte."""
    try:
        return len(os.fsencode(name) if os.name != "nt" else name.encode("utf-8"))
    except UnicodeEncodeError:
        return 1 << 16
