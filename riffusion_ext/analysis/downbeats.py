"""Downbeat detection: which beats begin a bar."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.onset_strength import Sketch, band_edges, band_levels, level_rise

__all__ = ["bar_accents", "choose_downbeats", "strongest_onsets"]

_BASS_HZ, _CHORDS_HZ = 200.0, 1250.0
_BLOCK = 8192

_NEAR_S = 0.03
"""An onset this near to a beat belongs to it."""

_RESTART_COST = 4.0
"""Cost of beginning a bar early or late, in standard deviations of the accents."""


def bar_accents(
    beats: npt.NDArray[np.int64], sketch: Sketch, beats_per_bar: int, columns_per_second: float
) -> npt.NDArray[np.float64]:
    """Return how much each beat resembles a downbeat: by the onset of the bass, and the change of the chord.

    The chord change is measured between the bar before and the bar that would begin: what repeats in each bar, like
    drums, is in both and cancels out (after Davies & Plumbley 2006, who compare beats).

    Parameters
    ----------
    beats : np.ndarray [shape=(N,)]
        Columns of the beats, ascending.
    sketch : np.ndarray [shape=(T, B)]
        As for :func:`~riffusion_ext.analysis.onset_strength.onset_strength`.
    beats_per_bar
        2 or more.
    columns_per_second
        Columns of the sketch per second.

    Returns
    -------
    np.ndarray [shape=(N,)]
        Accents on no fixed scale; higher is more likely.
    """
    edges = band_edges(sketch.shape[1])[1:]
    bass = level_rise(sketch, np.ones(max(1, int((edges <= _BASS_HZ).sum()))), columns_per_second)
    means = _mean_levels(beats, sketch, max(1, int((edges <= _CHORDS_HZ).sum())), columns_per_second)
    sums = np.concatenate([np.zeros((1, means.shape[1])), np.cumsum(means, axis=0)])
    numbers = np.arange(len(beats))
    start, stop = np.maximum(numbers - beats_per_bar, 0), np.minimum(numbers + beats_per_bar, len(beats))
    before = (sums[numbers] - sums[start]) / np.maximum(numbers - start, 1)[:, None]
    after = (sums[stop] - sums[numbers]) / np.maximum(stop - numbers, 1)[:, None]
    change = np.abs(after - before).mean(axis=1)
    change[0] = change[1:].mean() if len(change) > 1 else 0.0  # nothing before it to compare with
    return _standardize(strongest_onsets(beats, bass, columns_per_second)) + _standardize(change)


def strongest_onsets(
    beats: npt.NDArray[np.int64], onset: npt.NDArray[np.floating], columns_per_second: float
) -> npt.NDArray[np.float64]:
    """Return the strongest onset [N] within 30 ms of each beat."""
    reach = round(_NEAR_S * columns_per_second)
    around = np.clip(beats[:, None] + np.arange(-reach, reach + 1), 0, len(onset) - 1)
    strongest: npt.NDArray[np.float64] = onset[around].max(axis=1).astype(np.float64)
    return strongest


def choose_downbeats(accents: npt.NDArray[np.float64], beats_per_bar: int) -> npt.NDArray[np.int64]:
    """Choose the beats that begin a bar: every `beats_per_bar`-th, with the largest sum of accents.

    After a missing or surplus beat, the count restarts if that gains more than its cost over several bars.

    Parameters
    ----------
    accents : np.ndarray [shape=(N,)]
        Accents of the beats.
    beats_per_bar
        2 or more.

    Returns
    -------
    np.ndarray [shape=(M,)]
        Indices of the chosen beats, ascending.
    """
    accents = _standardize(accents)
    total = np.zeros(beats_per_bar)  # score of the best count so far, by the position of the beat in its bar
    origin = np.zeros((len(accents), beats_per_bar), np.int64)
    places = np.arange(beats_per_bar)
    for number, accent in enumerate(accents):
        counted = np.roll(total, 1)
        best = int(total.argmax())
        restart = counted < total[best] - _RESTART_COST
        origin[number] = np.where(restart, best, (places - 1) % beats_per_bar)
        total = np.where(restart, total[best] - _RESTART_COST, counted)
        total[0] += accent
    place = int(total.argmax())
    firsts = []
    for number in range(len(accents) - 1, -1, -1):
        if place == 0:
            firsts.append(number)
        place = int(origin[number, place])
    return np.array(firsts[::-1], np.int64)


def _mean_levels(
    beats: npt.NDArray[np.int64], sketch: Sketch, bands: int, columns_per_second: float
) -> npt.NDArray[np.float64]:
    """Return the mean levels [N, bands] from each beat to the next, and from the last to the end."""
    sums, counts = np.zeros((len(beats), bands)), np.zeros(len(beats))
    for start in range(int(beats[0]), len(sketch), _BLOCK):
        stop = min(start + _BLOCK, len(sketch))
        level = band_levels(sketch, start, stop, bands, columns_per_second)
        owner = np.searchsorted(beats, np.arange(start, stop), side="right") - 1
        firsts = np.concatenate([[0], np.flatnonzero(np.diff(owner)) + 1])
        sums[owner[firsts]] += np.add.reduceat(level, firsts, axis=0)
        counts[owner[firsts]] += np.diff(firsts, append=len(owner))
    return sums / counts[:, None]


def _standardize(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standardize values to mean 0 and standard deviation 1; all 0 if they are equal."""
    spread = float(values.std())
    return (values - values.mean()) / (spread if spread > 1e-9 else 1.0)
