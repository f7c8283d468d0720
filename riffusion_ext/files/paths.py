"""Which files a list of names means, and where their results go.

Standard library only: the command line and the tab share it, and ``--help`` must not wait for it.
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
"""Bytes of a file name: systems allow 255, and a file being written needs a few more for its temporary name."""

_MAX_TITLE = 60
"""Characters of a title in a file name."""

_FOLDERS = re.compile(r"""(?<![\w./\\])(?:[A-Za-z]:)?[\\/](?:[^\\/:*?"<>|\n]+[\\/])+""")


def without_folders(text: str) -> str:
    """Return the text with each absolute path cut down to its file name: messages travel to any client of the API."""
    return _FOLDERS.sub("", text)


def natural_key(path: str | Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``img2`` before ``img10``, ignoring case."""
    parts = re.split(r"([0-9]+)", str(path))
    return tuple(
        (0, len(part.lstrip("0")), part.lstrip("0")) if part.isdecimal() and part.isascii() else (1, 0, part.casefold())
        for part in parts
    )


def user_path(name: str | Path) -> Path:
    """Return the path that a user wrote: ``~`` and ``~/x`` lie in the home folder, ``~name`` in that user's.

    A file whose own name begins with ``~`` is that file, and where there is no such user the name stands for itself.
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
    """Walk a folder and those below it, hidden ones left out, links to folders followed.

    Each folder comes once: by its own name where it lies below `top`, else by that of one link. Links to `top` and to
    the folders above it are not followed.

    Parameters
    ----------
    top
        Where to begin.
    enter
        Told a folder and the names of the folders in it; whether to look into it at all.
    on_error
        Told the error about a folder that cannot be read.

    Yields
    ------
    folder, names
        A folder, and the names of the files in it.
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
    """Files of a folder with one of the suffixes; not hidden ones (macOS leaves ``._name.png`` beside its files)."""
    wanted = frozenset(suffixes)
    visible = [p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file()]
    if passed is not None:
        passed += sorted(passed_over(visible, wanted), key=lambda p: natural_key(p.name))
    return sorted((p for p in visible if is_known(p, wanted)), key=lambda p: natural_key(p.name))


def _files_matching(pattern: str, suffixes: Iterable[str], passed: list[Path] | None = None) -> list[Path]:
    """Files that a pattern means. Where it means none, its brackets mean themselves: ``"take [1]*.wav"``."""
    wanted = str(user_path(pattern))
    found = _glob(_escape_folder_brackets(wanted)) or _glob(wanted.replace("[", "[[]"))
    files: list[Path] = []
    for path in sorted(found, key=natural_key):
        files.extend(_files_in(path, suffixes, passed) if path.is_dir() else [path])
    return files


def _escape_folder_brackets(pattern: str) -> str:
    """Escape the brackets in those parts at the start of a pattern that name a folder as they stand."""
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
    """Paths that fit a pattern; ``**`` follows each folder once, whatever links lead to it."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return [Path(name) for name in glob.glob(pattern)]  # noqa: PTH207
    place = parts.index("**")
    rest = Path(*parts[place + 1 :]) if place + 1 < len(parts) else None
    tops = _glob(str(Path(*parts[:place]))) if place else [Path()]
    found: dict[Path, None] = {}
    for top in tops:
        for folder, names in folders_below(top):
            if rest is None:
                found.update(dict.fromkeys(folder / name for name in names if not name.startswith(".")))
            else:
                found.update(dict.fromkeys(_glob(str(Path(glob.escape(str(folder))) / rest))))
    return list(found)


def _sort_named(names: Sequence[str | Path]) -> list[str | Path]:
    """Names with each run of files among them in natural order."""

    def is_file(name: str | Path) -> bool:
        return os.path.isfile(user_path(name))  # noqa: PTH113 - false where the name is too long

    runs = ((named, list(run)) for named, run in groupby(names, key=is_file))
    return [name for named, run in runs for name in (sorted(run, key=natural_key) if named else run)]


def expand(
    names: Sequence[str | Path],
    suffixes: Iterable[str],
    *,
    sort_named: bool = False,
    passed: list[Path] | None = None,
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Turn files, folders and patterns into files.

    Parameters
    ----------
    names
        Each is a file, a folder (its files with one of the suffixes, not those of its subfolders) or a pattern such as
        ``"*.png"``, ``"songs/**/*.wav"`` or ``"*.jpg, *.png"``. A file that really exists under the name wins over the
        pattern its name could be read as.
    suffixes
        Lower-case suffixes with their dot.
    sort_named
        Put files that are named one after the other into natural order too. A shell that replaces ``tiles/*.png``
        hands over ``tile_10.png`` before ``tile_2.png``; folders and patterns between them keep their place.
    passed
        Gets the files of folders that were passed over, as of :func:`passed_over`.

    Returns
    -------
    files
        In the order of the names, in natural order within a folder or pattern, each once.
    missing
        Names that led to nothing, each with the reason.
    """
    wanted = frozenset(suffixes)
    files: dict[Path, None] = {}
    missing: list[tuple[Path, str]] = []
    over: list[Path] = []
    for name in _sort_named(names) if sort_named else names:
        if not str(name):  # an unset variable of a shell, not the present folder
            missing.append((Path(name), "an empty name names no file"))
            continue
        try:
            path = user_path(name)
            if path.is_dir():
                found, reason = _files_in(path, wanted, over), f"the folder holds no file of a known kind: {path}"
            elif path.exists():
                found, reason = [path], ""
            else:
                found = _files_matching_any(str(name), wanted, over)
                kind = "pattern matches no file" if any(c in str(name) for c in "*?[") else "no such file or folder"
                reason = f"{kind}: {name}"
        except OSError as error:
            path = Path(name)
            found, reason = [], f"{name} cannot be read: {error.strerror or error}"
        files.update(dict.fromkeys(found))
        if not found:
            missing.append((path, reason))
    if passed is not None:
        passed += [path for path in dict.fromkeys(over) if path not in files]
    return list(files), missing


def _files_matching_any(text: str, suffixes: Iterable[str], passed: list[Path]) -> list[Path]:
    """Files of a pattern, or of several with commas between; a comma may belong to a name, too."""
    whole = _files_matching(text, suffixes, passed)
    if whole or "," not in text:
        return whole
    patterns = [part.strip() for part in text.split(",") if part.strip()]
    return [file for pattern in patterns for file in _files_matching(pattern, suffixes, passed)]


def matches_any(name: str, patterns: str) -> bool:
    """Whether a file name fits one of the patterns, as ``"*.jpg, *.png"``; case does not matter. All fit a blank."""
    wanted = [part.strip().casefold() for part in patterns.split(",") if part.strip()]
    literal = [pattern.replace("[", "[[]") for pattern in wanted if "[" in pattern]
    return not wanted or any(fnmatch.fnmatchcase(name.casefold(), pattern) for pattern in (*wanted, *literal))


def is_folder_name(name: str) -> bool:
    """Whether an output name means a folder: it is one, ends with a slash, or has no suffix."""
    path = user_path(name)
    try:
        exists = path.is_dir()
    except OSError:  # too long to look up; writing it will say so
        exists = False
    return exists or name.endswith(("/", "\\")) or not path.suffix


def shorten_name(stem: str, ending: str, *, max_bytes: int = _MAX_NAME_BYTES) -> str:
    """Return ``stem + ending``, the stem cut so that the whole fits into a file name."""
    room = max(max_bytes - len(ending.encode("utf-8", "surrogateescape")), 1)
    kept = stem.encode("utf-8", "surrogateescape")[:room].decode("utf-8", "ignore") if len(stem) * 4 > room else stem
    return (kept or "clip") + ending


def dated_path(folder: Path, kind: str, title: str, ending: str) -> Path:
    """Return a path for a result: ``<folder>/songs/2024-05-17/16-04-09 funky sax.wav``."""
    now = datetime.now()
    words = re.sub(r"[^\w .,'()-]+", " ", title)[:_MAX_TITLE].strip(" .,-") or kind.removesuffix("s")
    name = f"{now:%H-%M-%S} {' '.join(words.split())}"
    return folder / kind / f"{now:%Y-%m-%d}" / shorten_name(name, ending)
