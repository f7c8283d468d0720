"""What is compared with a clip: decoded images, with and without extension, and the limits of what is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from bench import material, methods, recipes
from bench.perceptual.clips import Clip
from bench.perceptual.metrics import fitted_gain
from bench.perceptual.oracle import extend_by_source
from bench.perceptual.spectra import CUTOFF, low_pass
from riffusion_ext.audio import AudioClip

LOW_CUTOFF = 9800.0
"""Cutoff of the source below the image's end, in Hz."""

ALL = ("lstsq", "fast", "best", "fast_extended", "best_extended", "source_low", "fast_oracle", "fast_source_band")
DULL = ("fast", "fast_extended")
PAIRS = {"fast": "fast_extended", "best": "best_extended"}
"""Each engine, and the same with extension."""

Sounds = Iterator[tuple[str, np.ndarray]]


def make(clip: Clip, wanted: Iterable[str]) -> Sounds:
    """Encode a clip with the original encoder, and yield the name and the waveform [S] of each wanted method.

    Waveforms have levels of their own. Each engine decodes only once.
    """
    piece = material.draw(clip.name, AudioClip(clip.samples[None], recipes.SAMPLE_RATE))
    decoders: dict[str, methods.Method] = {"lstsq": methods.lstsq}
    decoders |= {name: methods.engine(name) for name in PAIRS}
    decoded: dict[str, np.ndarray] = {}

    def decode(name: str) -> np.ndarray:
        if name not in decoded:
            decoded[name] = np.asarray(decoders[name](piece), dtype=np.float32)
        return decoded[name]

    ways: dict[str, Callable[[], np.ndarray]] = {
        "fast_extended": lambda: methods.extend(decode("fast")),
        "best_extended": lambda: methods.extend(decode("best")),
        "source_low": lambda: low_pass(clip.samples, recipes.SAMPLE_RATE, LOW_CUTOFF),
        "fast_oracle": lambda: oracle(decode("fast"), clip.samples),
        "fast_source_band": lambda: with_source_band(decode("fast"), clip.samples),
    }
    for name in wanted:
        yield name, ways[name]() if name in ways else decode(name)


def oracle(samples: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Extend a decoded waveform [S] by the envelope of its source [S]."""
    length = min(len(samples), len(source))
    fitted = samples[:length] * np.float32(fitted_gain(source[:length], samples[:length], recipes.SAMPLE_RATE))
    return extend_by_source(fitted, source[:length])


def with_source_band(samples: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Add what the source [S] has above the image's end to a decoded waveform [S]: the limit for riffs."""
    length = min(len(samples), len(source))
    gain = np.float32(fitted_gain(source[:length], samples[:length], recipes.SAMPLE_RATE))
    high = source[:length] - low_pass(source[:length], recipes.SAMPLE_RATE, CUTOFF)
    return samples[:length] * gain + high
