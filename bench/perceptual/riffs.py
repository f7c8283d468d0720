"""Where the high frequencies of a riff shall come from: from its source, or from the prediction.

A riff changes a sound in part. Here the changed sound is a mixture of the source and another sound, so its own high
frequencies are known::

    change 0 %: the source itself                 change 100 %: the other sound
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bench import material, methods, recipes
from bench.perceptual.clips import Clip
from bench.perceptual.metrics import fitted_gain, prepare, zimtohrli_distance
from bench.perceptual.spectra import CUTOFF, low_pass
from bench.report import Table, number
from riffusion_ext.audio import AudioClip

CHANGES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the energy that come from the other sound."""

_WINDOW, _HOP = 1024, 256
_OCTAVE = (5000.0, 9500.0)  # Hz: what the riff did is measured here
_MAX_GAIN = 10.0


def compare(clips: Sequence[Clip]) -> dict[float, dict[str, float]]:
    """Return the mean Zimtohrli distance of the prediction and of the source's scaled band, for each change."""
    rows: dict[float, dict[str, float]] = {}
    for change in CHANGES:
        found = []
        for clip, other in zip(clips, [*clips[1:], clips[0]], strict=True):
            target = _mixture(clip.samples, other.samples, change)
            piece = material.draw(clip.name, AudioClip(target[None], recipes.SAMPLE_RATE))
            decoded = methods.engine("fast")(piece)
            length = min(len(decoded), len(target))
            decoded, target = decoded[:length], target[:length]
            decoded = decoded * np.float32(fitted_gain(target, decoded, recipes.SAMPLE_RATE))
            moved = decoded + scaled_band(clip.samples[:length], decoded)
            found.append([_distance(target, sound) for sound in (methods.extend(decoded), moved)])
        predicted, taken = np.mean(found, axis=0)
        rows[change] = {"predicted": float(predicted), "source's band": float(taken)}
    return rows


def _distance(target: np.ndarray, sound: np.ndarray) -> float:
    return zimtohrli_distance(*prepare(target, sound, recipes.SAMPLE_RATE))


def riffs_table(rows: dict[float, dict[str, float]]) -> Table:
    """Tabulate the result of :func:`compare`."""
    table = Table(
        "Riffs: high frequencies of the source, or predicted",
        ["change", "Zimtohrli, predicted", "Zimtohrli, source's band"],
        note="The source's band is scaled as the riff scaled the octave below.",
    )
    for change, row in rows.items():
        table.rows.append([f"{100 * change:.0f} %", number(row["predicted"], 4), number(row["source's band"], 4)])
    return table


def _mixture(source: np.ndarray, other: np.ndarray, change: float) -> np.ndarray:
    """Mix two sounds of equal energy."""
    length = min(len(source), len(other))
    source, other = source[:length], other[:length]
    gain = np.sqrt(np.mean(source**2) / max(float(np.mean(other**2)), 1e-12))
    mixed = np.sqrt(1 - change) * source + np.sqrt(change) * gain * other
    return (mixed * (0.7 / np.abs(mixed).max())).astype(np.float32)


def scaled_band(source: np.ndarray, riff: np.ndarray) -> np.ndarray:
    """Return the source above the image's end, scaled frame by frame as the riff scaled the octave below."""
    high = source - low_pass(source, recipes.SAMPLE_RATE, CUTOFF)
    before, after, band = (_stft(sound) for sound in (source, riff, high))
    first, stop = (round(frequency * _WINDOW / recipes.SAMPLE_RATE) for frequency in _OCTAVE)
    energy = [spectra[first:stop].abs().square().sum(0) for spectra in (before, after)]
    gain = (energy[1] / energy[0].clamp_min(1e-9)).sqrt().clamp_max(_MAX_GAIN)
    return torch.istft(band * gain, _WINDOW, _HOP, window=torch.hann_window(_WINDOW), length=len(riff)).numpy()


def _stft(sound: np.ndarray) -> torch.Tensor:
    samples = torch.from_numpy(np.ascontiguousarray(sound, np.float32))
    return torch.stft(samples, _WINDOW, _HOP, window=torch.hann_window(_WINDOW), return_complex=True)
