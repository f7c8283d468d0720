"""A folder is made to hold certain files, again and again, without touching what somebody else put there.

A ledger, one for each purpose, remembers what was written. It is brought up to date before the first file is written
and after the last is removed, so a program that is killed in between finds out next time which files are its own.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from riffusion_ext.errors import AudioError, RiffusionError
from riffusion_ext.files.atomic import write_atomically, write_failure
from riffusion_ext.files.regular import open_regular, read_regular
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import below, check_folders, is_below

__all__ = ["FOLDER", "LARGEST_CAPTION", "OutFile", "Synced", "is_edited", "load", "sync", "text_file"]

FOLDER = ".export"
"""Where the ledgers lie, within the folder that they are about."""

LARGEST_CAPTION = 1 << 20
"""Bytes of a text beside an image."""

_PENDING = "pending"
_BLOCK = 1 << 20
_LARGEST_LEDGER = 1 << 28


@dataclass(frozen=True)
class OutFile:
    """A file that is wanted.

    Attributes
    ----------
    name
        Relative to the folder, with forward slashes.
    recipe
        What it is made from; the same recipe gives the same bytes.
    write
        Puts it at a path, whole or not at all.
    data
        Its bytes, where they are known: then they are compared, and what somebody has changed stays.
    like
        A file that it must have the bytes of, or be another name of.
    adopted
        It may replace a file that somebody has changed: it was made from that.
    """

    name: str
    recipe: str
    write: Callable[[Path], object]
    data: bytes | None = None
    adopted: bool = False
    like: Path | None = None


def text_file(name: str, text: str, *, adopted: bool = False) -> OutFile:
    """Return a wanted file of text: UTF-8, no byte order mark, line ends as they are."""
    data = text.encode("utf-8")
    return OutFile(name, "", lambda path: write_atomically(path, lambda file: file.write(data)), data, adopted)


@dataclass
class Synced:
    """What became of the wanted files; lists of names."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Not ours, or changed since: left as they are, wanted or not."""
    failed: dict[str, str] = field(default_factory=dict)
    """Name -> why it could not be made."""


@dataclass(frozen=True)
class Entry:
    """What a ledger knows of a file: how it may look if it is still ours, and what it was made from."""

    looks: tuple[str, ...]
    recipe: str = ""


Ledger = Mapping[str, Entry]


def sync(
    folder: Path, purpose: str, wanted: Sequence[OutFile], *, progress: Callable[[float], None] | None = None
) -> Synced:
    """Make a folder hold the wanted files of one purpose, and no others that were written for it before.

    Parameters
    ----------
    folder
        The folder.
    purpose
        Name of the ledger.
    wanted
        In any order, each name once. None of them: what was written for this purpose goes.
    progress
        Called with the part done, 0 to 1. What it raises ends the work; the next run goes on.

    Raises
    ------
    RiffusionError
        A file cannot be written. A sound that cannot be read is no reason; it is among the failed.
    """
    before = load(folder, purpose)
    if not before and not wanted:
        return Synced()
    for file in wanted:
        below(folder, file.name)
    twice = [name for name, times in Counter(file.name for file in wanted).items() if times > 1]
    if twice:
        raise RiffusionError(f"two files would be called {twice[0]}")
    ahead = {**before, **{f.name: _reserved(folder / f.name, f, before.get(f.name)) for f in wanted}}
    _save(folder, purpose, ahead)
    done, after = Synced(), {}
    for number, file in enumerate(wanted):
        entry = _one(folder / file.name, file, before.get(file.name), ahead[file.name], done)
        if entry is not None:
            after[file.name] = entry
        if progress is not None:
            progress((number + 1) / len(wanted))
    stays = {file.name for file in wanted} - done.failed.keys()
    _remove(folder, {name: entry for name, entry in ahead.items() if name not in stays}, done)
    _save(folder, purpose, after)
    return done


def _reserved(path: Path, file: OutFile, before: Entry | None) -> Entry:
    """Return what the ledger says while the file may be in the making."""
    looks = before.looks if before else ()
    if file.adopted:
        return Entry(looks)
    if file.like is not None:
        return Entry(tuple(dict.fromkeys((*looks, _size(file.like)))) if before or not path.exists() else ())
    if file.data is not None:
        return Entry(tuple(dict.fromkeys((*looks, _digest(file.data)))))
    if before is not None and before.recipe == file.recipe:
        return before
    if not path.exists():  # one that is there next time was made from this recipe
        return Entry((_PENDING,), file.recipe)
    return Entry((*looks, _PENDING)) if before else Entry(())


def _one(path: Path, file: OutFile, before: Entry | None, ahead: Entry, done: Synced) -> Entry | None:
    """Write one file where it is not there yet; return its entry, None where it is not ours."""
    if path.is_file():
        if file.like is not None:
            same = _is_like(path, file.like)
        elif file.data is None:
            same = ahead.recipe == file.recipe and _is_ours(path, ahead)
        else:
            same = _content(path) == file.data
        if same:
            done.unchanged.append(file.name)
            return before if file.adopted else _entry(path, file)
        if not file.adopted and not _is_ours(path, before):
            done.kept.append(file.name)
            return before
    try:
        file.write(path)
    except AudioError as error:
        done.failed[file.name] = str(error)
        return None
    done.written.append(file.name)
    return before if file.adopted else _entry(path, file)


def _entry(path: Path, file: OutFile) -> Entry:
    return Entry((_size(path) if file.data is None else _digest(file.data),), file.recipe)


def is_edited(path: Path, entry: Entry | None) -> bool:
    """Whether somebody has changed a file since it was written."""
    return entry is not None and path.is_file() and not _is_ours(path, entry)


def _is_ours(path: Path, entry: Entry | None) -> bool:
    """Whether a file looks as the ledger says: texts are compared whole, others by their size."""
    looks = entry.looks if entry else ()
    if _PENDING in looks or _size(path) in looks:
        return True
    return any(look.startswith("sha256:") for look in looks) and _digest(_content(path) or b"") in looks


def _is_like(path: Path, other: Path) -> bool:
    """Whether two names mean one file, or files of the same bytes."""
    try:
        if path.samefile(other):
            return True
        with open_regular(path) as one, open_regular(other) as two:
            while block := one.read(_BLOCK):
                if block != two.read(_BLOCK):
                    return False
            return not two.read(1)
    except OSError:
        return False


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except OSError:
        return None


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()[:32]


def _size(path: Path) -> str:
    try:
        return f"size:{path.stat().st_size}"
    except OSError:  # it is gone by now
        return "gone"


def _remove(folder: Path, entries: Ledger, done: Synced) -> None:
    for name, entry in entries.items():
        try:
            path = below(folder, name)
        except RiffusionError:  # through a link: whatever lies there is not ours
            done.kept.append(name)
            continue
        if not path.is_file() and not path.is_symlink():
            continue
        if not _is_ours(path, entry):
            done.kept.append(name)
            continue
        try:
            path.unlink()
        except OSError as error:
            raise RiffusionError(write_failure(path, error)) from error
        done.removed.append(name)
        _remove_empty(path.parent, folder)


def _remove_empty(folder: Path, within: Path) -> None:
    """Remove folders that are empty now, the inner ones first; pictures/ is not ours to remove."""
    with suppress(OSError):
        while folder != within and folder != within / "pictures":
            folder.rmdir()
            folder = folder.parent


# --- on disk ---------------------------------------------------------------------------------------------------------


def load(folder: Path, purpose: str) -> dict[str, Entry]:
    """Read a ledger; {} where there is none, or none that can be used: then nothing in the folder is ours."""
    try:
        path = _path(folder, purpose)
        check_folders(folder, path.parent)
        files = loads(read_regular(path, _LARGEST_LEDGER))["files"]
        return {
            name: Entry(tuple(map(str, looks)), str(recipe))
            for name, (looks, recipe) in files.items()
            if is_below(name)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _save(folder: Path, purpose: str, ledger: Ledger) -> None:
    path = _path(folder, purpose)
    check_folders(folder, path.parent)
    if ledger:
        files = {name: [entry.looks, entry.recipe] for name, entry in sorted(ledger.items())}
        data = json.dumps({"version": 1, "files": files}, separators=(",", ":")).encode()
        if _content(path) != data:
            write_atomically(path, lambda file: file.write(data))
        return
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _path(folder: Path, purpose: str) -> Path:
    return folder / FOLDER / f"{purpose}.json"
