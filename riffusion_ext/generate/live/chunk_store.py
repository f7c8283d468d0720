"""The sound of a jam, as short chunks on disk; old ones are removed unless they are recorded.

Samples are 16-bit from the start, so that a recording has the very samples that were played.

A browser is told in seconds when a chunk is to start. Where that number is not exact, it interpolates between samples.
So chunks begin at samples whose time is exact in binary: at 44100 Hz, every 11025 samples or a quarter of a second.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.formats.pcm import decode, quantize
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically

__all__ = ["Chunk", "ChunkStore", "Strip", "grid_of"]


def grid_of(sample_rate: int) -> int:
    """Return the smallest number of samples whose duration is a binary fraction of a second."""
    while sample_rate % 2 == 0:
        sample_rate //= 2
    return sample_rate


@dataclass(frozen=True)
class Chunk:
    """Samples ``start <= s < stop``: little-endian 16-bit numbers, channel by channel within each sample."""

    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Strip:
    """The image of columns ``start <= c < stop``."""

    number: int
    start: int
    stop: int


class ChunkStore:
    """Chunks and strips in a folder.

    Parameters
    ----------
    folder
        Folder; created if missing.
    sample_rate, channels, hop
        Samples per second, channels, and samples per column of the strips.

    Attributes
    ----------
    samples
        Number of samples stored so far.
    """

    def __init__(self, folder: Path, sample_rate: int, channels: int, hop: int) -> None:
        self.folder, self.sample_rate, self.channels, self.hop = folder, sample_rate, channels, hop
        self._chunks: OrderedDict[int, Chunk] = OrderedDict()
        self._strips: OrderedDict[int, Strip] = OrderedDict()
        self._next_chunk = self._next_strip = 0
        self.samples = 0
        self._grid = grid_of(sample_rate)
        self._rest = np.zeros((channels, 0), np.float32)
        self._lock = threading.Lock()

    def add(self, samples: npt.NDArray[np.float32], *, last: bool = False) -> None:
        """Append samples [C, n], full scale 1.0; those after the last exact time wait for the next call."""
        samples = np.concatenate([self._rest, samples], axis=1)
        count = samples.shape[1] if last else samples.shape[1] // self._grid * self._grid
        samples, self._rest = samples[:, :count], samples[:, count:]
        if not count:
            return
        data = quantize(np.ascontiguousarray(samples.T), 16).astype("<i2").tobytes()
        number = self._next_chunk
        write_atomically(self.path("chunk", number), lambda file: file.write(data))
        with self._lock:
            self._next_chunk += 1
            self._chunks[number] = Chunk(number, self.samples, self.samples + samples.shape[1])
            self.samples += samples.shape[1]

    def add_image(self, start: int, image: Image.Image) -> None:
        """Append the image of the columns from `start` on."""
        number = self._next_strip
        write_atomically(self.path("strip", number), lambda file: image.save(file, "PNG", compress_level=1))
        with self._lock:
            self._next_strip += 1
            self._strips[number] = Strip(number, start, start + image.width)

    def path(self, kind: str, number: int) -> Path:
        """Return the path of a ``"chunk"`` or a ``"strip"``, whether it exists or not."""
        return self.folder / (f"{number:06d}.pcm" if kind == "chunk" else f"{number:06d}.png")

    def chunks(self, first: int = 0) -> list[Chunk]:
        """Return the stored chunks from number `first` on."""
        with self._lock:
            return [chunk for number, chunk in self._chunks.items() if number >= first]

    def strips(self, first: int = 0) -> list[Strip]:
        """Return the stored strips from number `first` on."""
        with self._lock:
            return [strip for number, strip in self._strips.items() if number >= first]

    def has(self, kind: str, number: int) -> bool:
        """Whether a chunk or strip is stored."""
        with self._lock:
            return number in (self._chunks if kind == "chunk" else self._strips)

    def forget(self, sample: int) -> None:
        """Remove chunks and strips that end before a sample."""
        with self._lock:
            old = [("chunk", item.number) for item in self._chunks.values() if item.stop <= sample]
            old += [("strip", item.number) for item in self._strips.values() if item.stop * self.hop <= sample]
            for kind, number in old:
                del (self._chunks if kind == "chunk" else self._strips)[number]
        for kind, number in old:
            with suppress(OSError):  # being sent just now, on Windows; the folder is removed at the end
                self.path(kind, number).unlink()

    def with_samples(self, first: int, stop: int, work: Callable[[AudioClip], None]) -> None:
        """Call `work` with the samples ``first <= s < stop``, memory-mapped from a file.

        Raises
        ------
        RiffusionError
            Some of them are not stored.
        """
        chunks = [chunk for chunk in self.chunks() if chunk.start < stop and chunk.stop > first]
        if stop <= first or not chunks or chunks[0].start > first or chunks[-1].stop < stop:
            raise RiffusionError(f"the samples {first} to {stop} are not there")
        path = self.folder / f"recording-{first}.raw"
        try:
            samples_on_disk = np.memmap(path, np.float32, "w+", shape=(self.channels, stop - first))
            for chunk in chunks:
                samples = decode(self.path("chunk", chunk.number).read_bytes(), width=2, is_float=False)
                low, high = max(first, chunk.start), min(stop, chunk.stop)
                part = samples.reshape(-1, self.channels).T[:, low - chunk.start : high - chunk.start]
                samples_on_disk[:, low - first : high - first] = part
            work(AudioClip(samples_on_disk, self.sample_rate))
            del samples_on_disk
        finally:
            with suppress(OSError):
                path.unlink()
