"""Decode images whose STFT is not centred: their first column lies `lead` samples inside the sound.

The reconstruction assumes a column at each end of its signal. So the image is extended by its mirror, reconstructed,
and cut::

    columns       -1    0    1    2  ...  T - 1   T          mirrored columns, as the sound was padded by reflection
    centres        |----|----|----|---...---|-----|
    sound            |<--- lead + (T - 1) * hop + lead --->|
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from riffusion_ext.params import SpectrogramParams

__all__ = ["Framing"]

_Mel = TypeVar("_Mel", np.ndarray, torch.Tensor)


class Framing:
    """The columns that an image is extended by, and the samples that are cut off in turn.

    Parameters
    ----------
    params
        Parameters of the image.

    Attributes
    ----------
    columns
        Columns added at each end; 0 for a centred STFT.
    skip
        Samples at ``params.sample_rate`` between the centre of the first added column and the start of the sound.
    """

    def __init__(self, params: SpectrogramParams) -> None:
        self.columns = -(-params.lead // params.hop_length)
        self.skip = self.columns * params.hop_length - params.lead
        self._shift = round(2 * params.lead / params.hop_length)

    def extend(self, mel_between: Callable[[int, int], _Mel], frames: int) -> Callable[[int, int], _Mel]:
        """Return a function like `mel_between`, of `frames` columns, that counts from the first added column."""
        if not self.columns:
            return mel_between

        def between(start: int, stop: int) -> _Mel:
            index = np.arange(start, stop) - self.columns
            index = np.where(index < 0, -index - self._shift, index)
            index = np.where(index >= frames, 2 * (frames - 1) + self._shift - index, index)
            index = np.clip(index, 0, frames - 1)
            low = int(index.min())
            return mel_between(low, int(index.max()) + 1)[:, index - low]

        return between
