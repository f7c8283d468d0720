"""Report missing or unused sound in a file; decoders read what they can and report nothing.

Shared by all readers: :func:`~riffusion_ext.audio.io.read_audio` and
:func:`~riffusion_ext.audio.stream.read_pieces` add these reports to the notes of their clips.

Sources: RIFF WAVE (Microsoft 1991), AIFF (Apple 1989), CAF (Apple 2005), W64 (Sonic Foundry), RF64
(EBU Tech 3306), and those of :mod:`riffusion_ext.audio.integrity.survey`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.formats.riff_chunks import MAX_CHUNKS, chunks
from riffusion_ext.audio.integrity.survey import Gap, Survey, survey, survey_deep
from riffusion_ext.errors import AudioError
from riffusion_ext.files.regular import open_regular

__all__ = ["add_file_notes", "decoder_note", "file_notes", "find_losses", "split_notes"]

_SUBJECT = "the file "
_DAMAGE_PREFIX = "the file may be damaged: "
_UNKNOWN_SIZE = 0x7FFF0000  # larger sizes are written by programs that do not know the length
_SLACK = 0.2  # s: encoders include their delay, and count whole frames
_MIN_TRAILING = 4096
_CHUNKS = {
    b"FORM": (12, ">4sI", 0, 2, b"SSND"),
    b"caff": (8, ">4sq", 0, 1, b"data"),
    b"riff": (40, "<16sq", 24, 8, b"data"),
    b"RF64": (12, "<4sI", 0, 2, b"data"),
}
"""By first bytes: offset of the first chunk, format of a chunk header, header bytes included in its size, alignment of
chunks, name of the chunk of samples."""
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


def add_file_notes(clip: AudioClip, path: Path, seconds: float | None = None, *, filled: bool = True) -> AudioClip:
    """Add notes about missing or unused sound in the file to a clip.

    Parameters
    ----------
    clip
        The whole sound, its last piece, or a part.
    path
        The file.
    seconds
        Seconds of sound read, if the file was read to its end.
    filled
        Whether the reader replaces missing sound by silence.
    """
    found = find_losses(path, seconds, filled=filled)
    notes = clip.notes
    if any(note.startswith(_DAMAGE_PREFIX) for note in notes) and _has_survey(
        path
    ):  # a survey is more exact than the decoder's message
        notes = tuple(note for note in notes if not note.startswith(_DAMAGE_PREFIX))
        if not found and survey_deep(path) is not None:
            found = find_losses(path, seconds, filled=filled)
    return replace(clip, notes=(*notes, *(_SUBJECT + loss for loss in found)))


def decoder_note(text: str) -> str:
    """Return the note about a decoder error that did not stop decoding."""
    return _DAMAGE_PREFIX + text


def file_notes(path: Path) -> tuple[str, ...]:
    """Return the notes that reading the whole file would give."""
    return tuple(_SUBJECT + loss for loss in find_losses(path))


def split_notes(notes: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split notes into those about missing sound, without their subject, and the others."""
    notes = list(notes)
    losses = [note.removeprefix(_SUBJECT) for note in notes if note.startswith(_SUBJECT)]
    return losses, [note for note in notes if not note.startswith(_SUBJECT)]


def find_losses(path: Path, seconds: float | None = None, *, filled: bool = True) -> tuple[str, ...]:
    """Describe missing or unused sound in a file.

    Parameters
    ----------
    path, seconds, filled
        As for :func:`add_file_notes`.

    Returns
    -------
    tuple of str
        Sentences without a subject. Empty if nothing is missing, or if the format does not show it.
    """
    try:
        found = survey(path)
        if found is not None:
            return tuple(_survey_losses(found, seconds, filled=filled))
        with open_regular(path) as file:
            return tuple(_chunk_losses(file, seconds))
    except (AudioError, OSError, struct.error):
        return ()


def _has_survey(path: Path) -> bool:
    try:
        return survey(path) is not None
    except OSError:
        return False


def _cut_message(seconds: float, declared: float | None) -> str:
    of = "" if declared is None else f" of {declared:.1f}"
    return f"breaks off after {seconds:.1f}{of} s, and is used as far as it goes"


# --- MP3, Ogg, FLAC --------------------------------------------------------------------------------------------------


def _survey_losses(found: Survey, seconds: float | None, *, filled: bool) -> list[str]:
    messages = []
    present = found.seconds if seconds is None else seconds
    if found.cut:
        messages.append(_cut_message(present, found.declared))
    gaps = [_with_decoded_length(found, gap) for gap in found.gaps]
    if gaps:
        messages.append(_gap_message(gaps, filled=filled and found.filled))
    lost = sum(gap.length or 0.0 for gap in gaps)
    if seconds is not None and seconds + lost + found.trimmed + _SLACK < found.seconds:
        messages.append(f"was read only as far as {seconds:.1f} of {found.seconds:.1f} s")
    if found.trailing:
        messages.append(f"has {found.trailing} bytes behind its sound in which no sound was found")
    return messages


def _with_decoded_length(found: Survey, gap: Gap) -> Gap:
    """Return a gap with its exact length, if decoding has determined it."""
    samples = found.silences.get(gap.segment)
    return gap if samples is None else replace(gap, length=samples / found.segments[0].rate)


def _gap_message(gaps: list[Gap], *, filled: bool) -> str:
    first, known = gaps[0].start, [gap.length for gap in gaps if gap.length is not None]
    where = f"at {first:.1f} s" if len(gaps) == 1 else f"in {len(gaps)} places, the first at {first:.1f} s"
    if len(known) < len(gaps):
        return f"is damaged {where}: sound is missing there, and what follows comes too early"
    after = "silence is in its place" if filled else "what follows comes too early"
    return f"lacks {sum(known):.2f} s of sound {where}: {after}"


# --- files of chunks -------------------------------------------------------------------------------------------------


def _chunk_losses(file: BinaryIO, seconds: float | None) -> list[str]:
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _wav_losses(file, seconds)
    end = file.seek(0, os.SEEK_END)
    body, size = _find_data(file, head, end)
    present = end - body
    if not 0 < present < size < 1 << 62:
        return []
    if seconds is None:
        return ["breaks off, and is used as far as it goes"]
    declared = seconds * size / present
    return [_cut_message(seconds, declared)] if seconds < declared - _SLACK else []


def _find_data(file: BinaryIO, head: bytes, end: int) -> tuple[int, int]:
    """Find the samples of an AIFF, AU, CAF, W64 or RF64 file: (offset, bytes); 0 for unknown."""
    if head[:4] == b".snd":
        body, size = struct.unpack(">4xII", head)
        return body, size if size < _UNKNOWN_SIZE else 0
    if head[:4] not in _CHUNKS:
        return 0, 0
    position, form, header_bytes, alignment, data_name = _CHUNKS[head[:4]]
    size_64 = 0
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        data = file.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form) or position >= end:
            break
        name, size = struct.unpack(form, data)
        body, size = position + len(data), size - header_bytes
        if name == b"ds64":
            size_64 = struct.unpack("<8xQ", file.read(16))[0]
        if name[:4] == data_name:
            return body, size_64 if head[:4] == b"RF64" else size
        if size < 0:
            break
        position = body + size + -size % alignment
    return 0, 0


def _wav_losses(file: BinaryIO, seconds: float | None) -> list[str]:
    bytes_per_second = 0
    end = file.seek(0, os.SEEK_END)
    for name, body, size in chunks(file, 12, end):
        if name == b"fmt ":
            bytes_per_second = struct.unpack("<8xI", file.read(12))[0]
        if name == b"data":
            if not bytes_per_second or not 0 < size < _UNKNOWN_SIZE:
                return []
            present, declared = (end - body) / bytes_per_second, size / bytes_per_second
            if present < declared - _SLACK:
                return [_cut_message(present if seconds is None else seconds, declared)]
            return _wav_trailer_losses(file, body + size, end, bytes_per_second)
    return []


def _wav_trailer_losses(file: BinaryIO, position: int, end: int, bytes_per_second: int) -> list[str]:
    """Describe data after the samples that may be more sound: neither chunks nor tags."""
    known = position
    for name, body, size in chunks(file, position, end):
        if name == b"RIFF" or body + size > end or not all(0x20 <= byte < 0x7F for byte in name):
            break
        known = body + size
    file.seek(known)
    head = file.read(12)
    trailing = end - known
    if trailing < max(_MIN_TRAILING, _SLACK * bytes_per_second) or head.lstrip(b"\0").startswith(_TAGS):
        return []
    what = "another WAV file" if b"RIFF" in head else "what its header does not count"
    return [f"goes on behind its sound with {what}, up to {trailing / bytes_per_second:.1f} s, which is not used"]
