"""Which files are songs."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from riffusion_ext.paths import SOUND_SUFFIXES, natural_key
from riffusion_ext.regular import open_regular

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


def find_songs(collection: Path, *, leave_out: Path | None = None) -> tuple[list[Song], list[tuple[Path, str]]]:
    """Find the sound files of a folder and the folders below it.

    Parameters
    ----------
    collection
        The folder, or a single sound file.
    leave_out
        A folder whose files are not songs: the training set, where it lies inside the collection. Other training sets
        in it are known by their workings and left out too.

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

    for top, folders, files in os.walk(collection, onerror=complain):
        folder = Path(top)
        if folder != collection and WORKINGS in folders:  # another training set: its chunks of sound are no songs
            folders.clear()
            continue
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (outside is None or (folder / name).resolve() != outside)
        ]
        for name in files:
            path = folder / name
            if path.suffix.lower() in SOUND_SUFFIXES and not name.startswith("."):
                found.append(Song(path, path.relative_to(collection).as_posix()))
    return sorted(found, key=lambda song: (natural_key(song.name), song.name)), missing
