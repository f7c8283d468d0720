"""Masks and weights of the columns that neighbouring windows share.

One ramp serves both the mask of the image and the weights of the blend, so a window fades in exactly where it was
free to generate::

    before   =========._                 _.========   after
                        `-._         _.-'
                            `-.___.-'                 one half in the middle of the shared columns
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from riffusion_ext.errors import RiffusionError

__all__ = ["combine_masks", "ramp", "soft_mask"]


def ramp(columns: int) -> npt.NDArray[np.float64]:
    """Return a raised-cosine ramp [columns] from 0 to 1, symmetric: ``ramp(n) + ramp(n)[::-1]`` is 1."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(columns) + 0.5) / max(columns, 1))


def soft_mask(width: int, height: int, left: int, right: int) -> Image.Image | None:
    """Draw the inpainting mask of a window: black at edges that the neighbours determine, white in the middle.

    Parameters
    ----------
    width, height
        Size of the window in pixels.
    left, right
        Columns of the ramps at the two edges; together at most the width.

    Returns
    -------
    PIL.Image.Image
        Mode L, white = regenerate, black = keep; None if nothing is kept.
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
    """Multiply two masks of one size, so that only what both regenerate is regenerated; None counts as all white."""
    if first is None or second is None:
        return first or second
    return ImageChops.multiply(first, second)
