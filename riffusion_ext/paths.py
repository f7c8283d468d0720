"""Which files a list of names means, and where their results go.

Standard library only: the command line and the tab share it, and ``--help`` must not wait for it.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

__all__ = [
    "PICTURE_SUFFIXES",
    "SOUND_SUFFIXES",
    "NameGiver",
    "dated_path",
    "expand",
    "fits",
    "is_folder_name",
    "natural_key",
    "shorten_name",
    "without_folders",
]

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""What is taken from a folder as a picture. A file named outright is tried whatever its suffix."""

SOUND_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".aac", ".wma", ".mp4", ".webm"}
)
"""What is taken from a folder as sound."""

_LONGEST_NAME = 240
"""Bytes of a file name: systems allow 255, and a file being written needs a few more for its temporary name."""

_TITLE = 60
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


def _of_folder(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files of a folder with one of the suffixes; not hidden ones (macOS leaves ``._name.png`` beside its files)."""
    wanted = set(suffixes)
    files = [p for p in folder.iterdir() if p.suffix.lower() in wanted and not p.name.startswith(".") and p.is_file()]
    return sorted(files, key=lambda p: natural_key(p.name))


def _of_pattern(pattern: str, suffixes: Iterable[str]) -> list[Path]:
    found = [Path(name) for name in glob.glob(str(Path(pattern).expanduser()), recursive=True)]  # noqa: PTH207
    files: list[Path] = []
    for path in sorted(found, key=natural_key):
        files.extend(_of_folder(path, suffixes) if path.is_dir() else [path])
    return files


def _naturally(names: Sequence[str | Path]) -> list[str | Path]:
    """Names with each run of files among them in natural order."""

    def is_file(name: str | Path) -> bool:
        return os.path.isfile(os.path.expanduser(name))  # noqa: PTH111, PTH113 - false where the name is too long

    runs = ((named, list(run)) for named, run in groupby(names, key=is_file))
    return [name for named, run in runs for name in (sorted(run, key=natural_key) if named else run)]


def expand(
    names: Sequence[str | Path], suffixes: Iterable[str], *, sort_named: bool = False
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

    Returns
    -------
    files
        In the order of the names, in natural order within a folder or pattern, each once.
    missing
        Names that led to nothing, each with the reason.
    """
    files: dict[Path, None] = {}
    missing: list[tuple[Path, str]] = []
    for name in _naturally(names) if sort_named else names:
        path = Path(name).expanduser()
        try:
            if path.is_dir():
                found, why = _of_folder(path, suffixes), f"the folder holds no file of a known kind: {path}"
            elif path.exists():
                found, why = [path], ""
            else:
                patterns = [part.strip() for part in str(name).split(",") if part.strip()]
                found = [file for pattern in patterns for file in _of_pattern(pattern, suffixes)]
                kind = "pattern matches no file" if any(c in str(name) for c in "*?[") else "no such file or folder"
                why = f"{kind}: {name}"
        except OSError as error:
            found, why = [], f"{name} cannot be read: {error.strerror or error}"
        files.update(dict.fromkeys(found))
        if not found:
            missing.append((path, why))
    return list(files), missing


def fits(name: str, patterns: str) -> bool:
    """Whether a file name fits one of the patterns, as ``"*.jpg, *.png"``; case does not matter. All fit a blank."""
    wanted = [part.strip().casefold() for part in patterns.split(",") if part.strip()]
    return not wanted or any(fnmatch.fnmatchcase(name.casefold(), pattern) for pattern in wanted)


def is_folder_name(name: str) -> bool:
    """Whether an output name means a folder: it is one, ends with a slash, or has no suffix."""
    path = Path(name).expanduser()
    try:
        there = path.is_dir()
    except OSError:  # too long to look up; writing it will say so
        there = False
    return there or name.endswith(("/", "\\")) or not path.suffix


def shorten_name(stem: str, ending: str, *, longest: int = _LONGEST_NAME) -> str:
    """Return ``stem + ending``, the stem cut so that the whole fits into a file name."""
    room = max(longest - len(ending.encode("utf-8", "surrogateescape")), 1)
    kept = stem.encode("utf-8", "surrogateescape")[:room].decode("utf-8", "ignore") if len(stem) * 4 > room else stem
    return (kept or "clip") + ending


def dated_path(folder: Path, kind: str, title: str, ending: str) -> Path:
    """Return a path for a result: ``<folder>/songs/2024-05-17/16-04-09 funky sax.wav``."""
    now = datetime.now()
    words = re.sub(r"[^\w .,'()-]+", " ", title)[:_TITLE].strip(" .,-") or kind.removesuffix("s")
    name = f"{now:%H-%M-%S} {' '.join(words.split())}"
    return folder / kind / f"{now:%Y-%m-%d}" / shorten_name(name, ending)


class NameGiver:
    """Names for results, each once in a run: ``a.png`` and ``a.jpg`` must not both become ``a.wav``."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, folder: Path, source: Path, ending: str) -> Path:
        """Path in the folder named after the source; the second of the same stem tells its own suffix too."""
        stems = [source.stem, f"{source.stem}_{source.suffix.lstrip('.').lower()}"]
        stems += [f"{stems[-1]}-{number}" for number in range(2, 1000)]
        for stem in stems:
            path = folder / shorten_name(stem, ending)
            key = str(path).casefold()  # many file systems do not tell cases apart
            if key not in self._taken:
                self._taken.add(key)
                return path
        raise ValueError(f"more than {len(stems)} inputs are called {source.stem!r}")
