"""What stands in for a model where making music is timed: images that are there already, and clocks."""

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
from riffusion_ext.generate.piece import Piece
from riffusion_ext.generate.windows.init_images import tiled
from riffusion_ext.generate.windows.plan import Plan
from riffusion_ext.generate.windows.segments import part_of

__all__ = ["Clock", "FakeBackend", "TimedPiece"]

_Result = TypeVar("_Result")


class Clock:
    """Seconds by the name of what they were spent on; what is timed within something else is taken out of that.

    Attributes
    ----------
    seconds, cpu
        By the wall clock, and processor time of all threads.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self._inner = [(0.0, 0.0)]

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Count the time within for `name`."""
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
        """Call, and count the time for `name`."""
        with self.on(name):
            return call()


class FakeBackend:
    """A backend that gives images it was given, one after another; its own time is counted as ``"backend"``.

    Parameters
    ----------
    images
        At least one. Repeated or cut where a window has another size.
    clock
        What is done with a finished image is counted as ``"keep"``.
    max_batch
        As for any backend.
    """

    name = "backend"
    interrupted = False

    def __init__(self, images: Sequence[Image.Image], clock: Clock, *, max_batch: int) -> None:
        self._images, self._clock, self.max_batch = images, clock, max_batch
        self.columns = 0
        self.generated = 0

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Give images."""
        made = []
        with self._clock.on("backend"):
            for index, request in enumerate(requests):
                image = self._images[self.generated % len(self._images)]
                made.append(tiled(image, 0, request.width, request.height))
                self.generated += 1
                self.columns += request.width
                with self._clock.on("keep"):
                    on_image(index, made[-1])
        return made

    def interrupt(self) -> None:
        """Nothing to stop: it takes no time."""


class TimedPiece:
    """A song or a riff whose parts are timed as the page asks for them.

    Attributes
    ----------
    preview_columns
        Columns decoded so far for what can be heard before the end.
    """

    def __init__(self, piece: Piece, clock: Clock) -> None:
        self.plan: Plan = piece.plan
        self._piece, self._clock = piece, clock
        self.preview_columns = 0

    def generate(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Generate; up to the first event as ``"prepare"``, afterwards as ``"requests"``."""
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

    def beginning(self) -> Plan | None:
        """Return what can be heard."""
        return self._clock.time("requests", self._piece.beginning)

    def part(self, first: int, stop: int) -> AudioClip:
        """Return the sound of a stretch."""
        self.preview_columns += part_of(self.plan, first, stop).columns
        return self._clock.time("stretches", lambda: self._piece.part(first, stop))

    def write(self, path: Path, clip: AudioClip, *, title: str = "") -> Path:
        """Write the sound of a stretch."""
        return self._clock.time("stretches", lambda: self._piece.write(path, clip, title=title))
