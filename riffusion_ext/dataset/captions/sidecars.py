"""Sidecar files with captions and metadata of songs: a text or JSON file per song, or a table per folder.

Standard library only. Nothing here raises: a file that cannot be used is skipped, and described in a note.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar
from unicodedata import normalize

from riffusion_ext.dataset.captions.fields import as_text, extract_fields, select_fields
from riffusion_ext.dataset.captions.text import decode, one_line
from riffusion_ext.files.regular import check_regular, read_regular
from riffusion_ext.validation.json_text import loads

__all__ = ["TABLE_NAMES", "read_sidecars", "read_tables", "unmatched_rows"]

TABLE_NAMES = ("captions.csv", "captions.tsv", "captions.json", "captions.jsonl")
"""File names of tables for a whole folder, in order of precedence."""

_MAX_SHOWN = 5
_MAX_SIDECAR_BYTES = 1 << 20
_MAX_TABLE_BYTES = 1 << 26
_FILE_COLUMNS = ("file", "file name", "filename", "file path", "filepath", "path", "audio", "song", "track", "name")
_DELIMITERS = ",;\t|"

Found = tuple[dict[str, str], tuple[str, ...]]
"""Fields, and notes about skipped files."""

_T = TypeVar("_T")


def read_sidecars(song: Path) -> Found:
    """Read ``song.json`` and ``song.txt`` (or ``song.mp3.json``, ``song.mp3.txt``); JSON takes precedence.

    A text file holds a caption, or lines such as ``Genre: folk``, or both.
    """
    fields: dict[str, str] = {}
    notes: list[str] = []
    for suffix, parse in ((".json", _parse_json_sidecar), (".txt", _parse_text_sidecar)):
        for path in (song.with_suffix(suffix), song.with_name(song.name + suffix)):
            found, more = _read(path, parse, _MAX_SIDECAR_BYTES)
            notes += more
            fields = {**(found or {}), **fields}
    return fields, tuple(notes)


def read_tables(song: Path, root: Path | None = None) -> Found:
    """Read a song's rows from the tables in its folder and in the folders above, up to ``root``.

    A table names files relative to its own folder, with or without suffix, in any case. The nearest table takes
    precedence.
    """
    fields: dict[str, str] = {}
    notes: list[str] = []
    for folder in _folders(song, root):
        for name in TABLE_NAMES:
            table, more = _table(folder / name)
            notes += more
            relative = PurePosixPath(song.relative_to(folder).as_posix())
            rows = (table.get(_as_key(key)) for key in (str(relative), str(relative.with_suffix(""))))
            row = next((row for row in rows if row is not None), {})
            fields = {**row, **fields}
    return fields, tuple(notes)


def unmatched_rows(songs: Collection[Path], root: Path | None = None) -> tuple[str, ...]:
    """Return notes about table rows that match no song, with the folder of each table.

    Parameters
    ----------
    songs
        All songs of the collection.
    root
        As for :func:`read_tables`.
    """
    below: dict[Path, set[str]] = {}
    for song in songs:
        for folder in _folders(song, root):
            relative = PurePosixPath(song.relative_to(folder).as_posix())
            below.setdefault(folder, set()).update((_as_key(str(relative)), _as_key(str(relative.with_suffix("")))))
    notes = []
    for folder, names in sorted(below.items()):
        for name in TABLE_NAMES:
            rows = [key for key in _table(folder / name)[0] if key not in names]
            if rows:
                shown = ", ".join(rows[:_MAX_SHOWN]) + (", ..." if len(rows) > _MAX_SHOWN else "")
                match_text = f"{len(rows)} rows match" if len(rows) > 1 else "1 row matches"
                notes.append(f"{name} in {folder}: {match_text} no song: {shown}")
    return tuple(notes)


def _folders(song: Path, root: Path | None) -> Iterator[Path]:
    yield song.parent
    if root is not None and root != song.parent and song.parent.is_relative_to(root):
        yield from _folders(song.parent, root)


def _read(path: Path, parse: Callable[[str], _T], max_bytes: int) -> tuple[_T | None, tuple[str, ...]]:
    """Parse a text file; (None, ()) if there is none, (None, (reason,)) if it cannot be used."""
    try:
        size = check_regular(path).st_size
        if size > max_bytes:
            return None, (f"{path.name} was passed over: it has {size} bytes, more than {max_bytes}",)
        text, note = decode(read_regular(path, max_bytes))
        parsed = parse(text)
    except (FileNotFoundError, NotADirectoryError):
        return None, ()
    except OSError as error:
        return None, (f"{path.name} was passed over: {error.strerror or error}",)
    except (ValueError, csv.Error) as error:
        return None, (f"{path.name} was passed over: {one_line(str(error))}",)
    return parsed, (f"{path.name}: {note}",) if note else ()


# --- one song --------------------------------------------------------------------------------------------------------


def _parse_text_sidecar(text: str) -> dict[str, str]:
    lines = [line for line in map(one_line, text.splitlines()) if line]
    named: dict[str, str] = {}
    free: list[str] = []
    for line in lines:
        name, colon, value = line.partition(":")
        field = extract_fields({name: value}) if colon else {}
        named.update({name: value for name, value in field.items() if name not in named})
        if not field and not (colon and select_fields({name: value})):
            free.append(line)
    if free:
        named.setdefault("song_caption", _as_sentence(free))
    return named


def _as_sentence(lines: Iterable[str]) -> str:
    """Join lines with a space after punctuation, and with a comma otherwise, as for a list of tags."""
    joined = ""
    for line in lines:
        joined += ("" if not joined else " " if joined[-1] in ".,;:!?" else ", ") + line
    return joined


def _parse_json_sidecar(text: str) -> dict[str, str]:
    return _entry(loads(text))


def _entry(value: object) -> dict[str, str]:
    """Return the fields of one song from JSON: an object, a caption, or a list of tags."""
    if not isinstance(value, dict):
        return extract_fields({"caption": value})
    # Some programs, such as ffprobe, put the tags into an object of their own.
    inner = [_entry(value[name]) for name in ("format", "metadata", "tags") if isinstance(value.get(name), dict)]
    fields = extract_fields(value)
    for more in inner:
        fields = {**more, **fields}
    return fields


# --- a folder --------------------------------------------------------------------------------------------------------

Table = Mapping[str, Mapping[str, str]]


def _as_key(name: str) -> str:
    """Normalize a file name for table lookup: macOS decomposes accents, Windows has backslashes and drives."""
    name = normalize("NFC", name).strip()
    if "\\" in name or re.match("[A-Za-z]:", name):
        name = PureWindowsPath(name).as_posix()
    path = PurePosixPath(name)
    absolute = path.is_absolute() or re.match("[A-Za-z]:", name)
    return (path.name if absolute else str(path)).casefold()


def _table(path: Path) -> tuple[Table, tuple[str, ...]]:
    try:
        state = path.stat()
    except OSError:
        return {}, ()
    return _cached_table(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _cached_table(path: Path, changed: int, size: int) -> tuple[Table, tuple[str, ...]]:
    parse = _parse_csv if path.suffix in (".csv", ".tsv") else _parse_json_table
    table, notes = _read(path, parse, _MAX_TABLE_BYTES)
    return table or {}, notes


def _parse_csv(text: str) -> Table:
    first, _, rest = text.partition("\n")
    declared = re.fullmatch(r"sep=(.)", first.strip())  # Excel's way to declare the delimiter
    if declared:
        first, text = rest.partition("\n")[0], rest
    delimiter = declared.group(1) if declared else max(_DELIMITERS, key=lambda mark: _outside_quotes(first, mark))
    read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = [row for row in read if any(cell.strip() for cell in row)]
    if not rows:
        raise ValueError("it is empty")
    header = [re.sub(r"[\s_-]+", " ", cell.casefold()).strip() for cell in rows[0]]
    column = next((name for name in _FILE_COLUMNS if name in header), None)
    if column is None:
        if not re.search(r"\.\w{2,4}$", rows[0][0].strip()):
            raise ValueError(f"its first row names no column of files ({', '.join(_FILE_COLUMNS[:3])})")
        header, column, rows = ["file", "caption"], "file", [[], *([row[0], ", ".join(row[1:])] for row in rows)]
    table: dict[str, dict[str, str]] = {}
    for row in rows[1:]:
        cells = dict(zip(header, row, strict=False))
        _add(table, cells.pop(column, ""), extract_fields(cells))
    return table


def _outside_quotes(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(mark)


def _parse_json_table(text: str) -> Table:
    try:
        content = loads(text)
    except ValueError:
        content = [loads(line) for line in text.splitlines() if line.strip()]  # one object per line
    table: dict[str, dict[str, str]] = {}
    for name, entry in _json_rows(content):
        _add(table, name, _entry(entry))
    if not table:
        raise ValueError("it names no files")
    return table


def _json_rows(content: object) -> Iterator[tuple[str, object]]:
    """Yield file and entry from {file: entry}, [{"file": ..., ...}] or [[file, entry]], or from a list in an object."""
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        if len(lists) == 1 and lists[0] and all(isinstance(row, dict) for row in lists[0]):
            yield from _json_rows(lists[0])
        else:
            yield from content.items()
    elif isinstance(content, list):
        for row in content:
            if isinstance(row, dict):
                named = {re.sub(r"[\s_-]+", " ", name.casefold()): name for name in row}
                column = next((named[name] for name in _FILE_COLUMNS if name in named), None)
                if column is not None:
                    rest = {name: value for name, value in row.items() if name != column}
                    yield as_text(row[column]), rest
            elif isinstance(row, list) and len(row) == 2 and isinstance(row[0], str):
                yield row[0], row[1]


def _add(table: dict[str, dict[str, str]], name: str, fields: dict[str, str]) -> None:
    if name.strip() and fields:
        table.setdefault(_as_key(name), fields)
