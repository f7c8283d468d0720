"""From one prompt to another in so many images, as the original library does it.

Texts are mixed linearly, the two noises on a sphere, and guidance and denoising linearly. Every image starts from
the same seed image, which is what keeps them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import GRAIN, Backend, Request, accepts_mixed
from riffusion_ext.generate.score.keyframes import curved

__all__ = ["End", "Interpolation", "alphas", "fitted", "generate"]


@dataclass(frozen=True)
class End:
    """One of the two ends.

    Parameters
    ----------
    prompt, negative
        In the host's syntax.
    seed
        Any whole number; taken modulo 2 ** 32.
    denoise
        How much of the seed image is regenerated, 0 to 1.
    cfg
        Guidance scale, 1 or more.
    """

    prompt: str
    negative: str = ""
    seed: int = 0
    denoise: float = 0.75
    cfg: float = 7.0


@dataclass(frozen=True)
class Interpolation:
    """The way between two ends.

    Parameters
    ----------
    start, end
        From and to.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    seed_picture
        What the images start from, as it is given by :func:`fitted`; None: noise alone.
    mask
        White is regenerated, black is kept; scaled to the seed image.
    width, height
        Where there is no seed image, in pixels.
    """

    start: End
    end: End
    steps: int = 50
    sampler: str = ""
    seed_picture: Image.Image | None = None
    mask: Image.Image | None = None
    width: int = 512
    height: int = 512

    def request(self, alpha: float) -> Request:
        """Return what to generate at a place on the way, 0 (the start) to 1 (the end).

        Raises
        ------
        RiffusionError
            A number is out of range.
        """
        a, b, init = self.start, self.end, self.seed_picture
        if self.mask is not None and init is None:
            raise RiffusionError("a mask keeps parts of an init image, so it needs one")
        width, height = (self.width, self.height) if init is None else init.size
        return Request(
            prompts=(a.prompt, b.prompt),
            alpha=alpha,
            negatives=(a.negative, b.negative),
            seeds=(a.seed % 2**32, b.seed % 2**32),
            cfg=_between(a.cfg, b.cfg, alpha),
            denoise=None if init is None else _between(a.denoise, b.denoise, alpha),
            steps=self.steps,
            sampler=self.sampler,
            width=width,
            height=height,
            init=init,
            mask=None if self.mask is None else self.mask.convert("L").resize((width, height)),
        )


def alphas(count: int, power: float = 1.0) -> list[float]:
    """Return the places of so many images: even steps from 0 to 1, bent by the original's power curve.

    Parameters
    ----------
    count
        1 or more; a single one is the start.
    power
        Above 0; 1 is even.
    """
    if count < 1:
        raise RiffusionError(f"at least 1 image is needed, got {count}")
    if not (math.isfinite(power) and 0.05 <= power <= 20):
        raise RiffusionError(f"the power must lie between 0.05 and 20, got {power:g}")
    return [curved(number / (count - 1), power) for number in range(count)] if count > 1 else [0.0]


def fitted(image: Image.Image, height: int = 512) -> Image.Image:
    """Return an image as generation needs it: RGB, of that height, as many columns as fit into multiples of 64."""
    image = image.convert("RGB")
    if image.height != height:
        image = image.resize((image.width, height), Image.Resampling.LANCZOS)
    width = max(image.width // GRAIN * GRAIN, GRAIN)
    if image.width < GRAIN:
        return image.resize((width, height), Image.Resampling.LANCZOS)
    return image.crop((0, 0, width, height))


def generate(
    requests: Sequence[Request], backend: Backend, *, generated: Callable[[int], object] = lambda number: None
) -> list[Image.Image]:
    """Generate images, in batches as large as the backend takes where requests allow it.

    Parameters
    ----------
    requests
        In any mix.
    backend
        Generates.
    generated
        Called with the number of images that are there, after each.

    Returns
    -------
    list
        In the order of the requests; where the user stopped, those from the first on that are there without a gap.
    """
    images: dict[int, Image.Image] = {}
    for batch in _batches(requests, max(1, backend.max_batch), any_kind=accepts_mixed(backend)):

        def on_image(index: int, image: Image.Image, batch: list[int] = batch) -> None:
            images[batch[index]] = image
            generated(len(images))

        backend.generate([requests[number] for number in batch], on_image)
        if backend.interrupted:
            break
    count = 0
    while count in images:
        count += 1
    return [images[number] for number in range(count)]


def _batches(requests: Sequence[Request], most: int, *, any_kind: bool) -> Iterator[list[int]]:
    """Put neighbours that can be generated together into batches."""
    batch: list[int] = []
    kind: Hashable = None
    for number, request in enumerate(requests):
        if batch and (len(batch) == most or not (any_kind or request.batch_key == kind)):
            yield batch
            batch = []
        batch.append(number)
        kind = request.batch_key
    if batch:
        yield batch


def _between(a: float, b: float, alpha: float) -> float:
    return min(max(a + (b - a) * alpha, min(a, b)), max(a, b))
