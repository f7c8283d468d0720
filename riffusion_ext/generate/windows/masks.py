"""How neighbouring windows share the columns they have in common.

One ramp serves both the image's mask and the weights of the weave, so that a window fades in exactly where it was
free to generate::

    before   =========._                 _.========   after
                        `-._         _.-'
                            `-.___.-'                 half-way in the middle of the columns shared
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from riffusion_ext.errors import RiffusionError

__all__ = ["combine_masks", "ramp", "soft_mask"]


def ramp(columns: int) -> npt.NDArray[np.float64]:
    """Rising half of a cosine [columns], symmetric: ``ramp(n) + ramp(n)[::-1]`` is 1."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(columns) + 0.5) / max(columns, 1))


def soft_mask(width: int, height: int, left: int, right: int) -> Image.Image | None:
    """Draw what a window may regenerate: nothing at edges that neighbours decide, and ever more towards its middle.

    Parameters
    ----------
    width, height
        Of the window, in pixels.
    left, right
        Columns of the ramps at the two edges; together at most the width.

    Returns
    -------
    PIL.Image.Image
        Mode L, white = regenerate, black = keep; None where nothing is kept.
    """
    if not 0 <= left + right <= width or min(left, right) < 0:
        raise RiffusionError(f"masks of {left} and {right} columns do not fit into {width}")
    if not left + right:
        return None
    free = np.ones(width)
    free[:left] = ramp(left)
    free[width - right :] = ramp(right)[::-1]
    row = np.rint(255 * free).astype(np.uint8)
    return Image.fromarray(np.repeat(row[None], height, axis=0))


def combine_masks(first: Image.Image | None, second: Image.Image | None) -> Image.Image | None:
    """Return the mask that regenerates only what both of two masks of one size regenerate."""
    if first is None or second is None:
        return first or second
    return ImageChops.multiply(first, second)
