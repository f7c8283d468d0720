"""Beat tracking.

::

    sketch --onset_strength.py--> onsets --tempo.py--> periods --dynamic programming--> beats --downbeats.py--> bars

After D. P. W. Ellis, "Beat Tracking by Dynamic Programming", Journal of New Music Research 36 (2007). Time and memory
grow linearly with the length of the song.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.downbeats import bar_accents, choose_downbeats, strongest_onsets
from riffusion_ext.analysis.onset_strength import Sketch, band_onsets, check_rate, check_sketch, onset_strength
from riffusion_ext.analysis.parabola import vertex_offset
from riffusion_ext.analysis.tempo import MIN_CONFIDENCE, follow_tempo
from riffusion_ext.errors import AudioError

__all__ = ["MIN_CONFIDENCE", "Beats", "onset_strength", "track"]

_SMOOTH_S = 0.015
_MEAN_S, _POWER_S = 3.0, 10.0
_ROUNDING = 0.003
"""Onset strength due to rounding: the levels of a steady tone fluctuate by this much."""
_MIN_POWER = 0.03
"""Fraction of the song's mean power below which a passage is not normalized fully, such as hiss before the music."""

_TIGHTNESS = 100.0
"""Cost of a step of e times the period, or 1/e of it, in standard deviations of the onsets."""

_MAX_STEP = 1.5
"""Longest step from beat to beat, and reciprocal of the shortest, in periods."""

_MIN_ONSET = 0.3
"""Fraction of the median onset at beats, below which the song has not begun yet, or has ended."""

_SPAN = 8
"""Beats over which the tempo is measured. More beats reduce the effect of the column spacing of 10 ms."""

_TEMPO_TOLERANCE, _MAX_OTHER_SHARE = 0.1, 0.25
"""Relative deviation from which a tempo is a different one; maximum fraction of beats with a different tempo."""


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of a song.

    Attributes
    ----------
    tempo
        Median tempo over the song, in beats per minute; 0.0 if there is no beat. With low confidence, it may be half
        or twice the tempo that people would tap, or two thirds or three halves of it.
    times : np.ndarray [shape=(N,), float64]
        Times of the beats in seconds, ascending.
    confidence
        0 to 1: confidence that there is a beat and that this is its tempo, octave included; it is reported
        from :data:`MIN_CONFIDENCE` on. Noise, steady tones, free speech, rhythms that can be counted in two ways and
        songs of several tempos have less.
    downbeats : np.ndarray [shape=(M,), float64]
        The times at which a bar begins.
    on_beats
        0 to 1: confidence that the times are on beats, even if they are half or twice as many as people would count.
    """

    tempo: float
    times: npt.NDArray[np.float64]
    confidence: float
    downbeats: npt.NDArray[np.float64]
    on_beats: float


_NO_BEATS = Beats(0.0, np.empty(0), 0.0, np.empty(0), 0.0)


def track(
    onset: npt.NDArray[np.floating],
    columns_per_second: float = 100.0,
    *,
    sketch: Sketch | None = None,
    beats_per_bar: int = 4,
) -> Beats:
    """Track the beats of a song.

    Parameters
    ----------
    onset : np.ndarray [shape=(T,)]
        Onset strength, as from :func:`onset_strength`.
    columns_per_second
        Columns of `onset` per second, 10 to 1000.
    sketch : np.ndarray [shape=(T, B)]
        Levels from which the onsets were computed. With it, bars begin where the bass enters and the chord changes;
        without it, at the strongest onsets, which with drums are often the snare.
    beats_per_bar
        2 or more.

    Returns
    -------
    Beats
        No beats for silence, and for less than a second.

    Raises
    ------
    AudioError
        An array has the wrong shape or contains NaN or infinity, or a number is out of range.
    """
    _check(onset, columns_per_second, sketch, beats_per_bar)
    if len(onset) < columns_per_second:
        return _NO_BEATS
    smooth, normalized = _normalize(onset, columns_per_second)
    if not normalized.any():
        return _NO_BEATS
    tempo = follow_tempo([normalized, *_band_onsets(normalized, sketch, columns_per_second)], columns_per_second)
    strength = np.maximum(normalized, 0)
    beats = _best_beats(strength, tempo.period_at(np.arange(len(onset))))
    beats = _trim(beats, strongest_onsets(beats, strength, columns_per_second))
    times = _interpolate(beats, smooth) / columns_per_second
    span = min(_SPAN, len(times) - 1)
    periods = (times[span:] - times[:-span]) / span if span else tempo.periods[:1] / columns_per_second
    period = np.median(periods)
    is_other = np.abs(np.log(periods / period)) > math.log1p(_TEMPO_TOLERANCE)
    confidence = tempo.confidence if is_other.mean() <= _MAX_OTHER_SHARE else 0.0
    if sketch is None:
        accents = strongest_onsets(beats, smooth, columns_per_second)
    else:
        accents = bar_accents(beats, sketch, beats_per_bar, columns_per_second)
    downbeats = times[choose_downbeats(accents, beats_per_bar)]
    return Beats(60 / float(period), times, confidence, downbeats, tempo.on_beats)


def _band_onsets(
    normalized: npt.NDArray[np.float64], sketch: Sketch | None, columns_per_second: float
) -> list[npt.NDArray[np.float64]]:
    """Return the normalized onsets of the low, middle and high bands; without a sketch, those of the whole for each."""
    if sketch is None:
        return [normalized] * 3
    return [_normalize(onset, columns_per_second)[1] for onset in band_onsets(sketch, columns_per_second).T]


def _check(
    onset: npt.NDArray[np.floating], columns_per_second: float, sketch: Sketch | None, beats_per_bar: int
) -> None:
    """Check the arguments of :func:`track`."""
    check_rate(columns_per_second)
    if beats_per_bar < 2:
        raise AudioError(f"a bar has 2 beats or more, got {beats_per_bar}")
    if onset.ndim != 1:
        raise AudioError(f"the onsets must be an array [columns], got shape {onset.shape}")
    if not math.isfinite(onset.sum(dtype=np.float64)):
        raise AudioError("the onsets must be finite, got NaN or infinity")
    if sketch is not None:
        check_sketch(sketch)
        if len(sketch) != len(onset):
            raise AudioError(f"the sketch must have the {len(onset)} columns of the onsets, got {len(sketch)}")


def _normalize(
    onset: npt.NDArray[np.floating], columns_per_second: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the smoothed onsets, and the same normalized to mean 0 and power 1 in each passage of the song."""
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d

    def mean(values: npt.NDArray[np.float64], seconds: float) -> npt.NDArray[np.float64]:
        size = min(round(seconds * columns_per_second), len(values))
        return np.asarray(uniform_filter1d(values, size, mode="nearest"))

    smooth = gaussian_filter1d(onset.astype(np.float64), _SMOOTH_S * columns_per_second)
    centred = smooth - mean(smooth, _MEAN_S)
    power = np.maximum(mean(centred**2, _POWER_S), 0)  # a running sum may be slightly below 0
    return smooth, centred / np.sqrt(power + _MIN_POWER * power.mean() + _ROUNDING**2)


def _best_beats(strength: npt.NDArray[np.float64], period: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    r"""Return the columns with the largest sum of strengths less the cost of steps that differ from the period.

    ::

        total[t] = strength[t] + max(0, max over d of total[t - d] - tightness * ln(d / period)^2)

    Steps are no shorter than 2/3 of a period, so the totals of that many columns are independent of each other, and
    are computed at once.

    Parameters
    ----------
    strength : np.ndarray [shape=(T,)]
        Onset strength, 0 or more.
    period : np.ndarray [shape=(T,)]
        Columns from beat to beat, at each column.

    Returns
    -------
    np.ndarray [shape=(N,)]
        At least one column, ascending.
    """
    total = strength.copy()
    origin = np.full(len(total), -1, np.int64)
    start = 0
    while start < len(total):
        shortest = max(1, math.ceil(period[start] / _MAX_STEP))
        steps = np.arange(shortest, math.floor(period[start] * _MAX_STEP) + 1)
        columns = np.arange(start, min(start + shortest, len(total)))
        before = columns[:, None] - steps
        reached = np.where(before >= 0, total[np.maximum(before, 0)], 0.0)
        reached -= _TIGHTNESS * np.log(steps / period[start]) ** 2
        best = reached.argmax(axis=1)
        gain = reached[np.arange(len(columns)), best]
        linked = gain > 0
        total[columns] += np.where(linked, gain, 0.0)
        origin[columns] = np.where(linked, columns - steps[best], -1)
        start += shortest
    beats = [int(total.argmax())]
    while origin[beats[-1]] >= 0:
        beats.append(int(origin[beats[-1]]))
    return np.array(beats[::-1], np.int64)


def _trim(beats: npt.NDArray[np.int64], strength: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Remove the beats before the song begins and after it has ended; `strength` [N] is the onset at the beats.

    The song has begun where two of three beats have a sufficient onset.
    """
    from scipy.ndimage import median_filter

    if len(beats) < 3:
        return beats
    strong = np.flatnonzero(median_filter(strength, 3, mode="mirror") >= _MIN_ONSET * np.median(strength))
    return beats[strong[0] : strong[-1] + 1] if strong.size else beats


def _interpolate(beats: npt.NDArray[np.int64], smooth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Refine beats that are local maxima of the onsets to fractions of a column, by parabolic interpolation."""
    inside = np.clip(beats, 1, len(smooth) - 2)
    left, middle, right = smooth[inside - 1], smooth[inside], smooth[inside + 1]
    top = (inside == beats) & (middle >= left) & (middle >= right)
    return beats + np.where(top, vertex_offset(left, middle, right, min_bend=1e-12), 0.0)
