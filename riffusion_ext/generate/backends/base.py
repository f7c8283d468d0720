"""The interface between songs and whatever generates their images.

A backend generates images from requests; it knows nothing of songs, windows or sound. A request knows nothing of
models. The interface is small, so a test can replace a model in twenty lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.bounds import ALPHA, DENOISE, GRAIN, IMAGE_CFG, LARGEST_SIDE, STEPS
from riffusion_ext.validation.numbers import in_range

__all__ = [
    "GRAIN",
    "LARGEST_SIDE",
    "Activity",
    "Backend",
    "BackendUnavailableError",
    "OnImage",
    "RefusedError",
    "Request",
    "accepts_mixed",
]

OnImage = Callable[[int, Image.Image], None]
"""Takes (index into the requests, the finished image)."""


@dataclass(frozen=True)
class Request:
    """Request for one image.

    Parameters
    ----------
    prompts
        Start and end, in the host's own syntax; the embeddings of the texts are mixed linearly.
    alpha
        Position between the two, 0 (the first) to 1 (the second).
    negatives
        Negative prompts, mixed in the same way.
    seeds
        Seeds of the two noises, which are mixed by one spherical interpolation over the whole image. Each is taken
        modulo 2 ** 32; no value stands for "choose one".
    cfg
        Guidance scale, 1 or more.
    denoise
        Strength with which `init` is regenerated, 0 (as it is) to 1; None generates from noise alone.
    steps, sampler
        Steps and sampler, as the host counts and names them; an empty name leaves the choice to the host.
    width, height
        Size in pixels, multiples of 64.
    init
        RGB image of that size; None if and only if `denoise` is.
    mask
        L image of that size: white is regenerated, black is kept, grey is in between; None regenerates all.
    loop
        Whether the right edge of the image continues into the left one.

    Raises
    ------
    RiffusionError
        A value is out of range, or the images do not fit.
    """

    prompts: tuple[str, str]
    alpha: float = 0.0
    negatives: tuple[str, str] = ("", "")
    seeds: tuple[int, int] = (0, 0)
    cfg: float = 7.0
    denoise: float | None = None
    steps: int = 30
    sampler: str = ""
    width: int = 512
    height: int = 512
    init: Image.Image | None = None
    mask: Image.Image | None = None
    loop: bool = False

    def __post_init__(self) -> None:
        in_range("the position between the prompts", self.alpha, *ALPHA)
        in_range("CFG", self.cfg, *IMAGE_CFG)
        in_range("the number of steps", self.steps, *STEPS)
        if self.denoise is not None:
            in_range("the denoising strength", self.denoise, *DENOISE)
        for name in ("width", "height"):
            side = getattr(self, name)
            if not (GRAIN <= side <= LARGEST_SIDE and side % GRAIN == 0):
                raise RiffusionError(
                    f"the {name} must be a multiple of {GRAIN} between {GRAIN} and {LARGEST_SIDE}, got {side}"
                )
        if (self.init is None) != (self.denoise is None):
            raise RiffusionError("a denoising strength belongs to an image to start from; only one of them was given")
        if self.mask is not None and self.init is None:
            raise RiffusionError("a mask needs an image to keep")
        for name, image, mode in (("image to start from", self.init, "RGB"), ("mask", self.mask, "L")):
            if image is not None and (image.size, image.mode) != ((self.width, self.height), mode):
                raise RiffusionError(
                    f"the {name} must be {mode} of {self.width} x {self.height}, "
                    f"got {image.mode} of {image.width} x {image.height}"
                )

    @property
    def batch_key(self) -> Hashable:
        """Values that must be equal within a batch: hosts accept only one of each for a whole batch."""
        mask = None if self.mask is None else hashlib.sha256(self.mask.tobytes()).digest()
        size = (self.width, self.height)
        return (self.steps, self.sampler, self.cfg, self.denoise, size, self.loop, mask)


class BackendUnavailableError(RiffusionError):
    """The backend cannot be reached or used now; another one may be able to generate the request."""


class RefusedError(RiffusionError):
    """The request is invalid for any backend."""


@dataclass(frozen=True)
class Activity:
    """Current activity of a backend: a step of its sampler, 1 to `steps`, or waiting for other work to finish."""

    step: int = 0
    steps: int = 0
    waiting: bool = False


class Backend(Protocol):
    """Something that generates images."""

    @property
    def name(self) -> str:
        """Name of the host and its model, for people and records."""
        ...

    @property
    def max_batch(self) -> int:
        """Largest batch, 1 or more requests."""
        ...

    @property
    def interrupted(self) -> bool:
        """Whether the last :meth:`generate` was stopped by the user before all its images were finished."""
        ...

    @property
    def activity(self) -> Activity | None:
        """Current activity of :meth:`generate`, for other threads; None if unknown."""
        ...

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Generate images.

        Parameters
        ----------
        requests
            1 to :attr:`max_batch`, all with one :attr:`Request.batch_key` unless :func:`accepts_mixed` is true of it.
        on_image
            Called once for each image as soon as it is finished; never with one that was interrupted part-way.

        Returns
        -------
        list
            RGB images of the requested sizes, in the order of the requests; fewer only when interrupted, and then
            those that `on_image` got.

        Raises
        ------
        RiffusionError
            The images cannot be generated; the message says why. Other errors of the host are not caught.
            :class:`BackendUnavailableError` and :class:`RefusedError` tell whether another backend may succeed.
        """
        ...

    def interrupt(self) -> None:
        """Make :meth:`generate` stop soon, from another thread; work for other callers continues."""
        ...


def accepts_mixed(backend: Backend) -> bool:
    """Whether a backend accepts requests with different batch keys at once, as a pool of backends does."""
    return bool(getattr(backend, "accepts_mixed", False))
