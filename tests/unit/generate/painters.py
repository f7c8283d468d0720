"""Backends that stand in for a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from riffusion_ext.generate.backends.base import Activity, OnPicture, Request


class Painter:
    """Paints what a function makes of each request; can be stopped after some pictures, or fail."""

    activity: Activity | None = None

    def __init__(
        self,
        paint: Callable[[Request], Image.Image],
        *,
        max_batch: int = 1,
        stop_after: int | None = None,
        fail_after: int | None = None,
        name: str = "painter",
    ) -> None:
        self.paint, self.max_batch, self.name = paint, max_batch, name
        self.stop_after, self.fail_after = stop_after, fail_after
        self.interrupted = False
        self.batches: list[list[Request]] = []
        self.painted = 0

    def generate(self, requests: Sequence[Request], on_picture: OnPicture) -> list[Image.Image]:
        assert 1 <= len(requests) <= self.max_batch
        assert len({request.batch_key for request in requests}) == 1
        self.batches.append(list(requests))
        self.interrupted = False
        pictures = []
        for index, request in enumerate(requests):
            if self.stop_after is not None and self.painted >= self.stop_after:
                self.interrupted = True
                break
            if self.fail_after is not None and self.painted >= self.fail_after:
                raise KeyboardInterrupt
            picture = self.paint(request)
            self.painted += 1
            pictures.append(picture)
            on_picture(index, picture)
        return pictures

    @property
    def requests(self) -> list[Request]:
        return [request for batch in self.batches for request in batch]


def as_it_is(request: Request) -> Image.Image:
    """Paint as a denoising strength of 0 does."""
    assert request.init is not None
    return request.init.copy()


def by_seed(request: Request) -> Image.Image:
    """Clouds that depend on seed and prompt, laid over the picture to start from as the mask says."""
    numbers = [*request.seeds, *map(ord, "".join(request.prompts)), round(100 * request.alpha)]
    clouds = np.random.default_rng(numbers).integers(0, 256, (request.height // 32, request.width // 32), np.uint8)
    picture = Image.fromarray(clouds).resize((request.width, request.height), Image.Resampling.BICUBIC).convert("RGB")
    if request.init is not None and request.mask is not None:
        picture = Image.composite(picture, request.init, request.mask)
    return picture


def flat(level: int) -> Callable[[Request], Image.Image]:
    """One grey all over."""
    return lambda request: Image.new("RGB", (request.width, request.height), (level,) * 3)
