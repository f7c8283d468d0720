"""Interpolate between two prompts in a number of images, as the original library does.

Text embeddings, guidance scale and denoising strength are mixed linearly, the two noises spherically. Every image
starts from the same init image, which keeps them similar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from riffusion_ext.audio import AudioClip
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate import bounds
from riffusion_ext.generate.backends.base import GRAIN, Backend, Request
from riffusion_ext.generate.backends.batches import generate_batches, leading_images
from riffusion_ext.generate.checkpoint.runner import Event, Progress, Stopped
from riffusion_ext.generate.piece import Piece
from riffusion_ext.generate.score.keyframes import power_curve
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.validation.numbers import in_range

__all__ = ["Interpolation", "InterpolationSettings", "PromptInput", "fit_init_image", "positions_of"]


@dataclass(frozen=True)
class PromptInput:
    """Prompt and settings at one end of an interpolation.

    Parameters
    ----------
    prompt, negative
        Prompts in the host's syntax.
    seed
        Any whole number; taken modulo 2 ** 32.
    denoise
        Denoising strength on the init image, 0 to 1.
    cfg
        Guidance scale, 1 or more.
    """

    prompt: str
    negative: str = ""
    seed: int = 0
    denoise: float = 0.75
    cfg: float = 7.0


@dataclass(frozen=True)
class InterpolationSettings:
    """Settings of an interpolation.

    Parameters
    ----------
    start, end
        The two ends.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    init
        Init image of all images, as :func:`fit_init_image` returns it; None: noise alone.
    mask
        White is regenerated, black is kept; scaled to the init image.
    width, height
        Size in pixels if there is no init image.
    """

    start: PromptInput
    end: PromptInput
    steps: int = 50
    sampler: str = ""
    init: Image.Image | None = None
    mask: Image.Image | None = None
    width: int = 512
    height: int = 512

    def request(self, alpha: float) -> Request:
        """Return the request for a position from 0 (start) to 1 (end).

        Raises
        ------
        RiffusionError
            A number is out of range, or there is a mask without an init image.
        """
        a, b, init = self.start, self.end, self.init
        if self.mask is not None and init is None:
            raise RiffusionError("a mask keeps parts of an init image, so it needs one")
        width, height = (self.width, self.height) if init is None else init.size
        return Request(
            prompts=(a.prompt, b.prompt),
            alpha=alpha,
            negatives=(a.negative, b.negative),
            seeds=(a.seed % 2**32, b.seed % 2**32),
            cfg=_mix(a.cfg, b.cfg, alpha),
            denoise=None if init is None else _mix(a.denoise, b.denoise, alpha),
            steps=self.steps,
            sampler=self.sampler,
            width=width,
            height=height,
            init=init,
            mask=None if self.mask is None else self.mask.convert("L").resize((width, height)),
        )


class Interpolation(Piece):
    """Images from one prompt to another, kept in memory, and their sound.

    Parameters
    ----------
    settings
        Settings of the interpolation.
    positions
        Position of each image, 0 to 1, such as those of :func:`positions_of`.
    decode
        Engine, device, level and parameters for the sound.
    on_image
        Called with the number of finished images, after each.

    Raises
    ------
    RiffusionError
        The settings do not fit together, or a number is out of range.

    Attributes
    ----------
    images
        Finished images up to the first that is missing.
    """

    def __init__(
        self,
        settings: InterpolationSettings,
        positions: Sequence[float],
        decode: DecodeSettings,
        *,
        on_image: Callable[[int], object] = lambda done: None,
    ) -> None:
        super().__init__(decode)
        self.settings = settings
        self.images: list[Image.Image] = []
        self._requests = [settings.request(alpha) for alpha in positions]
        self._on_image = on_image
        self._params = decode.params or PRESETS["riffusion-v1"]

    @property
    def seed(self) -> int:
        """Seed of the start."""
        return self.settings.start.seed

    def generate(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Generate all images from the start; see :meth:`~riffusion_ext.generate.piece.Piece.generate`."""
        requests = self._requests if limit is None else self._requests[: max(limit, 1)]
        done, total = 0, len(requests)
        images: dict[int, Image.Image] = {}
        yield Progress(0, total, None)
        for done in generate_batches(requests, backend, images, on_image=self._on_image):
            self.images = leading_images(images)
            yield Progress(done, total, None)
        if done < total:
            yield Stopped(done, total)

    def sound(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Decode all finished images as one sound; None if there are none."""
        if not self.images:
            return None
        from riffusion_ext.spectrogram.codec import song_to_audio

        decoded = song_to_audio(self.images, self.decode, progress=progress)
        self._params = decoded.params
        return decoded.clip

    def _sound_params(self) -> SpectrogramParams:
        return self._params


def positions_of(count: int, power: float = 1.0) -> list[float]:
    """Return the positions of `count` images: equal steps from 0 to 1, shaped by the original's power curve.

    Parameters
    ----------
    count
        1 or more; a single image is the start.
    power
        Exponent from 0.05 to 20; 1 is linear.

    Raises
    ------
    RiffusionError
        A value is out of range.
    """
    if count < 1:
        raise RiffusionError(f"at least 1 image is needed, got {count}")
    in_range("the power", power, *bounds.POWER)
    return [power_curve(number / (count - 1), power) for number in range(count)] if count > 1 else [0.0]


def fit_init_image(image: Image.Image, height: int = 512) -> Image.Image:
    """Return an image as generation needs it: RGB, scaled to a height, cropped to a multiple of 64 columns."""
    image = image.convert("RGB")
    if image.height != height:
        image = image.resize((image.width, height), Image.Resampling.LANCZOS)
    width = max(image.width // GRAIN * GRAIN, GRAIN)
    if image.width < GRAIN:
        return image.resize((width, height), Image.Resampling.LANCZOS)
    return image.crop((0, 0, width, height))


def _mix(a: float, b: float, alpha: float) -> float:
    return min(max(a + (b - a) * alpha, min(a, b)), max(a, b))
