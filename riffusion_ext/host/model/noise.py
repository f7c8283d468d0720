"""Initial noise between two seeds, by spherical interpolation of the webui's noises.

The interpolation is Riffusion's, after Shoemake, "Animating rotation with quaternion curves" (SIGGRAPH 1985). It treats
the whole noise as one vector, so that its norm is preserved. The webui's own, for variation seeds, treats each column
separately.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from riffusion_ext.host.base import HostObject

__all__ = ["MixedNoise", "slerp"]

_PARALLEL = 0.9995
"""Cosine above which two noises count as parallel and are interpolated linearly; the limit of the original."""


class MixedNoise:
    """Replacement of the webui's ``ImageRNG``: returns the initial noise and that of each step of ancestral samplers.

    Parameters
    ----------
    first, second
        The webui's ``ImageRNG`` of the two seeds of each image.
    alphas
        Position between the two, 0 to 1, of each image.
    """

    def __init__(self, first: HostObject, second: HostObject, alphas: Sequence[float]) -> None:
        self._first, self._second, self._alphas = first, second, alphas

    def next(self) -> torch.Tensor:
        """Return the next noise of all images, [N, C, H, W]."""
        first, second = self._first.next(), self._second.next()
        pairs = zip(first, second, self._alphas, strict=True)
        return torch.stack([slerp(a, b, alpha) for a, b, alpha in pairs])

    def __getattr__(self, name: str) -> HostObject:
        return getattr(self._first, name)  # shape, seeds, generators: read by samplers and scripts


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
        Computed on the CPU in float64, which some devices (Apple's MPS) lack.
    """
    if alpha <= 0 or alpha >= 1:
        return a if alpha <= 0 else b
    x, y = (noise.detach().cpu().double().flatten() for noise in (a, b))
    cosine = float((x @ y) / (x.norm() * y.norm()))
    if abs(cosine) > _PARALLEL:
        return torch.lerp(a, b, alpha)
    angle = math.acos(cosine)
    mixed = (math.sin((1 - alpha) * angle) * x + math.sin(alpha * angle) * y) / math.sin(angle)
    return mixed.reshape(a.shape).to(a.dtype).to(a.device)  # the dtype first: the device may lack float64
