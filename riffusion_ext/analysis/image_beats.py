"""Beats of an image: a steady pulse fitted to how suddenly a band of it darkens.

::

    image --band--> darkness [rows, columns] --rises--> row [columns] --comb--> period, phase --peaks--> ImageBeats

The controls are those of the beat finder of sd-webui-riffusion. That one takes every sufficiently dark column of the
band for a beat, which misses soft beats and counts long notes repeatedly, and it multiplies the median of their
distances by their number, so that one missed beat moves the cut. Here a column counts by how much darker it is than the
one before, and a single steady pulse has to explain the whole image: missed and surplus hits do not matter.

Sources: the rise of the compressed spectrum as onset strength, and the preference for 120 beats per minute: Ellis,
"Beat tracking by dynamic programming", J. New Music Research 36 (2007). Comb of pulses: Scheirer, "Tempo and beat
analysis of acoustic musical signals", J. Acoust. Soc. Am. 103 (1998).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.bounds import BEAT_FINDER
from riffusion_ext.analysis.parabola import vertex_offset
from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import in_range

__all__ = ["BeatFinder", "ImageBeats", "find_beats", "strength_row"]

Row = npt.NDArray[np.float64]

_USUAL_PERIOD_S = 0.5
"""Preferred period if several fit: 120 beats per minute; one octave away, the weight is 0.6."""
_MIN_PERIOD_S, _MAX_PERIOD_S = 0.25, 1.5

_RISE_S = 0.02
"""Half the time over which a rise is measured; an attack is smeared over the analysis window, 0.1 s."""

_ATTACK_LEAD = 0.25
"""Fraction of a window by which darkness rises fastest before the attack: with the fourth root of the magnitude, the
first part of an attack inside the window counts nearly as much as the whole."""

_MIN_COMB_HEIGHT = 5.2
"""Minimum height of the comb's response, in standard deviations of the row, to be a beat. Noise reaches 4 to 5, music
with drums 7 to 12; between 5 and 6, three of four loops of orchestral music fit."""
_MIN_HIT_SHARE = 0.5
"""Minimum fraction of the beats that must have a hit."""

_MIN_PARITY_GAP = 0.75
"""Difference between the fractions of even and odd beats with a hit, from which one kind are no beats."""

_COMB_COLUMNS = 2048
"""Columns of the first search; a longer image is followed from there to its end."""
_SMOOTH = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0


@dataclass(frozen=True)
class BeatFinder:
    """Settings of the beat finder.

    Parameters
    ----------
    rhythm
        Beats in a bar, 1 to 64; a loop is a whole number of bars.
    band_start, band_length
        Band of the image that is used, as fractions of its height from the top: 0 is the highest pitch.
    threshold
        How much weaker than the strongest hit a hit may be, 0.01 to 1: 0.1 accepts only hits nearly as strong, 0.75
        also those a quarter as strong, 1 all.
    ignore_range
        Shortest time between two beats, 0.05 to 4 s; hits that follow sooner are ignored.

    Raises
    ------
    RiffusionError
        A value lies outside its range.
    """

    rhythm: int = 4
    band_start: float = 0.25
    band_length: float = 0.5
    threshold: float = 0.75
    ignore_range: float = 0.25

    def __post_init__(self) -> None:
        for item in fields(self):
            in_range(item.name.replace("_", " "), getattr(self, item.name), *BEAT_FINDER[item.name])
        if int(self.rhythm) != self.rhythm:
            raise RiffusionError(f"rhythm must be a whole number of beats, got {self.rhythm:g}")

    def rows(self, height: int) -> tuple[int, int]:
        """Return the first row and the end row of the band in an image of the given height; at least one row."""
        first = min(int(height * self.band_start), height - 1)
        return first, max(first + 1, min(height, round(height * (self.band_start + self.band_length))))


@dataclass(frozen=True)
class ImageBeats:
    """Beats found in an image.

    Attributes
    ----------
    row : np.ndarray [shape=(columns,), float64]
        How much darker the band becomes at each column, 0 to 1.
    limit
        Minimum height of a hit, in units of the row.
    period
        Columns between two beats, usually not a whole number; 0.0 if there is no beat.
    first
        Column of the first beat; slightly below 0 if it falls on the image's edge.
    hits
        Columns of all hits, on a beat or not.
    why
        Reason if there is no beat.
    """

    row: Row
    limit: float
    period: float = 0.0
    first: float = 0.0
    hits: tuple[float, ...] = ()
    why: str = ""

    @property
    def columns(self) -> list[float]:
        """Columns of the beats inside the image."""
        if not self.period:
            return []
        count = max(0, math.ceil((len(self.row) - 1 - self.first) / self.period))
        return [max(0.0, self.first + number * self.period) for number in range(count)]


def strength_row(darkness: npt.NDArray[np.float32], step_s: float) -> Row:
    """Return how much darker each column is than the one before, averaged over rows that become darker.

    Parameters
    ----------
    darkness : np.ndarray [shape=(rows, columns), 0 to 1]
        1 is black.
    step_s
        Time between two columns, in s.

    Returns
    -------
    np.ndarray [shape=(columns,), 0 to 1]
        Rows that become lighter count as 0, so that a long note is one hit, where it begins.
    """
    reach = max(1, round(_RISE_S / step_s))
    padded = np.pad(darkness, ((0, 0), (reach, reach)), mode="edge")
    rises = np.maximum(padded[:, 2 * reach :] - padded[:, : -2 * reach], 0.0)
    return np.asarray(rises.mean(axis=0), np.float64)


def find_beats(
    darkness: npt.NDArray[np.float32], finder: BeatFinder, *, step_s: float = 0.01, window_s: float = 0.1
) -> ImageBeats:
    """Find the beats of an image.

    Parameters
    ----------
    darkness : np.ndarray [shape=(height, columns), 0 to 1]
        The whole image, its top row first; 1 is black.
    finder
        Settings of the beat finder.
    step_s, window_s
        Time between two columns, and length of the analysis window, in s.
    """
    first, last = finder.rows(len(darkness))
    row = strength_row(darkness[first:last], step_s)
    limit = float(row.max()) * (1 - finder.threshold)
    shortest = max(_MIN_PERIOD_S, finder.ignore_range) / step_s
    longest = min(_MAX_PERIOD_S / step_s, (len(row) - 1) / max(finder.rhythm, 3))
    if row.max() < 1 / 255:  # less than one level of grey
        return ImageBeats(row, limit, why="nothing in the band becomes louder anywhere")
    if longest < shortest:
        bars = f"{finder.rhythm} beats" if finder.rhythm >= 3 else "three beats"
        return ImageBeats(
            row, limit, why=f"{bars} that are {shortest * step_s:g} s or more apart do not fit into the image"
        )
    hits, weights = _hits(row, limit, finder.ignore_range / step_s)
    comb_height, period, phase = _comb(np.where(row >= limit, row, 0.0), shortest, longest, _USUAL_PERIOD_S / step_s)
    period, phase = _refine(hits, weights, period, phase, len(row))
    period, phase = _without_silent_beats(hits, period, phase, len(row), longest)
    share_hit = _share_hit(hits, period, phase, len(row))
    found = ImageBeats(row, limit, hits=tuple(hits.tolist()))
    if comb_height < _MIN_COMB_HEIGHT or share_hit < _MIN_HIT_SHARE or not shortest * 0.9 <= period <= longest * 1.1:
        return ImageBeats(row, limit, hits=found.hits, why="no steady beat was found")
    start = (phase + _ATTACK_LEAD * window_s / step_s) % period
    # A loop that begins on the beat has its steepest rise before its first column, where it cannot be seen.
    start -= period if period - start < 2 * _RISE_S / step_s else 0.0
    return ImageBeats(row, limit, period, start, found.hits)


def _hits(row: Row, limit: float, min_distance: float) -> tuple[Row, Row]:
    """Return columns (with fractions) and heights of peaks from the limit on; higher peaks suppress near ones."""
    padded = np.pad(row, 2, constant_values=-1.0)
    highest = np.max([padded[shift : shift + len(row)] for shift in range(5)], axis=0)
    peaks = np.flatnonzero((row == highest) & (row >= limit) & (row > 0))
    kept: list[int] = []
    for peak in sorted(peaks.tolist(), key=lambda peak: -row[peak]):
        if all(abs(peak - other) >= min_distance for other in kept):
            kept.append(peak)
    kept.sort()
    return np.array([_interpolate(row, peak) for peak in kept], np.float64), row[kept]


def _interpolate(row: Row, peak: int) -> float:
    """Refine the position of a peak by parabolic interpolation."""
    if not 0 < peak < len(row) - 1:
        return float(peak)
    return peak + float(vertex_offset(*row[peak - 1 : peak + 2]))


def _comb(row: Row, shortest: float, longest: float, usual: float) -> tuple[float, float, float]:
    """Correlate the row with combs of every period and phase; return height, period and phase of the best.

    The height is the sum over the comb's teeth divided by the square root of their number, in standard deviations of
    the row: independent of the period for random rows, and twice as high for twice the sound on the beat.
    """
    row = row[:_COMB_COLUMNS]
    smooth = np.convolve(row - row.mean(), _SMOOTH, "same")
    smooth -= smooth.mean()
    smooth /= smooth.std() + 1e-12
    columns = len(row)
    best = (-math.inf, 0.0, 0.0, 0.0)
    period = shortest
    while period <= longest:
        phases = np.arange(0.0, period)
        teeth = np.rint(phases[:, None] + np.arange(math.ceil(columns / period)) * period).astype(np.intp)
        inside = teeth < columns
        sums = np.where(inside, smooth[np.minimum(teeth, columns - 1)], 0.0).sum(axis=1)
        heights = sums / np.sqrt(np.maximum(inside.sum(axis=1), 1))
        at = int(heights.argmax())
        weighted = heights[at] * math.exp(-0.5 * math.log2(period / usual) ** 2)
        best = max(best, (weighted, float(heights[at]), period, float(phases[at])))
        period *= 1 + 1 / columns  # the last tooth moves by one column
    return best[1:]


def _refine(hits: Row, weights: Row, period: float, phase: float, columns: int) -> tuple[float, float]:
    """Fit period and phase to the hits near the comb by least squares, from the image's beginning to its end."""
    reach = min(columns, _COMB_COLUMNS)
    while True:
        for tolerance in (0.2, 0.15, 0.1):
            number = np.rint((hits - phase) / period)
            near = (np.abs(hits - phase - number * period) < max(tolerance * period, 2.5)) & (hits < reach)
            if len(set(number[near].tolist())) < 3:
                break
            root = np.sqrt(weights[near])
            terms = np.stack([np.ones_like(root), number[near]], axis=1) * root[:, None]
            (phase, period), *_ = np.linalg.lstsq(terms, hits[near] * root, rcond=None)
        if reach >= columns:
            return float(period), float(phase % period)
        reach = min(columns, round(1.25 * reach))


def _without_silent_beats(hits: Row, period: float, phase: float, columns: int, longest: float) -> tuple[float, float]:
    """Double the period if every second beat is silent, because the preference for 120 per minute made it too short."""
    if 2 * period > longest:
        return period, phase
    even, odd = (_share_hit(hits, 2 * period, start, columns) for start in (phase, phase + period))
    if abs(even - odd) < _MIN_PARITY_GAP:
        return period, phase
    return 2 * period, phase if even > odd else phase + period


def _share_hit(hits: Row, period: float, phase: float, columns: int) -> float:
    """Return the fraction of the beats with a hit nearby."""
    beats = np.arange(phase, columns - 1, period)
    if not len(hits) or not len(beats):
        return 0.0
    distance = np.abs(beats[:, None] - hits).min(axis=1)
    return float((distance <= max(0.1 * period, 3.0)).mean())
