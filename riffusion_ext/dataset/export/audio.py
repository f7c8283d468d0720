"""Audio chunks of a training set, for trainers of audio models such as Dance Diffusion and MusicGen."""

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
"""Largest gap between the parts of one contiguous run, s. Consecutive windows lie one column (10 ms) apart."""

_MARGIN_S = 0.25
"""Audio that is read before and after a chunk, so that resampling does not fade its ends, s."""


@dataclass(frozen=True)
class Chunk:
    """An audio chunk: ``name`` without suffix, caption, the song and its digest, and the part of it, in seconds."""

    name: str
    caption: str
    source: Path
    start: float
    duration: float
    digest: str = ""


def chunks(named: Mapping[str, ExportItem], seconds: float | None) -> tuple[list[Chunk], int]:
    """Divide the items' parts of the songs into chunks.

    Without a length, each item is one chunk. With one, adjacent or overlapping items are joined to a run, which is
    divided from its start. A remainder of half a chunk or more becomes a chunk that ends with the run and overlaps the
    one before.

    ::

        windows  |---1---|---2---|---3---|         |---4---|
        runs     |-----------------------|         |-------|
        chunks   |----a----|----b----|                        (the remainder is less than half)

    Returns
    -------
    list of Chunk, int
        The chunks, and the number of runs left out because they are shorter than a chunk.
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
    """Yield runs of items that follow one another without a gap, with their names."""
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
    """Return ``audio/*.wav``, and notes: 16 bits, mono or stereo like the song, all of one length."""
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
    """Return a text file beside each chunk, and ``audio/metadata.jsonl`` for ``load_dataset("audiofolder")``."""
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
    """Read a chunk at exactly its length, padded with silence if the song ends before.

    Raises
    ------
    AudioError
        The song cannot be read, or ends before the chunk starts.
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
