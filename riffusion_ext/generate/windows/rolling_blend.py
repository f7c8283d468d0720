"""Blend the last windows of a jam into the end of a growing spectrogram."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.score.keyframes import Moment
from riffusion_ext.generate.windows.blend import BlendedSpectrogram
from riffusion_ext.generate.windows.outpaint import Pixels
from riffusion_ext.generate.windows.plan import Plan, Window
from riffusion_ext.params import SpectrogramParams

__all__ = ["GAIN_PENALTY", "RollingBlend"]

GAIN_PENALTY = 0.1
"""Pull towards no gain, see :func:`~riffusion_ext.generate.windows.blend.level_gains`. As there is no last seam, errors
must not add up: at this value, a gain is halved every 7 windows."""

_MAX_STEP_DB = 6.0


@dataclass(frozen=True)
class _Piece:
    start: int
    image: Image.Image
    moment: Moment
    gain_db: float


class RollingBlend:
    """Blend of the last windows of a jam.

    Parameters
    ----------
    params
        Spectrogram parameters of the images.
    width, overlap
        Width of the windows and overlap of neighbours, in columns.

    Attributes
    ----------
    settled
        Number of final columns since the start of the jam, which no later window fades into; the next one starts there.
    """

    def __init__(self, params: SpectrogramParams, width: int, overlap: int) -> None:
        self._params, self._width, self._overlap = params, width, overlap
        self._pieces: list[_Piece] = []
        self._blended: BlendedSpectrogram | None = None
        self.settled = 0

    @property
    def end(self) -> int:
        """First column after the last window."""
        return self.settled + self._overlap if self._pieces else 0

    def end_of_last(self) -> Pixels | None:
        """Return the pixels [height, overlap, 3] that the next window continues; None if it is the first."""
        if not self._pieces:
            return None
        return np.asarray(self._pieces[-1].image)[:, self._width - self._overlap :]

    def add(self, image: Image.Image, moment: Moment) -> None:
        """Append a window, an RGB image that starts at :attr:`settled`.

        Raises
        ------
        RiffusionError
            The image has another size.
        """
        size = (self._width, self._params.num_frequencies)
        if image.size != size:
            raise RiffusionError(
                f"an image of {size[0]} x {size[1]} was asked for, the one generated is {image.width} x {image.height}"
            )
        gain = 0.0
        if self._pieces:
            pair = [self._pieces[-1], _Piece(self.settled, image, moment, 0.0)]
            step = self._blend(pair).step_db(0)
            if math.isfinite(step):
                step = min(max(step, -_MAX_STEP_DB), _MAX_STEP_DB)
                # What makes (before - gain + step) ** 2 + HOLD * gain ** 2 least, as in level_gains.
                gain = (pair[0].gain_db + step) / (1 + GAIN_PENALTY)
        self._pieces.append(_Piece(self.settled, image, moment, gain))
        self.settled += self._width - self._overlap
        self._blended = self._blend(self._pieces)

    def mel(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return the magnitudes [C, stop - start, n_mels] of columns, in 16-bit sample units."""
        assert self._blended is not None
        first = self._pieces[0].start
        return self._blended.mel(start - first, stop - first)

    def forget(self, column: int) -> None:
        """Drop the windows that end before a column; the last one is kept."""
        kept = [piece for piece in self._pieces[:-1] if piece.start + self._width > column] + self._pieces[-1:]
        if len(kept) < len(self._pieces):
            self._pieces = kept
            self._blended = self._blend(kept)

    def _blend(self, pieces: list[_Piece]) -> BlendedSpectrogram:
        first, half = pieces[0].start, self._overlap // 2
        windows = []
        for number, piece in enumerate(pieces):
            start = piece.start - first
            final = number == len(pieces) - 1
            windows.append(
                Window(
                    number=number,
                    start=start,
                    width=self._width,
                    first=start + half if number else start,
                    last=start + self._width - (0 if final else half),
                    known_left=self._overlap if number else 0,
                    known_right=0,
                    moment=piece.moment,
                    pass_=0,
                    seeds=(piece.moment.a.seed, piece.moment.b.seed),
                )
            )
        samples = self._params.samples_of_columns(windows[-1].end)
        plan = Plan("jam", self._params, samples, 0, self._overlap, tuple(windows))
        gains = [10 ** (piece.gain_db / 20) for piece in pieces]
        return BlendedSpectrogram(plan, lambda number: pieces[number].image, gains=gains)
