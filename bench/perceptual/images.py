"""Extension of sounds of model images, which have no source: level of the high frequencies, and hiss in pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from bench import methods, recipes
from bench.material import Piece, draw, imitate
from bench.perceptual.clips import Clip
from bench.perceptual.spectra import CUTOFF, TOP, band_power, decibels, octave_ratio
from bench.report import MUST, Gate, Table, number
from riffusion_ext.audio import AudioClip

COUNT = 8
"""Images to extend; fewer are completed with imitated ones."""

PERCENTILES = (5.0, 95.0)
MAX_HISS = -80.0  # dBFS

PAUSE = slice(192, 320)
"""Columns of an image that are replaced with a pause."""

_MARGIN = 16  # columns at each end of the pause that the STFT windows of its neighbours reach
_GRAIN = (235, 256)  # levels of a pause: a model's white is not quite white


def measure(
    pieces: Sequence[Piece], clips: Sequence[Clip], *, kind: str = MUST
) -> tuple[Table, list[Gate], dict[str, object]]:
    """Compare the octave above 10 kHz with that of music, and measure it in pauses.

    Parameters
    ----------
    pieces
        Images of a model.
    clips
        Full-band clips of music, whose distribution is the range.
    kind
        Kind of the gates.
    """
    music = [octave_ratio(clip.samples, recipes.SAMPLE_RATE) for clip in clips]
    low, high = (float(value) for value in np.percentile(music, PERCENTILES))
    table = Table(
        "Model images, fast with extension",
        ["image", "10 to 20 kHz over 5 to 10 kHz, dB", "without extension", "pause above 10 kHz, dBFS", ""],
        note=f"Range of the clips' music (5th to 95th percentile): {low:.1f} to {high:.1f} dB. "
        f"Pause: columns {PAUSE.start} to {PAUSE.stop} nearly white, peak of the sound at full scale.",
    )
    ratios: dict[str, float] = {}
    hisses: dict[str, float] = {}
    decode = methods.engine("fast")
    for piece in pieces:
        plain = decode(piece)
        ratios[piece.name] = octave_ratio(methods.extend(plain), recipes.SAMPLE_RATE)
        hisses[piece.name] = hiss(methods.extend(decode(with_pause(piece))))
        ok = low <= ratios[piece.name] <= high and hisses[piece.name] <= MAX_HISS
        cells = [number(ratios[piece.name], 1), number(octave_ratio(plain, recipes.SAMPLE_RATE), 1)]
        table.rows.append([piece.name, *cells, number(hisses[piece.name], 1), "ok" if ok else "NO"])
    label = f"extension: model images, {PERCENTILES[1]:g}th percentile of music, most above"
    below = f"extension: model images, {PERCENTILES[0]:g}th percentile of music, most below"
    gates = [
        Gate(label, max(ratios.values()) - high, "<=", 0.0, "dB", kind),
        Gate(below, low - min(ratios.values()), "<=", 0.0, "dB", kind),
        Gate("extension: model images, pauses above 10 kHz", max(hisses.values()), "<=", MAX_HISS, "dBFS", kind),
    ]
    return table, gates, {"music_db": [low, high], "ratio_db": ratios, "hiss_dbfs": hisses}


def complete(pieces: Sequence[Piece], clips: Sequence[Clip]) -> list[Piece]:
    """Add imitated images of evenly spaced clips until there are :data:`COUNT`."""
    missing = max(COUNT - len(pieces), 0)
    step = max(len(clips) // max(missing, 1), 1)
    drawn = [
        draw(f"{clip.source}-{clip.track}", AudioClip(clip.samples[None], recipes.SAMPLE_RATE))
        for clip in clips[::step][:missing]
    ]
    return [*pieces, *(imitate(piece, seed) for seed, piece in enumerate(drawn))]


def with_pause(piece: Piece) -> Piece:
    """Replace the columns :data:`PAUSE` of an image with the grain of a model's white."""
    levels = np.array(piece.image.convert("RGB"))
    grain = np.random.default_rng(0).integers(*_GRAIN, size=levels[:, PAUSE, :1].shape, dtype=np.uint8)
    levels[:, PAUSE] = grain
    return replace(piece, image=Image.fromarray(levels))


def hiss(samples: np.ndarray) -> float:
    """Return the level above 10 kHz in the pause of a waveform [S] scaled to full scale, in dBFS."""
    start, stop = ((PAUSE.start + _MARGIN) * recipes.HOP_LENGTH, (PAUSE.stop - _MARGIN) * recipes.HOP_LENGTH)
    peak = max(float(np.abs(samples).max()), 1e-9)
    return decibels(band_power(samples[start:stop] / peak, recipes.SAMPLE_RATE, CUTOFF, TOP))
