"""Evaluate all clips with all methods, in processes of one thread each."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

import numpy as np

from bench import recipes
from bench.perceptual import metrics, sounds
from bench.perceptual.clips import FULL, Clip
from bench.perceptual.metrics import Score
from bench.perceptual.spectra import band_power, decibels
from riffusion_ext.spectrogram.threads import single_core_threads

Compare = Callable[[np.ndarray, np.ndarray, int], Score]

Scores = dict[str, Score]
"""By method."""

_CHANGED_BELOW = 9500.0  # Hz


class Evaluation(dict[str, Scores]):
    """Scores of each clip, by its name and the method.

    Attributes
    ----------
    changes
        Change of the samples below 9.5 kHz by the extension of `fast`, in dB relative to them, for each clip.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes: dict[str, float] = {}


def evaluate(clips: Sequence[Clip], *, processes: int, compare: Compare = metrics.score) -> Evaluation:
    """Compare each clip with what the methods make of it; report progress on stderr.

    Parameters
    ----------
    clips
        Full-band ones meet all methods, dull ones only `fast` with and without extension.
    processes
        Number of processes; 1 evaluates in this one.
    compare
        As :func:`metrics.score`. Must be importable if there are several processes.
    """
    result = Evaluation()
    begun = time.perf_counter()

    def keep(clip: Clip, found: tuple[Scores, float]) -> None:
        result[clip.name], result.changes[clip.name] = found
        minutes = (time.perf_counter() - begun) / 60
        left = minutes / len(result) * (len(clips) - len(result))
        note = f"perceptual: {len(result)} of {len(clips)} clips, {minutes:.1f} min, {left:.1f} min left"
        print(note, file=sys.stderr, flush=True)

    if processes == 1:
        with single_core_threads(1) as pool:  # as many cores as each of several processes: sums are rounded alike
            for clip in clips:
                keep(clip, pool.submit(evaluate_clip, clip, compare).result())
        return result
    # A new interpreter for each: torch does not survive a fork that follows its first use.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_use_one_thread) as pool:
        jobs: dict[Future[tuple[Scores, float]], Clip] = {pool.submit(evaluate_clip, c, compare): c for c in clips}
        for job in as_completed(jobs):
            keep(jobs[job], job.result())
    return result


def evaluate_clip(clip: Clip, compare: Compare) -> tuple[Scores, float]:
    """Return the scores of a clip by method, and the change below 9.5 kHz by the extension, in dB."""
    made = dict(sounds.make(clip, sounds.ALL if clip.kind == FULL else sounds.DULL))
    scores = {name: compare(clip.samples, samples, recipes.SAMPLE_RATE) for name, samples in made.items()}
    return scores, change_below(made["fast"], made["fast_extended"])


def change_below(before: np.ndarray, after: np.ndarray, sample_rate: int = recipes.SAMPLE_RATE) -> float:
    """Return the power of the difference of two waveforms [S] below 9.5 kHz, in dB relative to the first one."""
    difference = np.asarray(after, dtype=np.float64) - before
    return decibels(*(band_power(x, sample_rate, 0.0, _CHANGED_BELOW) for x in (difference, before)))


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)
