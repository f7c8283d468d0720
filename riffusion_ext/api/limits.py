"""How much the routes take on, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

from riffusion_ext.generate.bounds import STEPS
from riffusion_ext.jobs import Lane

__all__ = ["FILE_ROUTES", "Limits"]

_MIB = 1 << 20

FILE_ROUTES = frozenset({"/image-to-audio", "/audio-to-images"})
"""Routes whose bodies of JSON may hold a file in base64."""


def _lanes() -> dict[str, Lane]:
    return {
        # A client waits for these, and a model for none of them.
        "convert": Lane(threads=2, waiting=256, seconds=300.0, kept=200),
        # One model paints one thing at a time.
        "paint": Lane(threads=1, waiting=16, seconds=4 * 3600.0, kept=100),
        "dataset": Lane(threads=1, waiting=4, seconds=12 * 3600.0, kept=20),
    }


@dataclass(frozen=True)
class Limits:
    """How much the routes take on.

    Parameters
    ----------
    body_bytes
        Largest body of JSON with a file in base64.
    json_bytes
        Largest body of JSON without, or beside the file.
    bodies_bytes
        Largest sum of all bodies of JSON that are held at one time.
    upload_bytes
        Largest file that is uploaded.
    uploads
        Bodies that are received at one time: files, and JSON as many again.
    uploads_bytes
        Largest sum of the files that are being received.
    kept_bytes
        Room for clips, and as much again for pictures and for archives; the oldest leave first.
    kept_files
        Most clips, pictures and archives, each.
    kept_seconds
        How long a result is kept at least, from the end of the work that made it.
    images
        Most images of one sound.
    pixels
        Largest picture.
    seed_pixels
        Largest picture that something is painted from, its sides counted as 512 at least.
    columns
        Widest picture that is turned into sound.
    sound_seconds, sound_samples
        Longest sound, and most samples of all its channels.
    memory_bytes
        Memory that one piece of work may need, by estimate.
    products
        Multiplications of one piece of work, by estimate.
    song_seconds
        Longest song that is painted.
    parts
        Most parts of a song.
    pictures
        Most pictures that are painted by one request; all of them together have at most `pixels`.
    steps
        Most steps of a sampler, where fewer than the core takes are allowed.
    songs
        Most songs of a data set.
    listeners
        Clients that follow jobs at one time.
    inline_bytes
        Largest sound that is given as base64 in a reply.
    lanes
        Threads, places to wait and time, by kind of work.
    """

    body_bytes: int = 48 * _MIB
    json_bytes: int = _MIB
    bodies_bytes: int = 128 * _MIB
    upload_bytes: int = 256 * _MIB
    uploads: int = 256
    uploads_bytes: int = 2048 * _MIB
    kept_bytes: int = 1024 * _MIB
    kept_files: int = 20_000
    kept_seconds: float = 120.0
    images: int = 2000
    pixels: int = 32_000_000
    seed_pixels: int = 4_000_000
    columns: int = 60_000
    sound_seconds: float = 1200.0
    sound_samples: int = 120_000_000
    memory_bytes: int = 3072 * _MIB
    products: float = 2e13
    song_seconds: float = 1800.0
    parts: int = 2000
    pictures: int = 64
    steps: int = STEPS[1]
    songs: int = 500
    listeners: int = 128
    inline_bytes: int = 32 * _MIB
    lanes: Mapping[str, Lane] = field(default_factory=_lanes)

    def around(self) -> AbstractContextManager[None]:
        """Return a context in which no more memory and work is allowed than here."""
        from riffusion_ext.audio.workload import Allowance, allowance

        return allowance(Allowance(self.memory_bytes, self.products))

    @property
    def lengths(self) -> dict[str, int]:
        """Most items of lists in bodies, by name."""
        return {"keyframes": self.parts, "requests": self.pictures, "clips": self.songs}

    def body(self, path: str) -> int:
        """Return the largest body that a route takes, by its path below the root of ours."""
        return self.body_bytes if path in FILE_ROUTES else min(self.json_bytes, self.body_bytes)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers, for clients."""
        return asdict(self)
