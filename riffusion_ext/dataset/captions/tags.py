"""Metadata of a song: its embedded tags, and the sidecar files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO, cast

from riffusion_ext.audio.io import read_tags
from riffusion_ext.dataset.captions.fields import extract_fields, invalid_tempo, select_fields
from riffusion_ext.dataset.captions.mojibake import repair_encoding
from riffusion_ext.dataset.captions.sidecars import read_sidecars, read_tables
from riffusion_ext.errors import AudioError
from riffusion_ext.files.regular import open_regular

__all__ = ["SongTags", "song_tags"]

_MAX_READS, _MAX_BYTES = 50_000, 1 << 26


@dataclass(frozen=True)
class SongTags:
    """Metadata of a song.

    Attributes
    ----------
    fields
        Non-empty values by name, from :data:`~riffusion_ext.dataset.captions.fields.SONG_FIELDS`: each one line, the
        year four digits, the bpm a whole number, the key as ``"A minor"``.
    notes
        Sentences about sidecar files that were skipped, or are in an unexpected encoding.
    """

    fields: Mapping[str, str]
    notes: tuple[str, ...] = ()


def song_tags(path: str | PathLike[str], root: str | PathLike[str] | None = None) -> SongTags:
    """Read the metadata of a song from its tags and its sidecar files.

    Each field comes from the first source that has it: ``song.json``, ``song.txt``, a table in the folder
    (:data:`~riffusion_ext.dataset.captions.sidecars.TABLE_NAMES`), tables in the folders above, the embedded tags.
    Sidecar files take precedence, because somebody put them there for this purpose.

    Parameters
    ----------
    path
        The sound file. It need not be readable, or even exist.
    root
        Topmost folder whose tables are read; None for the song's own folder.

    Returns
    -------
    SongTags
        Never raises: unreadable sources count as missing.
    """
    song = Path(path)
    try:
        sidecar, sidecar_notes = read_sidecars(song)
        table, table_notes = read_tables(song, None if root is None else Path(root))
    except (OSError, ValueError) as error:  # an impossible file name
        return SongTags({}, (f"{song.name} cannot be looked up: {error}",))
    embedded, embedded_notes = _read_embedded(song)
    notes = (*sidecar_notes, *table_notes, *(f"{song.name}: {note}" for note in embedded_notes))
    return SongTags({**embedded, **table, **sidecar}, tuple(dict.fromkeys(notes)))


class _LimitedFile:
    """File wrapper that limits reads and bytes, since some files have millions of empty parts to parse.

    Parameters
    ----------
    file
        The file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads, self._bytes = 0, 0
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; raise an OSError once a limit is exceeded."""
        data = self._file.read(size if 0 <= size <= _MAX_BYTES else _MAX_BYTES)
        self._reads += 1
        self._bytes += len(data)
        if self._reads > _MAX_READS or self._bytes > _MAX_BYTES:
            raise OSError("it has too many parts")
        return data


def _read_embedded(song: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the fields of the tags embedded in a song, and notes about them."""
    values: dict[str, object] = {}
    try:
        values = dict(read_tags(song))
    except (AudioError, OSError, ValueError):
        values = {}
    fields, notes = _fields_of(values)
    from_tinytag, more = _fields_of(_read_with_tinytag(song))
    fields.update(from_tinytag)
    fields.pop("song_caption", None)  # descriptions in tags are credits and URLs
    return fields, tuple(dict.fromkeys((*notes, *more)))


def _fields_of(values: Mapping[str, object]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the fields of a tag in their true encoding, and notes about the tag."""
    texts, notes = repair_encoding(select_fields(values))
    tempo = invalid_tempo(values)
    if tempo:
        notes = (*notes, f"its tags say a tempo of {tempo[:40]}, which is none, and was left out")
    return extract_fields(texts), notes


def _read_with_tinytag(song: Path) -> dict[str, object]:
    """Read the tags with tinytag, which supports more formats and fields; {} if it is not installed or fails."""
    try:
        from tinytag import TinyTag
    except ImportError:
        return {}
    # The format is detected by the first bytes; some MP3 files begin with other data, and then the suffix decides.
    for by_name in (False, True):
        try:
            with open_regular(song) as file:
                limited = cast(BinaryIO, _LimitedFile(file))
                tag = TinyTag.get(str(song) if by_name else None, file_obj=limited, duration=False)
        except Exception:  # damaged files raise errors of any kind; they count as files without tags
            continue
        values: dict[str, object] = dict(tag.other)
        for name in ("title", "artist", "album", "genre", "year"):
            values[name] = [getattr(tag, name), *tag.other.get(name, ())]
        if extract_fields(values):
            return values
    return {}
