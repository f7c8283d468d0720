r"""Blend the images of windows into one wide spectrogram that is never in memory as a whole.

::

    window 0   ==========\                       magnitude of each pixel by the black of its image,
    window 1          \===========\               times the window's gain, times a weight;
    window 2                    \==========       the weights of a column sum to 1

Levels: where two windows share columns, they should be equally loud. One gain for each window is fitted to all seams at
once (least squares in decibels), with a slight pull towards no gain that keeps the errors of many seams from adding
up.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.windows.masks import ramp
from riffusion_ext.generate.windows.plan import Plan
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.source import Source, source_from_image

__all__ = [
    "GAIN_PENALTY_RIFF",
    "GAIN_PENALTY_SONG",
    "BlendedSpectrogram",
    "WindowMeasurements",
    "level_gains",
    "weights_of",
]

GAIN_PENALTY_SONG = 1e-3
"""Pull towards no gain if nothing determines the level of a window: seams have priority."""
GAIN_PENALTY_RIFF = 0.1
"""Pull towards no gain if each window was generated from a known one: its own level is nearly right."""

_MAX_STEP_DB = 12.0
"""Larger steps at a seam are different music, not a different level."""
_SILENT_DB = -80.0
_CACHE = 4


def weights_of(plan: Plan, number: int) -> npt.NDArray[np.float64]:
    """Return the weights [width] of the columns of a window: 1 inside, 0 outside its range, ramps at the borders."""
    window = plan.windows[number]
    columns = np.arange(window.start, window.end)
    weights = ((columns >= window.first) & (columns < window.last)).astype(np.float64)
    if number:
        fade = plan.fade(number - 1)
        low = window.first - fade // 2 - window.start
        weights[low : low + fade] = ramp(fade)
    if number + 1 < len(plan.windows):
        fade = plan.fade(number)
        low = window.last - fade // 2 - window.start
        weights[low : low + fade] = 1.0 - ramp(fade)
    return weights


@dataclass(frozen=True)
class WindowMeasurements:
    """Cache of measurements of the windows of a song, so that no image is opened twice for them.

    Attributes
    ----------
    max_values
        Magnitudes of black, by the number of the window in the song.
    steps
        Level steps in dB, by (number of the window before the seam, columns of the fade).
    """

    max_values: dict[int, float] = field(default_factory=dict)
    steps: dict[tuple[int, int], float] = field(default_factory=dict)


class BlendedSpectrogram:
    """Mel magnitudes of a song, computed range by range from the images of its windows.

    Parameters
    ----------
    plan
        Plan of the song.
    read_image
        Opens the image of a window by number, with its recorded parameters and magnitude of black. Called repeatedly,
        as only a few images are cached.
    gains
        Factors for the windows; None: computed by :func:`level_gains` with `gain_penalty`.
    gain_penalty
        See :func:`level_gains`.
    measured
        Earlier measurements of these images; missing ones are added.
    first
        Number in the song of the first window of the plan.

    Raises
    ------
    RiffusionError
        An image has another size than its window.
    """

    def __init__(
        self,
        plan: Plan,
        read_image: Callable[[int], Image.Image],
        *,
        gains: Sequence[float] | None = None,
        gain_penalty: float = GAIN_PENALTY_SONG,
        measured: WindowMeasurements | None = None,
        first: int = 0,
    ) -> None:
        self.plan = plan
        self._measured = WindowMeasurements() if measured is None else measured
        self._first = first
        self._read_image = read_image
        self._settings = DecodeSettings(channels="stereo" if plan.params.stereo else "mono", params=plan.params)
        self._sources: OrderedDict[int, Source] = OrderedDict()
        self._lock = threading.Lock()
        self.gains = tuple(level_gains(self, gain_penalty=gain_penalty) if gains is None else gains)
        if len(self.gains) != len(plan.windows):
            raise RiffusionError(f"{len(plan.windows)} windows need as many gains, got {len(self.gains)}")

    def mel(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return the magnitudes [C, stop - start, n_mels] of columns of the song, in 16-bit sample units."""
        params = self.plan.params
        result = np.zeros((params.channels, stop - start, params.num_frequencies), np.float32)
        for window in self.plan.windows:
            if window.end <= start or window.start >= stop:
                continue
            low, high = max(start, window.start), min(stop, window.end)
            weights = weights_of(self.plan, window.number)[low - window.start : high - window.start]
            used = np.flatnonzero(weights)
            if not len(used):
                continue
            low, high = low + int(used[0]), low + int(used[-1]) + 1
            share = (weights[used[0] : used[-1] + 1] * self.gains[window.number]).astype(np.float32)
            result[:, low - start : high - start] += self.of_window(window.number, low, high) * share[:, None]
        return result

    def of_window(self, number: int, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return the magnitudes [C, stop - start, n_mels] of columns of the song in one window, without its gain."""
        offset = self.plan.windows[number].start
        return self._source(number).mel(start - offset, stop - offset)

    def source(self) -> Source:
        """Return the song as a source for the inversion."""
        max_value = max(self.max_value(window.number) for window in self.plan.windows)
        return Source(self.plan.params, self.plan.columns, max_value, (), self.mel, recorded=True)

    def max_value(self, number: int) -> float:
        """Return the magnitude of black in the image of a window, without its gain."""
        max_values, place = self._measured.max_values, self._first + number
        return max_values[place] if place in max_values else self._source(number).max_value

    def step_db(self, number: int) -> float:
        """Return the level of window `number` relative to the next, in dB, in their shared columns; NaN if silent."""
        steps, seam = self._measured.steps, (self._first + number, self.plan.fade(number))
        if seam not in steps:
            steps[seam] = _step_db(self, number)
        return steps[seam]

    def _source(self, number: int) -> Source:
        with self._lock:
            if number in self._sources:
                self._sources.move_to_end(number)
                return self._sources[number]
        image = self._read_image(number)
        window, height = self.plan.windows[number], self.plan.params.num_frequencies
        if image.size != (window.width, height):
            raise RiffusionError(
                f"the image of window {number + 1} is {image.width} x {image.height}, "
                f"it should be {window.width} x {height}"
            )
        source = source_from_image(image, self._settings).in_sample_units()
        with self._lock:
            self._sources[number] = source
            self._measured.max_values[self._first + number] = source.max_value
            while len(self._sources) > _CACHE:
                self._sources.popitem(last=False)
        return source


def level_gains(blend: BlendedSpectrogram, *, gain_penalty: float = GAIN_PENALTY_SONG) -> list[float]:
    """Return the gains that make neighbouring windows equally loud in their shared columns.

    With the level steps ``d`` at the seams, in dB, the gains ``g`` minimise
    ``sum (g[i] - g[i + 1] + d[i]) ** 2 + gain_penalty * sum g[i] ** 2``: a tridiagonal system of equations.

    Parameters
    ----------
    blend
        Its images are read once from left to right, unless they are measured already.
    gain_penalty
        Pull towards no gain, above 0; a level step is spread over about ``2 / sqrt(gain_penalty)`` windows.

    Returns
    -------
    list of float
        Factors, each above 0.
    """
    windows = blend.plan.windows
    steps = np.array([blend.step_db(number) for number in range(len(windows) - 1)])
    if not np.any(steps):  # silence, or images that agree already
        return [1.0] * len(windows)
    from scipy.linalg import solveh_banded

    measured = np.isfinite(steps)
    steps = np.where(measured, np.clip(steps, -_MAX_STEP_DB, _MAX_STEP_DB), 0.0)
    links = measured.astype(np.float64)
    matrix = np.zeros((2, len(windows)))
    matrix[1] = gain_penalty + np.append(links, 0.0) + np.append(0.0, links)
    matrix[0, 1:] = -links
    rhs = np.append(0.0, steps) - np.append(steps, 0.0)
    return [10 ** (gain / 20) for gain in solveh_banded(matrix, rhs)]


def _step_db(blend: BlendedSpectrogram, number: int) -> float:
    """Measure the level step for :meth:`BlendedSpectrogram.step_db`.

    The mean of squares is used, not a fit of one to the other: a fit lowers the second wherever the two differ. If one
    was generated from the other, columns are weighted by how much of them it had to keep: there both show the same
    music, and further in they may differ.
    """
    plan = blend.plan
    one, other = plan.windows[number], plan.windows[number + 1]
    fade = plan.fade(number)
    if not fade:
        return math.nan
    low, high = one.last - fade // 2, one.last + fade // 2
    weights = np.ones(fade)
    if other.known_left:
        weights = ramp(fade)[::-1]
    elif one.known_right:
        weights = ramp(fade)
    levels = []
    for side in (number, number + 1):
        energy = np.square(blend.of_window(side, low, high), dtype=np.float64).mean(axis=(0, 2))
        levels.append(float(energy @ weights / weights.sum()))
    max_value = blend.max_value(number)
    if min(levels) <= (max_value * 10 ** (_SILENT_DB / 20)) ** 2:
        return math.nan
    return 10 * math.log10(levels[0] / levels[1])
