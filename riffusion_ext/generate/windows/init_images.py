"""Init images: synthesised drum beats at a tempo, and repeated images.

A model that starts from a beat keeps its rhythm. Hits have exact positions in the song, whatever part of it an image
shows, so the beat continues from window to window.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.bounds import PATTERNS
from riffusion_ext.generate.score.keyframes import check_tempo
from riffusion_ext.params import SpectrogramParams

__all__ = ["PATTERNS", "beat_clip", "beat_image", "tile_columns"]

_TAIL_S = 0.5
_BED = 0.004
"""Level of the noise under the beat: img2img keeps an image white where it is white between hits."""

Samples = npt.NDArray[np.float64]


def beat_image(
    bpm: float, pattern: str, params: SpectrogramParams, *, start: int = 0, width: int = 512, beats_per_bar: int = 4
) -> Image.Image:
    """Draw columns of a beat.

    Parameters
    ----------
    bpm
        Beats per minute, 20 to 400.
    pattern
        One of :data:`PATTERNS` but "none".
    params
        Spectrogram parameters of the image.
    start, width
        First column in the song, and number of columns.
    beats_per_bar
        1 to 16.

    Returns
    -------
    PIL.Image.Image
        RGB, `width` by ``params.num_frequencies``; deterministic.

    Raises
    ------
    RiffusionError
        A value is out of range.
    """
    from riffusion_ext.spectrogram.codec import audio_to_image

    first, count = start * params.hop_length, params.samples_of_columns(width)
    clip = beat_clip(bpm, pattern, params.sample_rate, first=first, count=count, beats_per_bar=beats_per_bar)
    image = audio_to_image(clip, params).image
    return image.crop((0, 0, width, image.height))


def beat_clip(bpm: float, pattern: str, rate: int, *, first: int = 0, count: int, beats_per_bar: int = 4) -> AudioClip:
    """Synthesise samples `first` to ``first + count`` of a mono beat that starts at sample 0."""
    if pattern not in PATTERNS[1:]:
        raise RiffusionError(f"the pattern must be one of {', '.join(PATTERNS[1:])}, got {pattern!r}")
    check_tempo(bpm)
    if not 1 <= beats_per_bar <= 16:
        raise RiffusionError(f"a bar has 1 to 16 beats, got {beats_per_bar}")
    beat = 60.0 * rate / bpm
    sounds = {name: make(rate) for name, make in _DRUMS.items()}
    mixed = np.zeros(count)
    half = max(0, math.floor((first - _TAIL_S * rate) / beat * 2))  # half beats, from the first whose tail still sounds
    while (position := round(half * beat / 2)) < first + count:
        for name, level in _hits(pattern, half % (2 * beats_per_bar), beats_per_bar).items():
            _add(mixed, sounds[name] * level, position - first)
        half += 1
    return AudioClip((0.5 * (mixed + _BED * _noise(first, count)))[None].astype(np.float32), rate)


def _hits(pattern: str, half: int, beats_per_bar: int) -> dict[str, float]:
    """Return the drums and their levels at a half beat of the bar."""
    beat, off = divmod(half, 2)
    middle = beats_per_bar // 2 if beats_per_bar % 2 == 0 else 0
    if pattern == "four on the floor":
        return {"hat": 0.6} if off else {"kick": 1.0, **({"clap": 0.6} if beat % 2 else {})}
    if pattern == "backbeat":
        return {"hat": 0.4} if off else {"hat": 0.5, **({"clap": 0.8} if beat % 2 else {"kick": 1.0})}
    if pattern == "half time":
        strong = {"kick": 1.0} if beat == 0 else {"clap": 0.8} if beat == middle else {}
        return {} if off else {"hat": 0.4, **strong}
    return {"chord": 0.7, "hat": 0.4} if off else {"kick": 0.9} if beat in (0, middle) else {}


def _add(mixed: Samples, sound: Samples, position: int) -> None:
    low, high = max(position, 0), min(position + len(sound), len(mixed))
    if low < high:
        mixed[low:high] += sound[low - position : high - position]


def _time(rate: int, seconds: float) -> Samples:
    return np.arange(int(seconds * rate)) / rate


def _kick(rate: int) -> Samples:
    """Synthesise a tone that falls from 150 to 48 Hz, with a click."""
    t = _time(rate, 0.3)
    phase = 2 * np.pi * (48 * t + 102 * 0.03 * (1 - np.exp(-t / 0.03)))
    return np.sin(phase) * np.exp(-t / 0.09) + 0.25 * _white(len(t), 1) * np.exp(-t / 0.004)


def _clap(rate: int) -> Samples:
    """Synthesise noise and a tone at 190 Hz."""
    t = _time(rate, 0.25)
    return 0.45 * _white(len(t), 2) * np.exp(-t / 0.05) + 0.4 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.04)


def _hat(rate: int) -> Samples:
    """Synthesise noise without low frequencies, which the difference removes."""
    t = _time(rate, 0.12)
    return 0.3 * np.diff(_white(len(t) + 1, 3)) * np.exp(-t / 0.025)


def _chord(rate: int) -> Samples:
    """Synthesise a short minor chord with overtones."""
    t = _time(rate, 0.3)
    notes = [np.sin(2 * np.pi * root * k * t) / k for root in (220.0, 261.63, 329.63) for k in (1, 2, 3)]
    return 0.15 * np.sum(notes, axis=0) * np.exp(-t / 0.08) * np.minimum(t / 0.003, 1)


_DRUMS: dict[str, Callable[[int], Samples]] = {"kick": _kick, "clap": _clap, "hat": _hat, "chord": _chord}


def _white(count: int, seed: int) -> Samples:
    return np.random.default_rng(seed).uniform(-1, 1, count)


def _noise(first: int, count: int) -> Samples:
    """Return the noise at a position in the song: the same wherever a window begins."""
    block = 1 << 16
    numbers = range(first // block, (first + count - 1) // block + 1)
    whole = np.concatenate([_white(block, 1000 + number) for number in numbers] or [np.zeros(0)])
    return whole[first % block : first % block + count]


def tile_columns(image: Image.Image, start: int, width: int, height: int) -> Image.Image:
    """Cut columns out of an endlessly repeated image, so that its rhythm continues from window to window.

    Parameters
    ----------
    image
        Image of any mode and size; scaled to the height.
    start, width
        First column in the song, and number of columns.
    height
        Height of the result in pixels.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    image = image.convert("RGB")
    if image.height != height:
        image = image.resize((image.width, height), Image.Resampling.LANCZOS)
    columns = np.arange(start, start + width) % image.width
    return Image.fromarray(np.ascontiguousarray(np.asarray(image)[:, columns]))
