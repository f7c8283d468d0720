"""Synchronize a folder with a list of files, without touching files of anybody else.

A ledger for each purpose records what was written. It is updated before the first file is written and after the last
is removed, so that after a crash the next run still knows which files are its own.
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

__all__ = ["FOLDER", "MAX_CAPTION_BYTES", "OutFile", "SyncResult", "is_edited", "load", "sync", "text_file"]

FOLDER = ".export"
"""Folder of the ledgers, within the folder that they describe."""

MAX_CAPTION_BYTES = 1 << 20
"""Maximum size of a caption file."""

_PENDING = "pending"
_BLOCK = 1 << 20
_MAX_LEDGER_BYTES = 1 << 28


@dataclass(frozen=True)
class OutFile:
    """A file that the folder should hold.

    Attributes
    ----------
    name
        Path relative to the folder, with forward slashes.
    recipe
        Description of what the file is made from; the same recipe gives the same bytes.
    write
        Function that writes the file to a path, atomically.
    data
        Content, if it is known. It is then compared with the file, and an edited file is kept.
    same_as
        File that this one must equal or be a hard link to.
    from_edited
        Whether it may replace an edited file, because it was made from that edit.
    """

    name: str
    recipe: str
    write: Callable[[Path], object]
    data: bytes | None = None
    from_edited: bool = False
    same_as: Path | None = None


def text_file(name: str, text: str, *, from_edited: bool = False) -> OutFile:
    """Return a text file: UTF-8 without byte order mark, line ends unchanged."""
    data = text.encode("utf-8")
    return OutFile(name, "", lambda path: write_atomically(path, lambda file: file.write(data)), data, from_edited)


@dataclass
class SyncResult:
    """Names of files by what was done with them."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Files of somebody else, or edited since: left as they are, whether wanted or not."""
    failed: dict[str, str] = field(default_factory=dict)
    """Error message by name, for files that could not be written."""


@dataclass(frozen=True)
class Entry:
    """Ledger entry of a file: signatures (digest or size) by which it is still ours, and its recipe."""

    signatures: tuple[str, ...]
    recipe: str = ""


Ledger = Mapping[str, Entry]


def sync(
    folder: Path, purpose: str, wanted: Sequence[OutFile], *, progress: Callable[[float], None] | None = None
) -> SyncResult:
    """Write the wanted files of one purpose, and remove the others that were written for it before.

    Parameters
    ----------
    folder
        The folder.
    purpose
        Name of the ledger.
    wanted
        Files in any order, each name once. An empty sequence removes all files of this purpose.
    progress
        Called with the fraction done, 0 to 1; may raise to end the work, which the next run resumes.

    Raises
    ------
    RiffusionError
        A file cannot be written. Audio that cannot be read does not raise; it is listed in :attr:`SyncResult.failed`.
    """
    before = load(folder, purpose)
    if not before and not wanted:
        return SyncResult()
    for file in wanted:
        below(folder, file.name)
    duplicates = [name for name, times in Counter(file.name for file in wanted).items() if times > 1]
    if duplicates:
        raise RiffusionError(f"two files would be called {duplicates[0]}")
    reserved = {**before, **{f.name: _reserve(folder / f.name, f, before.get(f.name)) for f in wanted}}
    _save(folder, purpose, reserved)
    result, after = SyncResult(), {}
    for number, file in enumerate(wanted):
        entry = _write_one(folder / file.name, file, before.get(file.name), reserved[file.name], result)
        if entry is not None:
            after[file.name] = entry
        if progress is not None:
            progress((number + 1) / len(wanted))
    current = {file.name for file in wanted} - result.failed.keys()
    _remove(folder, {name: entry for name, entry in reserved.items() if name not in current}, result)
    _save(folder, purpose, after)
    return result


def _reserve(path: Path, file: OutFile, before: Entry | None) -> Entry:
    """Return the ledger entry for the time in which the file may be half written."""
    signatures = before.signatures if before else ()
    if file.from_edited:
        return Entry(signatures)
    if file.same_as is not None:
        return Entry(tuple(dict.fromkeys((*signatures, _size(file.same_as)))) if before or not path.exists() else ())
    if file.data is not None:
        return Entry(tuple(dict.fromkeys((*signatures, _digest(file.data)))))
    if before is not None and before.recipe == file.recipe:
        return before
    if not path.exists():  # if it exists next time, it was made from this recipe
        return Entry((_PENDING,), file.recipe)
    return Entry((*signatures, _PENDING)) if before else Entry(())


def _write_one(path: Path, file: OutFile, before: Entry | None, reserved: Entry, result: SyncResult) -> Entry | None:
    """Write a file unless it is up to date; return its ledger entry, None if the file is not ours."""
    if path.is_file():
        if file.same_as is not None:
            same = _has_same_bytes(path, file.same_as)
        elif file.data is None:
            same = reserved.recipe == file.recipe and _is_ours(path, reserved)
        else:
            same = _content(path) == file.data
        if same:
            result.unchanged.append(file.name)
            return before if file.from_edited else _entry(path, file)
        if not file.from_edited and not _is_ours(path, before):
            result.kept.append(file.name)
            return before
    try:
        file.write(path)
    except AudioError as error:
        result.failed[file.name] = str(error)
        return None
    result.written.append(file.name)
    return before if file.from_edited else _entry(path, file)


def _entry(path: Path, file: OutFile) -> Entry:
    return Entry((_size(path) if file.data is None else _digest(file.data),), file.recipe)


def is_edited(path: Path, entry: Entry | None) -> bool:
    """Whether a file was edited since it was written."""
    return entry is not None and path.is_file() and not _is_ours(path, entry)


def _is_ours(path: Path, entry: Entry | None) -> bool:
    """Whether a file matches its ledger entry: texts by their digest, others by their size."""
    signatures = entry.signatures if entry else ()
    if _PENDING in signatures or _size(path) in signatures:
        return True
    return (
        any(signature.startswith("sha256:") for signature in signatures)
        and _digest(_content(path) or b"") in signatures
    )


def _has_same_bytes(path: Path, other: Path) -> bool:
    """Whether two paths are the same file, or files with the same bytes."""
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
    except OSError:  # removed meanwhile
        return "gone"


def _remove(folder: Path, entries: Ledger, result: SyncResult) -> None:
    for name, entry in entries.items():
        try:
            path = below(folder, name)
        except RiffusionError:  # below a link: not our file
            result.kept.append(name)
            continue
        if not path.is_file() and not path.is_symlink():
            continue
        if not _is_ours(path, entry):
            result.kept.append(name)
            continue
        try:
            path.unlink()
        except OSError as error:
            raise RiffusionError(write_failure(path, error)) from error
        result.removed.append(name)
        _remove_empty(path.parent, folder)


def _remove_empty(folder: Path, within: Path) -> None:
    """Remove empty folders, innermost first, but not pictures/."""
    with suppress(OSError):
        while folder != within and folder != within / "pictures":
            folder.rmdir()
            folder = folder.parent


# --- on disk ---------------------------------------------------------------------------------------------------------


def load(folder: Path, purpose: str) -> dict[str, Entry]:
    """Load a ledger; {} if it is missing or unusable, so that no file counts as ours."""
    try:
        path = _path(folder, purpose)
        check_folders(folder, path.parent)
        files = loads(read_regular(path, _MAX_LEDGER_BYTES))["files"]
        return {
            name: Entry(tuple(map(str, signatures)), str(recipe))
            for name, (signatures, recipe) in files.items()
            if is_below(name)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _save(folder: Path, purpose: str, ledger: Ledger) -> None:
    path = _path(folder, purpose)
    check_folders(folder, path.parent)
    if ledger:
        files = {name: [entry.signatures, entry.recipe] for name, entry in sorted(ledger.items())}
        data = json.dumps({"version": 1, "files": files}, separators=(",", ":")).encode()
        if _content(path) != data:
            write_atomically(path, lambda file: file.write(data))
        return
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _path(folder: Path, purpose: str) -> Path:
    return folder / FOLDER / f"{purpose}.json"
