"""Expand names to files, and choose the paths of results.

Standard library only: the command line imports it, and ``--help`` must be fast.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

from riffusion_ext.files.kinds import IMAGE_SUFFIXES, SOUND_SUFFIXES, is_known, passed_over

__all__ = [
    "IMAGE_SUFFIXES",
    "SOUND_SUFFIXES",
    "dated_path",
    "expand",
    "folders_below",
    "is_folder_name",
    "matches_any",
    "natural_key",
    "shorten_name",
    "user_path",
    "without_folders",
]

_OnError = Callable[[OSError], object]

_MAX_NAME_BYTES = 240
"""Maximum size of a file name in bytes: systems allow 255, and temporary names need a few more."""

_MAX_TITLE = 60
"""Maximum length of a title in a file name, in characters."""

_FOLDERS = re.compile(r"""(?<![\w./\\])(?:[A-Za-z]:)?[\\/](?:[^\\/:*?"<>|\n]+[\\/])+""")


def without_folders(text: str) -> str:
    """Replace each absolute path in a text by its file name, as messages are sent to clients of the API."""
    return _FOLDERS.sub("", text)


def natural_key(path: str | Path) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that puts ``img2`` before ``img10``, ignoring case."""
    parts = re.split(r"([0-9]+)", str(path))
    return tuple(
        (0, len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() and part.isascii() else (1, 0, part.casefold())
        for part in parts
    )


def user_path(name: str | Path) -> Path:
    """Expand ``~``, ``~/x`` and ``~name`` in a path given by a user.

    If a file with that literal name exists, or there is no such user, the path is returned unchanged.
    """
    path = Path(name)
    first = path.parts[0] if path.parts else ""
    if first.startswith("~") and first != "~" and os.path.lexists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or one without a home
        return path


def folders_below(
    top: Path,
    *,
    enter: Callable[[Path, list[str]], bool] = lambda folder, names: True,
    on_error: _OnError | None = None,
) -> Iterator[tuple[Path, list[str]]]:
    """Walk a folder and its subfolders. Hidden folders are left out, links to folders are followed.

    Each folder is visited once: under its own name if it lies below `top`, else under that of one link. Links to `top`
    and to the folders above it are not followed.

    Parameters
    ----------
    top
        Folder to start from.
    enter
        Called with a folder and the names of its subfolders; returns whether to enter the folder.
    on_error
        Called with the error if a folder cannot be read.

    Yields
    ------
    folder, names
        A folder, and the names of its files.
    """
    home = Path(os.path.realpath(top))
    seen = {str(folder) for folder in home.parents}
    waiting = [str(top)]
    for start in waiting:  # it grows
        for name, folders, files in os.walk(start, onerror=on_error):
            real = os.path.realpath(name)
            if real in seen or not enter(Path(name), folders):
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            links = [path for path in (os.path.join(name, folder) for folder in folders) if os.path.islink(path)]  # noqa: PTH114, PTH118
            waiting += links
            yield Path(name), files


def _files_in(folder: Path, suffixes: Iterable[str], passed: list[Path] | None = None) -> list[Path]:
    """Return the files of a folder with one of the suffixes, except hidden ones (macOS creates ``._name.png``)."""
    wanted = frozenset(suffixes)
    visible = [p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file()]
    if passed is not None:
        passed += sorted(passed_over(visible, wanted), key=lambda p: natural_key(p.name))
    return sorted((p for p in visible if is_known(p, wanted)), key=lambda p: natural_key(p.name))


def _files_matching(pattern: str, suffixes: Iterable[str], passed: list[Path] | None = None) -> list[Path]:
    """Return the files that match a pattern. If there are none, its brackets are literal: ``"take [1]*.wav"``."""
    wanted = str(user_path(pattern))
    found = _glob(_escape_folder_brackets(wanted)) or _glob(wanted.replace("[", "[[]"))
    files: list[Path] = []
    for path in sorted(found, key=natural_key):
        files.extend(_files_in(path, suffixes, passed) if path.is_dir() else [path])
    return files


def _escape_folder_brackets(pattern: str) -> str:
    """Escape brackets in the leading parts of a pattern that are literal names of folders."""
    path, folder = Path(pattern), Path()
    parts = []
    for number, part in enumerate(path.parts):
        folder = folder / part
        if "[" not in part or not folder.is_dir() or number == len(path.parts) - 1:
            parts.append(part)
        else:
            parts.append(glob.escape(part))
    return str(Path(*parts)) if parts else pattern


def _glob(pattern: str) -> list[Path]:
    """Return the paths that match a pattern. ``**`` enters each folder once, whatever links lead to it."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return [Path(name) for name in glob.glob(pattern)]  # noqa: PTH207
    position = parts.index("**")
    rest = Path(*parts[position + 1 :]) if position + 1 < len(parts) else None
    tops = _glob(str(Path(*parts[:position]))) if position else [Path()]
    found: dict[Path, None] = {}
    for top in tops:
        for folder, names in folders_below(top):
            if rest is None:
                found.update(dict.fromkeys(folder / name for name in names if not name.startswith(".")))
            else:
                found.update(dict.fromkeys(_glob(str(Path(glob.escape(str(folder))) / rest))))
    return list(found)


def _sort_named(names: Sequence[str | Path]) -> list[str | Path]:
    """Sort each run of file names in natural order; other names keep their place."""

    def is_file(name: str | Path) -> bool:
        return os.path.isfile(user_path(name))  # noqa: PTH113 - false if the name is too long

    runs = ((named, list(run)) for named, run in groupby(names, key=is_file))
    return [name for named, run in runs for name in (sorted(run, key=natural_key) if named else run)]


def expand(
    names: Sequence[str | Path],
    suffixes: Iterable[str],
    *,
    sort_named: bool = False,
    passed: list[Path] | None = None,
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Expand files, folders and patterns to files.

    Parameters
    ----------
    names
        Each is a file, a folder (its files with one of the suffixes, not those of its subfolders) or a pattern such as
        ``"*.png"``, ``"songs/**/*.wav"`` or ``"*.jpg, *.png"``. An existing file of that literal name
        takes precedence over the pattern.
    suffixes
        Lower-case suffixes with their dot.
    sort_named
        Whether to sort consecutive file names in natural order too. A shell expands ``tiles/*.png`` to
        ``tile_10.png`` before ``tile_2.png``. Folders and patterns between them keep their place.
    passed
        List to which the skipped files of folders are added; see :func:`passed_over`.

    Returns
    -------
    files
        Each file once, in the order of the names, and in natural order within a folder or pattern.
    missing
        Names without a file, each with the reason.
    """
    wanted = frozenset(suffixes)
    files: dict[Path, None] = {}
    missing: list[tuple[Path, str]] = []
    passed_files: list[Path] = []
    for name in _sort_named(names) if sort_named else names:
        if not str(name):  # an unset variable of a shell, not the present folder
            missing.append((Path(name), "an empty name names no file"))
            continue
        try:
            path = user_path(name)
            if path.is_dir():
                found, reason = (
                    _files_in(path, wanted, passed_files),
                    f"the folder holds no file of a known kind: {path}",
                )
            elif path.exists():
                found, reason = [path], ""
            else:
                found = _files_matching_any(str(name), wanted, passed_files)
                kind = "pattern matches no file" if any(c in str(name) for c in "*?[") else "no such file or folder"
                reason = f"{kind}: {name}"
        except OSError as error:
            path = Path(name)
            found, reason = [], f"{name} cannot be read: {error.strerror or error}"
        files.update(dict.fromkeys(found))
        if not found:
            missing.append((path, reason))
    if passed is not None:
        passed += [path for path in dict.fromkeys(passed_files) if path not in files]
    return list(files), missing


def _files_matching_any(text: str, suffixes: Iterable[str], passed: list[Path]) -> list[Path]:
    """Return the files that match a pattern, or one of several separated by commas. Names may contain commas too."""
    whole = _files_matching(text, suffixes, passed)
    if whole or "," not in text:
        return whole
    patterns = [part.strip() for part in text.split(",") if part.strip()]
    return [file for pattern in patterns for file in _files_matching(pattern, suffixes, passed)]


def matches_any(name: str, patterns: str) -> bool:
    """Whether a file name matches one of the patterns, such as ``"*.jpg, *.png"``, in any case. None matches all."""
    wanted = [part.strip().casefold() for part in patterns.split(",") if part.strip()]
    literal = [pattern.replace("[", "[[]") for pattern in wanted if "[" in pattern]
    return not wanted or any(fnmatch.fnmatchcase(name.casefold(), pattern) for pattern in (*wanted, *literal))


def is_folder_name(name: str) -> bool:
    """Whether an output name is that of a folder: the folder exists, or the name ends with a slash or has no suffix."""
    path = user_path(name)
    try:
        exists = path.is_dir()
    except OSError:  # too long to look up; writing will report it
        exists = False
    return exists or name.endswith(("/", "\\")) or not path.suffix


def shorten_name(stem: str, ending: str, *, max_bytes: int = _MAX_NAME_BYTES) -> str:
    """Return ``stem + ending``, with the stem shortened to fit into a file name."""
    limit = max(max_bytes - len(ending.encode("utf-8", "surrogateescape")), 1)
    shortened = (
        stem.encode("utf-8", "surrogateescape")[:limit].decode("utf-8", "ignore") if len(stem) * 4 > limit else stem
    )
    return (shortened or "clip") + ending


def dated_path(folder: Path, kind: str, title: str, ending: str) -> Path:
    """Return a path for a result: ``<folder>/songs/2024-05-17/16-04-09 funky sax.wav``."""
    now = datetime.now()
    words = re.sub(r"[^\w .,'()-]+", " ", title)[:_MAX_TITLE].strip(" .,-") or kind.removesuffix("s")
    name = f"{now:%H-%M-%S} {' '.join(words.split())}"
    return folder / kind / f"{now:%Y-%m-%d}" / shorten_name(name, ending)
