"""Where images begin, between two seeds: the hosts' own noises, mixed by one spherical interpolation.

Riffusion's interpolation, after Shoemake, "Animating rotation with quaternion curves" (SIGGRAPH 1985): over the whole
noise at once, so that what is between two noises is as loud as they are. webui's own, for variation seeds, takes the
columns one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["MixedNoise", "slerp"]

_PARALLEL = 0.9995
"""Cosine beyond which two noises lie on a line, and are mixed linearly; the original's own limit."""


class MixedNoise:
    """Stands in for webui's ``ImageRNG``: gives the noise for the start and, to ancestral samplers, that of each step.

    Parameters
    ----------
    first, second
        webui's noises of the two seeds of each image.
    alphas
        Where between the two, 0 to 1, for each image.
    """

    def __init__(self, first: Any, second: Any, alphas: Sequence[float]) -> None:
        self._first, self._second, self._alphas = first, second, alphas

    def next(self) -> torch.Tensor:
        """Return the next noise of all images, [N, C, H, W]."""
        first, second = self._first.next(), self._second.next()
        pairs = zip(first, second, self._alphas, strict=True)
        return torch.stack([slerp(a, b, alpha) for a, b, alpha in pairs])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)  # shape, seeds, generators: what samplers and scripts look at


def slerp(a: torch.Tensor, b: torch.Tensor, alpha: float) -> torch.Tensor:
    """Interpolate spherically between two noises.

    Parameters
    ----------
    a, b : torch.Tensor [any shape]
        Not zero.
    alpha
        0 gives `a`, 1 gives `b`.

    Returns
    -------
    torch.Tensor [shape, type and device of `a`]
        Computed on the processor in float64, which some devices (Apple's MPS) do not have.
    """
    if alpha <= 0 or alpha >= 1:
        return a if alpha <= 0 else b
    x, y = (noise.detach().cpu().double().flatten() for noise in (a, b))
    cosine = float((x @ y) / (x.norm() * y.norm()))
    if abs(cosine) > _PARALLEL:
        return torch.lerp(a, b, alpha)
    angle = math.acos(cosine)
    mixed = (math.sin((1 - alpha) * angle) * x + math.sin(alpha * angle) * y) / math.sin(angle)
    return mixed.reshape(a.shape).to(a.dtype).to(a.device)  # the type first: the device may know no float64
