"""Time of the extension, size of its weights, and unusual sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import material, methods, recipes
from bench.perceptual.clips import PEAK, Clip
from bench.perceptual.evaluation import change_below
from bench.perceptual.sounds import LOW_CUTOFF
from bench.perceptual.spectra import CUTOFF, TOP, band_power, decibels, low_pass
from bench.report import AIM, Gate, Table, milliseconds, number
from bench.timing import THREADS, Times, interleaved
from riffusion_ext import bandwidth
from riffusion_ext.audio import AudioClip

MAX_TIME, MAX_WEIGHTS = 0.1, 500_000  # share of `fast`, bytes
MAX_SILENCE = -80.0  # dBFS

_SECONDS = 2.0
_RATE = recipes.SAMPLE_RATE


# -- time and size


def time_extension(clips: Sequence[Clip], *, rounds: int) -> dict[str, Times]:
    """Time `fast` and the extension of its result in alternation, on one clip after the other."""
    drawn = [material.draw(clip.name, AudioClip(clip.samples[None], _RATE)) for clip in clips[:rounds]]
    decode = methods.engine("fast")
    decoded = [decode(piece) for piece in drawn]
    methods.extend(decoded[0])
    return interleaved(
        {
            "fast": lambda round: decode(drawn[round % len(drawn)]),
            "extension": lambda round: methods.extend(decoded[round % len(decoded)]),
        },
        rounds,
    )


def weights_size(folder: Path | None = None) -> float:
    """Return the size of the files of the extension that are neither code nor text, in bytes; NaN if there are none."""
    place = folder or Path(bandwidth.__file__).parent
    files = [path for path in place.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc", ".md"}]
    return float(sum(path.stat().st_size for path in files)) if files else float("nan")


def cost_table(times: dict[str, Times], size: float) -> Table:
    """Tabulate the time of an image of 5.11 s, and the size of the weights."""
    table = Table(
        "Cost of the extension",
        ["", f"wall ms, {THREADS} threads", "CPU ms, 1 thread", "kB"],
        note="5.11 s of sound, medians of interleaved runs.",
    )
    for name, found in times.items():
        cells = [milliseconds(found.wall_median), milliseconds(found.cpu_median)]
        table.rows.append([name, *cells, number(size / 1000, 0) if name == "extension" else "-"])
    return table


def cost_gates(times: dict[str, Times], size: float) -> list[Gate]:
    """Return the gates of time and size."""
    wall, cpu = (
        100 * getattr(times["extension"], clock) / getattr(times["fast"], clock)
        for clock in ("wall_median", "cpu_median")
    )
    return [
        Gate("extension: time of that of fast", wall, "<=", 100 * MAX_TIME, "%"),
        Gate("extension: processor time of that of fast, 1 thread", cpu, "<=", 100 * MAX_TIME, "%", AIM),
        Gate("extension: size of the weights", size / 1000, "<=", MAX_WEIGHTS / 1000, "kB"),
    ]


# -- unusual sounds


@dataclass(frozen=True)
class Unusual:
    """What the extension made of an unusual sound.

    Attributes
    ----------
    original, added
        Level from 10 to 20 kHz, of the sound before its low-pass filter and after its extension, in dBFS.
    change
        Change below 9.5 kHz, in dB.
    valid
        Whether all samples are finite and as many as before.
    """

    original: float
    added: float
    change: float
    valid: bool


def unusual_sounds() -> dict[str, np.ndarray]:
    """Synthesise sounds [S] that music seldom is, by name; float32, -1 to 1."""
    time = np.arange(round(_SECONDS * _RATE)) / _RATE
    rng = np.random.default_rng(0)
    chord = sum(np.sin(2 * np.pi * hertz * time) * np.exp(-4 * (time % 0.5)) for hertz in (220, 277.2, 329.6, 1760))
    made = {
        "silence": np.zeros_like(time),
        "white noise": PEAK / 4 * rng.standard_normal(len(time)),
        "sine of 1 kHz": PEAK * np.sin(2 * np.pi * 1000 * time),
        "square of 440 Hz": PEAK * np.sign(np.sin(2 * np.pi * 440 * time)),
        "clipped chord": np.clip(3 * np.asarray(chord), -1, 1),
        "one column": PEAK * np.sin(2 * np.pi * 1000 * time[: recipes.HOP_LENGTH]),
        "one sample": np.full(1, PEAK),
    }
    return {name: np.asarray(samples, dtype=np.float32) for name, samples in made.items()}


def try_unusual() -> dict[str, Unusual]:
    """Extend unusual sounds whose high frequencies are removed."""
    found: dict[str, Unusual] = {}
    for name, samples in unusual_sounds().items():
        before = low_pass(samples, _RATE, LOW_CUTOFF)[: len(samples)] if len(samples) > _RATE else samples
        after = methods.extend(before)
        valid = after.shape == before.shape and bool(np.isfinite(after).all())
        original, added = (decibels(band_power(x, _RATE, CUTOFF, TOP)) for x in (samples, after))
        found[name] = Unusual(original, added, change_below(before, after) if valid else float("nan"), valid)
    return found


def silent_side(clip: Clip) -> float:
    """Return the level of the silent side of a stereo sound after its extension, in dBFS; NaN if it is not finite."""
    samples = low_pass(clip.samples, _RATE, LOW_CUTOFF)
    after = methods.extend(np.stack([samples, np.zeros_like(samples)]))
    return decibels(float((after[1].astype(np.float64) ** 2).mean())) if np.isfinite(after).all() else float("nan")


def unusual_table(found: dict[str, Unusual], side: float) -> Table:
    """Tabulate the unusual sounds."""
    table = Table(
        "Unusual sounds, extended from below 9.8 kHz",
        ["sound", "original above 10 kHz, dBFS", "extension, dBFS", "change below 9.5 kHz, dB", ""],
        note="Level from 10 to 20 kHz. Stereo, one side silent: level of this side.",
    )
    for name, one in found.items():
        cells = [number(one.original, 1), number(one.added, 1), number(one.change, 1)]
        table.rows.append([name, *cells, "ok" if one.valid else "NO"])
    table.rows.append(["stereo, one side silent", "-", number(side, 1), "-", "ok" if side <= MAX_SILENCE else "NO"])
    return table


def unusual_gates(found: dict[str, Unusual], side: float) -> list[Gate]:
    """Return the gates of the unusual sounds."""
    invalid = sum(not one.valid for one in found.values())
    return [
        Gate("extension: unusual sounds with wrong length or not finite", invalid, "==", 0),
        Gate("extension: silence above 10 kHz", found["silence"].added, "<=", MAX_SILENCE, "dBFS"),
        Gate("extension: silent side of a stereo sound", side, "<=", MAX_SILENCE, "dBFS"),
        Gate("extension: sine of 1 kHz, above 10 kHz", found["sine of 1 kHz"].added, "<=", MAX_SILENCE, "dBFS", AIM),
    ]
