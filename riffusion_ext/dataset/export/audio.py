"""The sound of a training set in chunks, for trainers of audio models (Dance Diffusion, MusicGen and their like)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.formats.wav import write_wav
from riffusion_ext.audio.io import read_audio
from riffusion_ext.dataset.export.images import json_line, stem
from riffusion_ext.dataset.export.item import ExportItem
from riffusion_ext.dataset.export.ledger import OutFile, text_file
from riffusion_ext.dataset.settings import ExportSettings
from riffusion_ext.dataset.songs import Song
from riffusion_ext.errors import AudioError
from riffusion_ext.files.atomic import write_atomically

__all__ = ["Chunk", "audio_files", "audio_text_files", "chunks", "read_chunk"]

_MAX_GAP_S = 0.05
"""Windows that follow one another lie one column (10 ms) apart; so much may lie between the parts of one stretch, s."""

_MARGIN_S = 0.25
"""What is read before and after a chunk, so that resampling does not fade its ends, s."""


@dataclass(frozen=True)
class Chunk:
    """A piece of sound to be written: ``name`` without suffix, the song and its digest, and where in it, in seconds."""

    name: str
    caption: str
    source: Path
    start: float
    duration: float
    digest: str = ""


def chunks(named: Mapping[str, ExportItem], seconds: float | None) -> tuple[list[Chunk], int]:
    """Cut the wanted parts of the songs into chunks.

    Without a length, each image's part is one chunk. With one, parts that follow one another (or overlap) are one
    stretch; it is cut from its start, and the rest at its end, if it is half a chunk or more, is filled from before.

    ::

        windows    |---1---|---2---|---3---|         |---4---|
        stretches  |-----------------------|         |-------|
        chunks     |----a----|----b----|                        (the rest is less than half)

    Returns
    -------
    list of Chunk, int
        And how many stretches were left out, because they are shorter than a chunk.
    """
    if seconds is None:
        per_image = [
            Chunk(_flat(name), i.caption, i.source, i.start, i.duration, i.digest) for name, i in named.items()
        ]
        return per_image, 0
    found: list[Chunk] = []
    too_short = 0
    for run in _contiguous_runs(named):
        begin = run[0][1].start
        end = max(item.start + item.duration for _, item in run)
        count = int((end - begin + _MAX_GAP_S) / seconds)
        starts = [begin + number * seconds for number in range(count)]
        if count and end - begin - count * seconds >= seconds / 2:
            starts.append(end - seconds)
        too_short += not count
        for start in starts:
            name, item = [pair for pair in run if pair[1].start <= start + 1e-6][-1]
            offset_ms = round((start - item.start) * 1000)
            found.append(
                Chunk(
                    _flat(name) + f"_{offset_ms:05d}ms" * (offset_ms > 0),
                    item.caption,
                    item.source,
                    start,
                    seconds,
                    item.digest,
                )
            )
    return found, too_short


def _flat(name: str) -> str:
    return stem(name).replace("/", "_")


def _contiguous_runs(named: Mapping[str, ExportItem]) -> Iterator[list[tuple[str, ExportItem]]]:
    """Yield the items that follow one another without a gap, with their names."""
    order = sorted(named.items(), key=lambda pair: (str(pair[1].source), pair[1].start, pair[0]))
    for _, of_song in groupby(order, key=lambda pair: pair[1].source):
        run: list[tuple[str, ExportItem]] = []
        end = -math.inf
        for name, item in of_song:
            if run and item.start > end + _MAX_GAP_S:
                yield run
                run = []
            run.append((name, item))
            end = max(end if len(run) > 1 else -math.inf, item.start + item.duration)
        yield run


def audio_files(named: Mapping[str, ExportItem], settings: ExportSettings) -> tuple[list[OutFile], list[str]]:
    """Return ``audio/*.wav``: 16 bits, one or two channels as the song has, all of one length; and notes."""
    cut, too_short = chunks(named, settings.audio_seconds)
    subject = "stretch of sound is" if too_short == 1 else "stretches of sound are"
    notes = [f"{too_short} {subject} shorter than {settings.audio_seconds:g} s and left out"] if too_short else []
    digests = {chunk.source: chunk.digest or _digest(chunk.source) for chunk in cut}
    files = []
    for chunk in cut:
        recipe = f"{digests[chunk.source]} {chunk.start:.6f} {chunk.duration:.6f} {settings.audio_rate}"
        files.append(OutFile(f"audio/{chunk.name}.wav", recipe, _chunk_writer(chunk, settings.audio_rate)))
    return files, notes


def audio_text_files(
    named: Mapping[str, ExportItem], settings: ExportSettings, failed: Collection[str]
) -> list[OutFile]:
    """Return a text beside each chunk, and ``audio/metadata.jsonl`` for ``load_dataset("audiofolder")``."""
    cut = [c for c in chunks(named, settings.audio_seconds)[0] if f"audio/{c.name}.wav" not in failed]
    lines = [
        json_line(
            {
                "file_name": f"{chunk.name}.wav",
                "text": chunk.caption,
                "source": chunk.source.name.encode("utf-8", "replace").decode(),
                "start": round(float(chunk.start), 3),
                "duration": round(float(chunk.duration), 3),
            }
        )
        for chunk in cut
    ]
    files = [text_file(f"audio/{chunk.name}.txt", chunk.caption) for chunk in cut]
    return [*files, text_file("audio/metadata.jsonl", "".join(lines))] if files else []


def _digest(source: Path) -> str:
    try:
        return Song(source, source.name).digest()
    except OSError:
        return "absent"


def _chunk_writer(chunk: Chunk, rate: int | None) -> Callable[[Path], object]:
    def cut(path: Path) -> None:
        clip = read_chunk(chunk, rate)
        write_atomically(path, lambda file: write_wav(file, clip, subtype="pcm16", tags={}))

    return cut


def read_chunk(chunk: Chunk, rate: int | None) -> AudioClip:
    """Return the sound of a chunk, of exactly its length, with silence where the song ends before.

    Raises
    ------
    AudioError
        The song cannot be read, or has ended before the chunk starts.
    """
    begin = max(chunk.start - _MARGIN_S, 0.0)
    clip = read_audio(chunk.source, start=begin, duration=chunk.start - begin + chunk.duration + _MARGIN_S)
    if clip.channels > 2:
        clip = clip.to_channels(2)
    if rate is not None and clip.sample_rate != rate:
        clip = clip.resample(rate)
    first = round((chunk.start - begin) * clip.sample_rate)
    samples = np.zeros((clip.channels, round(chunk.duration * clip.sample_rate)), np.float32)
    part = clip.samples[:, first : first + samples.shape[1]]
    if not part.shape[1]:
        raise AudioError(f"{chunk.source} has ended before {chunk.start:g} s")
    samples[:, : part.shape[1]] = part
    return AudioClip(samples, clip.sample_rate)
