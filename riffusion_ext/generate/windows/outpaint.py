"""Init images of windows with finished neighbours."""

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
    """Paste the columns of the neighbours over both ends of an init image.

    Parameters
    ----------
    init
        RGB image of that size; None continues the known columns, mirrored and mixed. Then at least one side is known.
    left, right
        Pixels [height, columns, 3] of the neighbours at the ends; None if unknown.
    size
        Width and height.
    """
    width = size[0]
    pixels = _mirror(left, right, width) if init is None else np.array(init)
    if left is not None:
        pixels[:, : left.shape[1]] = left
    if right is not None:
        pixels[:, width - right.shape[1] :] = right
    return Image.fromarray(pixels)


def _mirror(left: Pixels | None, right: Pixels | None, width: int) -> Pixels:
    """Continue the known columns at the ends by repeated mirroring; cross-fade if both ends are known.

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
