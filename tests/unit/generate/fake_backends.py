"""Backends that draw images instead of running a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from riffusion_ext.generate.backends.base import Activity, OnImage, Request


class FakeBackend:
    """Draws each request by a function; can stop or fail after a number of images."""

    activity: Activity | None = None

    def __init__(
        self,
        draw: Callable[[Request], Image.Image],
        *,
        max_batch: int = 1,
        stop_after: int | None = None,
        fail_after: int | None = None,
        name: str = "fake",
    ) -> None:
        self.draw, self.max_batch, self.name = draw, max_batch, name
        self.stop_after, self.fail_after = stop_after, fail_after
        self.interrupted = False
        self.batches: list[list[Request]] = []
        self.generated = 0

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        assert 1 <= len(requests) <= self.max_batch
        assert len({request.batch_key for request in requests}) == 1
        self.batches.append(list(requests))
        self.interrupted = False
        images = []
        for index, request in enumerate(requests):
            if self.stop_after is not None and self.generated >= self.stop_after:
                self.interrupted = True
                break
            if self.fail_after is not None and self.generated >= self.fail_after:
                raise KeyboardInterrupt
            image = self.draw(request)
            self.generated += 1
            images.append(image)
            on_image(index, image)
        return images

    @property
    def requests(self) -> list[Request]:
        return [request for batch in self.batches for request in batch]


class InterruptibleBackend(FakeBackend):
    """Draws by seed; can be held, delayed, interrupted as a webui is, and made to fail.

    Attributes
    ----------
    go_on
        Cleared by a test to hold the backend before its next batch.
    at_work
        Set once a batch has begun.
    interrupt_requested
        Set by `interrupt`.
    """

    def __init__(
        self, *, max_batch: int = 2, delay: float = 0.0, fail_at: int | None = None, name: str = "studio"
    ) -> None:
        super().__init__(self._clouds, max_batch=max_batch, name=name)
        self.delay, self.fail_at = delay, fail_at
        self.go_on = threading.Event()
        self.go_on.set()
        self.interrupt_requested = threading.Event()
        self.at_work = threading.Event()

    def _clouds(self, request: Request) -> Image.Image:
        if self.fail_at is not None and self.generated >= self.fail_at:
            raise ZeroDivisionError("out of paint")
        return by_seed(request)

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        self.interrupt_requested.clear()
        self.interrupted = False
        self.at_work.set()
        end = time.monotonic() + self.delay
        while not self.interrupt_requested.is_set() and (time.monotonic() < end or not self.go_on.is_set()):
            time.sleep(0.01)
        if self.interrupt_requested.is_set():
            self.interrupted = True
            return []
        return super().generate(requests, on_image)

    def interrupt(self) -> None:
        self.interrupt_requested.set()


def as_it_is(request: Request) -> Image.Image:
    """Return the init image, as a denoising strength of 0 does."""
    assert request.init is not None
    return request.init.copy()


def by_seed(request: Request) -> Image.Image:
    """Draw clouds that depend on seed and prompt, over the init image where the mask allows it."""
    numbers = [*request.seeds, *map(ord, "".join(request.prompts)), round(100 * request.alpha)]
    clouds = np.random.default_rng(numbers).integers(0, 256, (request.height // 32, request.width // 32), np.uint8)
    image = Image.fromarray(clouds).resize((request.width, request.height), Image.Resampling.BICUBIC).convert("RGB")
    if request.init is not None and request.mask is not None:
        image = Image.composite(image, request.init, request.mask)
    return image


def flat(level: int) -> Callable[[Request], Image.Image]:
    """Return a function that draws images of one grey level."""
    return lambda request: Image.new("RGB", (request.width, request.height), (level,) * 3)
