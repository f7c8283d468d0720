"""Which files are songs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from riffusion_ext.files.kinds import SOUND_SUFFIXES, is_known, passed_over
from riffusion_ext.files.paths import folders_below, natural_key
from riffusion_ext.files.regular import open_regular

__all__ = ["WORKINGS", "Song", "find_songs"]

WORKINGS = ".riffusion"
"""The folder that makes a folder a training set."""


@dataclass(frozen=True)
class Song:
    """A sound file of a collection.

    Attributes
    ----------
    path
        The file.
    name
        Path below the collection, with slashes: what tells it from the others on any system. A stem's ends in its own.
    whole
        The song that a stem is a part of.
    """

    path: Path
    name: str
    whole: Path | None = None

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes, as 64 hexadecimal digits."""
        sha = hashlib.sha256()
        with open_regular(self.path) as file:
            while block := file.read(1 << 20):
                sha.update(block)
        return sha.hexdigest()


def find_songs(
    collection: Path, *, leave_out: Path | None = None, passed: list[Path] | None = None
) -> tuple[list[Song], list[tuple[Path, str]]]:
    """Find the sound files of a folder and the folders below it.

    Links to folders are followed; each folder is looked into once, whatever links lead to it.

    Parameters
    ----------
    collection
        The folder, or a single sound file.
    leave_out
        A folder whose files are not songs: the training set, where it lies inside the collection. Other training sets
        in it are known by their workings and left out too.
    passed
        Gets the files that were passed over, as of :func:`~riffusion_ext.files.kinds.passed_over`.

    Returns
    -------
    songs
        In natural order.
    missing
        Folders that cannot be read, each with the reason.
    """
    if collection.is_file():
        return [Song(collection, collection.name)], []
    missing: list[tuple[Path, str]] = []
    outside = leave_out.resolve() if leave_out is not None else None
    found: list[Song] = []

    def complain(error: OSError) -> None:
        missing.append((Path(error.filename or collection), f"the folder cannot be read: {error.strerror}"))

    def is_wanted(folder: Path, names: list[str]) -> bool:
        if folder != collection and WORKINGS in names:  # another training set: its chunks of sound are no songs
            return False
        return outside is None or folder == collection or folder.resolve() != outside

    for folder, names in folders_below(collection, enter=is_wanted, on_error=complain):
        there = [folder / name for name in names if not name.startswith(".")]
        found += [
            Song(path, path.relative_to(collection).as_posix()) for path in there if is_known(path, SOUND_SUFFIXES)
        ]
        if passed is not None:
            passed += passed_over(sorted(there, key=natural_key), SOUND_SUFFIXES)
    return sorted(found, key=lambda song: (natural_key(song.name), song.name)), missing
