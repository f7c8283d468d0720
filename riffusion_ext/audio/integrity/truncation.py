"""Is a sound file all there, and was all of it used? Decoders play what they can of it, and say nothing.

One judgement for everything that reads sound: :func:`~riffusion_ext.audio.io.read_audio` and
:func:`~riffusion_ext.audio.stream.read_pieces` add it to the notes of what they return.

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
from riffusion_ext.audio.formats.riff_chunks import MOST_CHUNKS, chunks
from riffusion_ext.audio.integrity.survey import Gap, Survey, deeper, survey
from riffusion_ext.errors import AudioError
from riffusion_ext.files.regular import open_regular

__all__ = ["about", "doubt", "judged", "losses", "told_apart"]

_SUBJECT = "the file "
_DOUBT = "the file may be damaged: "
_STREAMED = 0x7FFF0000  # sizes from here on are written by programs that cannot know the length
_SLACK = 0.2  # s: encoders count their own delay in, and whole frames
_LEAST_REST = 4096
_CHUNKS = {
    b"FORM": (12, ">4sI", 0, 2, b"SSND"),
    b"caff": (8, ">4sq", 0, 1, b"data"),
    b"riff": (40, "<16sq", 24, 8, b"data"),
    b"RF64": (12, "<4sI", 0, 2, b"data"),
}
"""By first bytes: place of the first chunk, head of one, bytes of it that are counted in, unit of its size, samples."""
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


def judged(clip: AudioClip, path: Path, seconds: float | None = None, *, filled: bool = True) -> AudioClip:
    """Return a clip with notes about what is missing in its file, or was not used.

    Parameters
    ----------
    clip
        All of the sound, the last piece of it, or a part.
    path
        The file.
    seconds
        How much sound was read from it, where it was read to its end.
    filled
        Whether its reader puts silence where sound is missing.
    """
    found = losses(path, seconds, filled=filled)
    notes = clip.notes
    if any(note.startswith(_DOUBT) for note in notes) and _surveyed(path):  # we know better than a decoder's complaint
        notes = tuple(note for note in notes if not note.startswith(_DOUBT))
        if not found and deeper(path) is not None:
            found = losses(path, seconds, filled=filled)
    return replace(clip, notes=(*notes, *(_SUBJECT + loss for loss in found)))


def doubt(text: str) -> str:
    """Return the note about a decoder that complained, and went on."""
    return _DOUBT + text


def about(path: Path) -> tuple[str, ...]:
    """Return the notes about a file that reading it to its end would give."""
    return tuple(_SUBJECT + loss for loss in losses(path))


def told_apart(notes: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return what notes say about a file that is not all there, without their subject, and the other notes."""
    notes = list(notes)
    about = [note.removeprefix(_SUBJECT) for note in notes if note.startswith(_SUBJECT)]
    return about, [note for note in notes if not note.startswith(_SUBJECT)]


def losses(path: Path, seconds: float | None = None, *, filled: bool = True) -> tuple[str, ...]:
    """Say what is missing in a file, or was not used of it.

    Parameters
    ----------
    path, seconds, filled
        As for :func:`judged`.

    Returns
    -------
    tuple of str
        Sentences without a subject. None where the format does not tell.
    """
    try:
        found = survey(path)
        if found is not None:
            return tuple(_of_survey(found, seconds, filled=filled))
        with open_regular(path) as file:
            return tuple(_of_chunks(file, seconds))
    except (AudioError, OSError, struct.error):
        return ()


def _surveyed(path: Path) -> bool:
    try:
        return survey(path) is not None
    except OSError:
        return False


def _cut_off(seconds: float, promised: float | None) -> str:
    of = "" if promised is None else f" of {promised:.1f}"
    return f"breaks off after {seconds:.1f}{of} s, and is used as far as it goes"


# --- MP3, Ogg, FLAC --------------------------------------------------------------------------------------------------


def _of_survey(found: Survey, seconds: float | None, *, filled: bool) -> list[str]:
    told = []
    there = found.seconds if seconds is None else seconds
    if found.cut:
        told.append(_cut_off(there, found.promised))
    gaps = [_exact(found, gap) for gap in found.gaps]
    if gaps:
        told.append(_missing(gaps, filled=filled and found.filled))
    lost = sum(gap.length or 0.0 for gap in gaps)
    if seconds is not None and seconds + lost + found.trimmed + _SLACK < found.seconds:
        told.append(f"was read only as far as {seconds:.1f} of {found.seconds:.1f} s")
    if found.rest:
        told.append(f"has {found.rest} bytes behind its sound in which no sound was found")
    return told


def _exact(found: Survey, gap: Gap) -> Gap:
    """Return a gap with the length that decoding has shown, once it has."""
    samples = found.holes.get(gap.stretch)
    return gap if samples is None else replace(gap, length=samples / found.stretches[0].rate)


def _missing(gaps: list[Gap], *, filled: bool) -> str:
    first, known = gaps[0].start, [gap.length for gap in gaps if gap.length is not None]
    where = f"at {first:.1f} s" if len(gaps) == 1 else f"in {len(gaps)} places, the first at {first:.1f} s"
    if len(known) < len(gaps):
        return f"is damaged {where}: sound is missing there, and what follows comes too early"
    after = "silence is in its place" if filled else "what follows comes too early"
    return f"lacks {sum(known):.2f} s of sound {where}: {after}"


# --- files of chunks -------------------------------------------------------------------------------------------------


def _of_chunks(file: BinaryIO, seconds: float | None) -> list[str]:
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _of_wav(file, seconds)
    end = file.seek(0, os.SEEK_END)
    body, size = _data_of(file, head, end)
    there = end - body
    if not 0 < there < size < 1 << 62:
        return []
    if seconds is None:
        return ["breaks off, and is used as far as it goes"]
    promised = seconds * size / there
    return [_cut_off(seconds, promised)] if seconds < promised - _SLACK else []


def _data_of(file: BinaryIO, head: bytes, end: int) -> tuple[int, int]:
    """Return where the samples of an AIFF, AU, CAF, W64 or RF64 file begin, and their bytes; 0 for unknown."""
    if head[:4] == b".snd":
        body, size = struct.unpack(">4xII", head)
        return body, size if size < _STREAMED else 0
    if head[:4] not in _CHUNKS:
        return 0, 0
    position, form, counted, even, wanted = _CHUNKS[head[:4]]
    size_64 = 0
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        data = file.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form) or position >= end:
            break
        name, size = struct.unpack(form, data)
        body, size = position + len(data), size - counted
        if name == b"ds64":
            size_64 = struct.unpack("<8xQ", file.read(16))[0]
        if name[:4] == wanted:
            return body, size_64 if head[:4] == b"RF64" else size
        if size < 0:
            break
        position = body + size + -size % even
    return 0, 0


def _of_wav(file: BinaryIO, seconds: float | None) -> list[str]:
    bytes_per_second = 0
    end = file.seek(0, os.SEEK_END)
    for name, body, size in chunks(file, 12, end):
        if name == b"fmt ":
            bytes_per_second = struct.unpack("<8xI", file.read(12))[0]
        if name == b"data":
            if not bytes_per_second or not 0 < size < _STREAMED:
                return []
            there, promised = (end - body) / bytes_per_second, size / bytes_per_second
            if there < promised - _SLACK:
                return [_cut_off(there if seconds is None else seconds, promised)]
            return _behind_wav(file, body + size, end, bytes_per_second)
    return []


def _behind_wav(file: BinaryIO, position: int, end: int, bytes_per_second: int) -> list[str]:
    """Say so where what follows the samples is more sound, or may be: neither chunks nor tags."""
    known = position
    for name, body, size in chunks(file, position, end):
        if name == b"RIFF" or body + size > end or not all(0x20 <= byte < 0x7F for byte in name):
            break
        known = body + size
    file.seek(known)
    head = file.read(12)
    rest = end - known
    if rest < max(_LEAST_REST, _SLACK * bytes_per_second) or head.lstrip(b"\0").startswith(_TAGS):
        return []
    what = "another WAV file" if b"RIFF" in head else "what its header does not count"
    return [f"goes on behind its sound with {what}, up to {rest / bytes_per_second:.1f} s, which is not used"]
