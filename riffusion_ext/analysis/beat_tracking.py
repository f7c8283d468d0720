"""Where the beats of a song are.

::

    sketch --onset.py--> onsets --tempo.py--> period at each moment --dynamic programming--> beats --bars.py--> bars

After D. P. W. Ellis, "Beat Tracking by Dynamic Programming", Journal of New Music Research 36 (2007). Time and memory
grow with the length of the song and no faster.
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
"""Onset strength that is no onset, but rounding: the levels of a steady tone waver by so much."""
_MIN_POWER = 0.03
"""Share of the song's power under which a stretch is not made up for: what hisses before it begins is no part of it."""

_TIGHTNESS = 100.0
"""What a step of e times the period, or 1/e of it, costs; in standard deviations of the onsets."""

_MAX_STEP = 1.5
"""Longest step from beat to beat, and 1 / shortest, in periods."""

_MIN_ONSET = 0.3
"""Share of the usual onset at a beat under which the song has not begun yet, or has ended."""

_SPAN = 8
"""Beats over which a tempo is measured: the more, the less it matters that columns are 10 ms apart."""

_TEMPO_TOLERANCE, _MAX_OTHER_SHARE = 0.1, 0.25
"""Parts by which a tempo is another, and the largest share of the beats that may have another one."""


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of a song.

    Attributes
    ----------
    tempo
        Beats a minute: the median over the song; 0.0 where there is no beat. Where it is not sure, it may be half or
        twice what somebody would tap along, and two thirds or three halves of it.
    times : np.ndarray [shape=(N,), float64]
        Of the beats, in seconds, rising.
    confidence
        0 to 1: how sure it is that there is a beat and that this is its tempo, octave included; it is told
        from :data:`MIN_CONFIDENCE` on. Noise, steady tones, free speech, rhythms that can be counted in two ways and
        songs of several tempi have less.
    downbeats : np.ndarray [shape=(M,), float64]
        Those of the times at which a bar begins.
    on_beats
        0 to 1: how sure it is that the times are on beats, be they half or twice as many as somebody would count.
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
    """Find the beats.

    Parameters
    ----------
    onset : np.ndarray [shape=(T,)]
        As :func:`onset_strength` gives it.
    columns_per_second
        Columns of `onset` in a second, 10 to 1000.
    sketch : np.ndarray [shape=(T, B)]
        What the onsets were found in. With it, bars begin where the bass enters and the chord changes; without it, at
        the strongest onsets, which with drums is often the snare.
    beats_per_bar
        2 or more.

    Returns
    -------
    Beats
        None at all for silence, and for less than a second.

    Raises
    ------
    AudioError
        An array has another shape or holds NaN or infinity, or a number is out of range.
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
    """Return the onsets of low, middle and high bands, prepared; without a sketch all are those of the whole."""
    if sketch is None:
        return [normalized] * 3
    return [_normalize(onset, columns_per_second)[1] for onset in band_onsets(sketch, columns_per_second).T]


def _check(
    onset: npt.NDArray[np.floating], columns_per_second: float, sketch: Sketch | None, beats_per_bar: int
) -> None:
    """Refuse what cannot be tracked."""
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
    """Return the onsets without their jitter, and those with mean 0 and power 1 in each stretch of the song."""
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d

    def mean(values: npt.NDArray[np.float64], seconds: float) -> npt.NDArray[np.float64]:
        size = min(round(seconds * columns_per_second), len(values))
        return np.asarray(uniform_filter1d(values, size, mode="nearest"))

    smooth = gaussian_filter1d(onset.astype(np.float64), _SMOOTH_S * columns_per_second)
    centred = smooth - mean(smooth, _MEAN_S)
    power = np.maximum(mean(centred**2, _POWER_S), 0)  # a running sum may end a little below 0
    return smooth, centred / np.sqrt(power + _MIN_POWER * power.mean() + _ROUNDING**2)


def _best_beats(strength: npt.NDArray[np.float64], period: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    r"""Columns with the largest sum of strengths, less the cost of steps that are not the period.

    ::

        total[t] = strength[t] + max(0, max over d of total[t - d] - tightness * ln(d / period)^2)

    Steps are no shorter than 2/3 of a period, so the totals of so many columns hang on none of each other and are
    found at once.

    Parameters
    ----------
    strength : np.ndarray [shape=(T,)]
        0 and more.
    period : np.ndarray [shape=(T,)]
        Columns from beat to beat, at each moment.

    Returns
    -------
    np.ndarray [shape=(N,)]
        At least one, rising.
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
    """Take away the beats before the song begins and after it has ended; `strength` [N] is that at the beats.

    It has begun where two of three beats are real ones.
    """
    from scipy.ndimage import median_filter

    if len(beats) < 3:
        return beats
    strong = np.flatnonzero(median_filter(strength, 3, mode="mirror") >= _MIN_ONSET * np.median(strength))
    return beats[strong[0] : strong[-1] + 1] if strong.size else beats


def _interpolate(beats: npt.NDArray[np.int64], smooth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the beats at the tops of the parabolas through the onsets around them, where they are tops."""
    inside = np.clip(beats, 1, len(smooth) - 2)
    left, middle, right = smooth[inside - 1], smooth[inside], smooth[inside + 1]
    top = (inside == beats) & (middle >= left) & (middle >= right)
    return beats + np.where(top, vertex_offset(left, middle, right, min_bend=1e-12), 0.0)
