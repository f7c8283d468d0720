"""The seam between songs and whatever generates their images.

A backend generates images from requests; it knows nothing of songs, windows or sound. A request knows nothing of
models. The whole interface fits on this page, so that a test can stand in for a model in twenty lines.
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
    """One image to be generated.

    Parameters
    ----------
    prompts
        From and to, in the host's own syntax; the texts' embeddings are mixed linearly.
    alpha
        Where between the two, 0 (the first) to 1 (the second).
    negatives
        Negative prompts, mixed in the same way.
    seeds
        Of the two noises, which are mixed by one spherical interpolation over the whole image. Each is taken modulo
        2 ** 32; none means "choose one".
    cfg
        Guidance scale, 1 or more.
    denoise
        Strength with which `init` is regenerated, 0 (as it is) to 1; None generates from noise alone.
    steps, sampler
        As the host counts and names them; an empty name leaves the choice to the host.
    width, height
        In pixels, multiples of 64.
    init
        RGB image of that size; None if and only if `denoise` is.
    mask
        L image of that size: white is regenerated, black is kept, grey is in between; None regenerates all.
    loop
        Whether the image's right edge shall lead into its left one.

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
        """Equal for requests that may be generated as one batch: hosts take one of each of these for all of it."""
        mask = None if self.mask is None else hashlib.sha256(self.mask.tobytes()).digest()
        size = (self.width, self.height)
        return (self.steps, self.sampler, self.cfg, self.denoise, size, self.loop, mask)


class BackendUnavailableError(RiffusionError):
    """What should generate cannot be reached, or not be used for now: another one may do."""


class RefusedError(RiffusionError):
    """A request cannot be generated, and nobody else could generate it either."""


@dataclass(frozen=True)
class Activity:
    """What a backend is at just now: a step of its sampler, 1 to `steps`; or it waits for its turn."""

    step: int = 0
    steps: int = 0
    waiting: bool = False


class Backend(Protocol):
    """Something that generates images."""

    @property
    def name(self) -> str:
        """What it is, for people and records: the host and its model."""
        ...

    @property
    def max_batch(self) -> int:
        """How many requests it takes at once, 1 or more."""
        ...

    @property
    def interrupted(self) -> bool:
        """Whether the last :meth:`generate` was stopped by the user before all its images were finished."""
        ...

    @property
    def activity(self) -> Activity | None:
        """What :meth:`generate` is at, asked from another thread; None where there is nothing to say."""
        ...

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        """Generate images.

        Parameters
        ----------
        requests
            1 to :attr:`max_batch`, all with one :attr:`Request.batch_key` unless :func:`accepts_mixed` is true of it.
        on_image
            Called once for each image as soon as it is finished; never with one that was interrupted half-way.

        Returns
        -------
        list
            RGB images of the sizes asked for, in the order of the requests; fewer only when interrupted, and then
            those that `on_image` was given.

        Raises
        ------
        RiffusionError
            The images cannot be generated; one sentence says why. Others of the host's errors come through as well.
            :class:`BackendUnavailableError` and :class:`RefusedError` tell whether it is worth while to ask somebody
            else.
        """
        ...

    def interrupt(self) -> None:
        """Make :meth:`generate` stop soon, from another thread; what is generated for others goes on."""
        ...


def accepts_mixed(backend: Backend) -> bool:
    """Whether a backend takes requests of any kinds at once, as several of them do, each of which generates its own."""
    return bool(getattr(backend, "accepts_mixed", False))
