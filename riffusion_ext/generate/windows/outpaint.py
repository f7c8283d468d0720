"""What a window starts from where its neighbours are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.generate.windows.masks import ramp

__all__ = ["Pixels", "outpaint_init"]

Pixels = npt.NDArray[np.uint8]


def outpaint_init(
    init: Image.Image | None, left: Pixels | None, right: Pixels | None, size: tuple[int, int]
) -> Image.Image:
    """Lay what the neighbours decide over both ends of an image.

    Parameters
    ----------
    init
        RGB image of that size; None: what is known, mirrored and mixed. At least one side is known then.
    left, right
        Pixels [height, columns, 3] of the neighbours at the ends.
    size
        Width and height.
    """
    width = size[0]
    pixels = _mirrored(left, right, width) if init is None else np.array(init)
    if left is not None:
        pixels[:, : left.shape[1]] = left
    if right is not None:
        pixels[:, width - right.shape[1] :] = right
    return Image.fromarray(pixels)


def _mirrored(left: Pixels | None, right: Pixels | None, width: int) -> Pixels:
    """Continue what is known at the ends into the middle, mirrored to and fro; mixed where there are two ends.

    A model that regenerates at less than full strength then starts from music like that around it.
    """
    sides = []
    if left is not None:
        sides.append(np.pad(left, ((0, 0), (0, width - left.shape[1]), (0, 0)), mode="symmetric"))
    if right is not None:
        sides.append(np.pad(right, ((0, 0), (width - right.shape[1], 0), (0, 0)), mode="symmetric"))
    if len(sides) == 1:
        return np.array(sides[0])
    share = ramp(width)[None, :, None]
    mixed: Pixels = np.rint(sides[0] * (1.0 - share) + sides[1] * share).astype(np.uint8)
    return mixed
