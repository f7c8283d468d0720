"""Find the songs of a collection."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from riffusion_ext.files.kinds import SOUND_SUFFIXES, is_known, passed_over
from riffusion_ext.files.paths import folders_below, natural_key
from riffusion_ext.files.regular import open_regular

__all__ = ["WORK_FOLDER", "Song", "find_songs"]

WORK_FOLDER = ".riffusion"
"""Folder with the internal files of a training set; its presence marks one."""


@dataclass(frozen=True)
class Song:
    """A sound file of a collection.

    Attributes
    ----------
    path
        The file.
    name
        Path below the collection, with forward slashes: the identifier on any system. For a stem, the song's name
        and the stem's.
    whole
        File of the song that a stem was separated from; None for a whole song.
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
    collection: Path, *, leave_out: Path | None = None, skipped: list[Path] | None = None
) -> tuple[list[Song], list[tuple[Path, str]]]:
    """Find the sound files in a folder and the folders below it.

    Links to folders are followed; each folder is visited once, whatever links lead to it.

    Parameters
    ----------
    collection
        The folder, or a single sound file.
    leave_out
        Folder to skip: the training set, if it lies inside the collection. Other training sets are recognised by their
        work folder and skipped, too.
    skipped
        Receives the files that were skipped, as from :func:`~riffusion_ext.files.kinds.passed_over`.

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

    def on_error(error: OSError) -> None:
        missing.append((Path(error.filename or collection), f"the folder cannot be read: {error.strerror}"))

    def should_enter(folder: Path, names: list[str]) -> bool:
        if folder != collection and WORK_FOLDER in names:  # another training set, whose audio chunks are not songs
            return False
        return outside is None or folder == collection or folder.resolve() != outside

    for folder, names in folders_below(collection, enter=should_enter, on_error=on_error):
        paths = [folder / name for name in names if not name.startswith(".")]
        found += [
            Song(path, path.relative_to(collection).as_posix()) for path in paths if is_known(path, SOUND_SUFFIXES)
        ]
        if skipped is not None:
            skipped += passed_over(sorted(paths, key=natural_key), SOUND_SUFFIXES)
    return sorted(found, key=lambda song: (natural_key(song.name), song.name)), missing
