"""Fake backend with prepared images, and clocks, for timing generation without a model."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from PIL import Image

from riffusion_ext.audio import AudioClip
from riffusion_ext.generate.backends.base import Backend, OnImage, Request
from riffusion_ext.generate.checkpoint.runner import Event, Progress
from riffusion_ext.generate.piece import WindowedPiece
from riffusion_ext.generate.windows.init_images import tile_columns
from riffusion_ext.generate.windows.plan import Plan
from riffusion_ext.generate.windows.segments import plan_part

__all__ = ["Clock", "FakeBackend", "TimedPiece"]

_Result = TypeVar("_Result")


class Clock:
    """Accumulate seconds by name; nested times are subtracted from the outer ones.

    Attributes
    ----------
    seconds, cpu
        Wall clock time, and processor time of all threads.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self._inner = [(0.0, 0.0)]

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Time the ``with`` block under `name`."""
        begun, cpu_begun = time.perf_counter(), time.process_time()
        self._inner.append((0.0, 0.0))
        try:
            yield
        finally:
            whole, cpu_whole = time.perf_counter() - begun, time.process_time() - cpu_begun
            inner, cpu_inner = self._inner.pop()
            self.seconds[name] += whole - inner
            self.cpu[name] += cpu_whole - cpu_inner
            outer, cpu_outer = self._inner[-1]
            self._inner[-1] = (outer + whole, cpu_outer + cpu_whole)

    def time(self, name: str, call: Callable[[], _Result]) -> _Result:
        """Time a call under `name`."""
        with self.on(name):
            return call()


class FakeBackend:
    """Backend that returns prepared images in turn; its own time is counted as ``"backend"``.

    Parameters
    ----------
    images
        At least one. Repeated or cropped to the size of a window.
    clock
        Clock. Handling a finished image is counted as ``"keep"``.
    max_batch
        Largest batch, as for any backend.
    """

    name = "backend"
    interrupted = False

    def __init__(self, images: Sequence[Image.Image], clock: Clock, *, max_batch: int) -> None:
        self._images, self._clock, self.max_batch = images, clock, max_batch
        self.columns = 0
        self.generated = 0

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Return prepared images."""
        made = []
        with self._clock.on("backend"):
            for index, request in enumerate(requests):
                image = self._images[self.generated % len(self._images)]
                made.append(tile_columns(image, 0, request.width, request.height))
                self.generated += 1
                self.columns += request.width
                with self._clock.on("keep"):
                    on_image(index, made[-1])
        return made

    def interrupt(self) -> None:
        """Do nothing: generation takes no time."""


class TimedPiece:
    """Wrap a song or a riff and time its parts, as the page requests them.

    Attributes
    ----------
    preview_columns
        Columns decoded so far for the preview.
    """

    def __init__(self, piece: WindowedPiece, clock: Clock) -> None:
        self.plan: Plan = piece.plan
        self._piece, self._clock = piece, clock
        self.preview_columns = 0

    def generate(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Generate; the time up to the first event is ``"prepare"``, then ``"requests"``."""
        events = self._piece.generate(backend, limit=limit)
        stage = "prepare"
        while True:
            with self._clock.on(stage):
                event = next(events, None)
            if event is None:
                return
            if isinstance(event, Progress):
                stage = "requests"
            yield event

    def playable(self) -> Plan | None:
        """Return the plan of the finished beginning."""
        return self._clock.time("requests", self._piece.playable)

    def part(self, first: int, stop: int) -> AudioClip:
        """Return the sound of a preview segment."""
        self.preview_columns += plan_part(self.plan, first, stop).columns
        return self._clock.time("previews", lambda: self._piece.part(first, stop))

    def write(self, path: Path, clip: AudioClip, *, title: str = "") -> Path:
        """Write the sound of a preview segment."""
        return self._clock.time("previews", lambda: self._piece.write(path, clip, title=title))
