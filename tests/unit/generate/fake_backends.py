"""Backends that stand in for a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from riffusion_ext.generate.backends.base import Activity, OnImage, Request


class FakeBackend:
    """Generates what a function makes of each request; can be stopped after some images, or fail."""

    activity: Activity | None = None

    def __init__(
        self,
        draw: Callable[[Request], Image.Image],
        *,
        max_batch: int = 1,
        stop_after: int | None = None,
        fail_after: int | None = None,
        name: str = "painter",
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


def as_it_is(request: Request) -> Image.Image:
    """Generate as a denoising strength of 0 does."""
    assert request.init is not None
    return request.init.copy()


def by_seed(request: Request) -> Image.Image:
    """Clouds that depend on seed and prompt, laid over the image to start from as the mask says."""
    numbers = [*request.seeds, *map(ord, "".join(request.prompts)), round(100 * request.alpha)]
    clouds = np.random.default_rng(numbers).integers(0, 256, (request.height // 32, request.width // 32), np.uint8)
    image = Image.fromarray(clouds).resize((request.width, request.height), Image.Resampling.BICUBIC).convert("RGB")
    if request.init is not None and request.mask is not None:
        image = Image.composite(image, request.init, request.mask)
    return image


def flat(level: int) -> Callable[[Request], Image.Image]:
    """One grey all over."""
    return lambda request: Image.new("RGB", (request.width, request.height), (level,) * 3)
