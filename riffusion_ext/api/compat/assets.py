"""Seed images and masks under the names that clients of the original server use.

The original's files may not be redistributed. These are synthesised: rhythms and short figures of the same purpose,
each a whole number of beats in 512 columns, so that clips join in time; and masks that keep the same parts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.generate.windows.init_images import beat_clip
from riffusion_ext.generate.windows.masks import ramp
from riffusion_ext.params import PRESETS, SpectrogramParams

__all__ = ["MASKS", "SEEDS", "mask_image", "seed_image"]

SIDE = 512
_PARAMS = PRESETS["riffusion-v1"]
_BEATS = 8  # in 512 columns: 93.75 a minute
_FAST_BEATS = 12  # 140.6 a minute

Rows = npt.NDArray[np.float64]


@lru_cache(maxsize=8)
def seed_image(name: str) -> Image.Image:
    """Return a seed image (RGB, 512 x 512), always the same. KeyError if the name is not in :data:`SEEDS`."""
    from riffusion_ext.spectrogram.codec import audio_to_image

    count = SIDE * _PARAMS.hop_length
    clip = _CLIPS[name](_PARAMS, count)
    repeated = AudioClip(np.tile(clip.samples, 3), clip.sample_rate)  # the last notes decay into the first columns
    return audio_to_image(repeated, _PARAMS).image.crop((SIDE, 0, 2 * SIDE, SIDE))


@lru_cache(maxsize=8)
def mask_image(name: str) -> Image.Image:
    """Return a mask (L, 512 x 512): white is regenerated. KeyError if the name is not in :data:`MASKS`."""
    return Image.fromarray(np.rint(255 * _MASKS[name]()).astype(np.uint8))


def _tempo(beats: int, params: SpectrogramParams, count: int) -> float:
    return 60.0 * beats * params.sample_rate / count


def _drums(pattern: str, beats: int, params: SpectrogramParams, count: int) -> AudioClip:
    # The second repetition, which contains the decay of the first.
    return beat_clip(_tempo(beats, params, count), pattern, params.sample_rate, first=count, count=count)


def _notes(
    pitches: tuple[float | None, ...], decay: float, overtones: tuple[float, ...], params: SpectrogramParams, count: int
) -> AudioClip:
    """Synthesise notes of equal length, in semitones above A3, that decay over `decay` seconds; None is a rest."""
    rate = params.sample_rate
    sound = np.zeros(count)
    time = np.arange(int(min(6 * decay * rate, count))) / rate
    for number, pitch in enumerate(pitches):
        if pitch is None:
            continue
        root = 220.0 * 2.0 ** (pitch / 12.0)
        tone = sum(
            level * np.sin(2 * np.pi * root * (k + 1) * time) * np.exp(-time * (1 + 0.5 * k) / decay)
            for k, level in enumerate(overtones)
        )
        tone = tone * np.minimum(time / 0.004, 1.0)
        places = (round(number * count / len(pitches)) + np.arange(len(time))) % count
        np.add.at(sound, places, tone)
    return AudioClip((0.5 * sound / max(np.abs(sound).max(), 1e-9))[None].astype(np.float32), rate)


def _mix(*clips: tuple[AudioClip, float]) -> AudioClip:
    total = sum(level * clip.samples for clip, level in clips)
    return AudioClip(np.asarray(total, np.float32), clips[0][0].sample_rate)


def _agile(params: SpectrogramParams, count: int) -> AudioClip:
    line = (0, None, 12, 7, None, 3, 10, None, 0, 12, None, 7, 3, None, 10, 5, 0, None, 12, 7, None, 3, 10, 14)
    return _mix(
        (_drums("offbeat", _FAST_BEATS, params, count), 0.8), (_notes(line, 0.06, (1.0, 0.5, 0.3), params, count), 0.6)
    )


def _marim(params: SpectrogramParams, count: int) -> AudioClip:
    line = (0, 7, 12, 7, 3, 10, 15, 10, 5, 12, 17, 12, 3, 10, 15, 7)
    return _notes(line, 0.15, (1.0, 0.0, 0.0, 0.35), params, count)  # a marimba bar also sounds two octaves above


def _motorway(params: SpectrogramParams, count: int) -> AudioClip:
    bass = (-12, -12, -12, -12, -12, -12, -9, -9, -9, -9, -9, -9, -7, -7, -7, -7, -7, -7, -14, -14, -14, -14, -14, -14)
    return _mix(
        (_drums("four on the floor", _FAST_BEATS, params, count), 0.7),
        (_notes(bass, 0.12, (1.0, 0.7, 0.5, 0.35, 0.25), params, count), 0.7),
    )


def _vibes(params: SpectrogramParams, count: int) -> AudioClip:
    chords = [(0, 3, 7, 10), (5, 8, 12, 15), (-2, 2, 5, 9), (3, 7, 10, 14)]
    voices = zip(*chords, strict=True)
    return _mix(*((_notes(voice, 0.9, (1.0, 0.0, 0.15), params, count), 0.25) for voice in voices))


_CLIPS: dict[str, Callable[[SpectrogramParams, int], AudioClip]] = {
    "agile": _agile,
    "marim": _marim,
    "motorway": _motorway,
    "og_beat": lambda params, count: _drums("backbeat", _BEATS, params, count),
    "vibes": _vibes,
}


def _from_top(share: float, min_level: float) -> Rows:
    """Return a mask [512, 512] that rises smoothly from `min_level` at the top to 1 at `share` of the height."""
    rows = np.ones(SIDE)
    edge = round(share * SIDE)
    rows[:edge] = min_level + (1.0 - min_level) * ramp(edge)
    return np.repeat(rows[:, None], SIDE, axis=1)


def _top_part(share: float, level: float) -> Rows:
    """Return a mask [512, 512] that is `level` in the top `share` of the height, and 1 below."""
    rows = np.ones((SIDE, SIDE))
    rows[: round(share * SIDE)] = level
    return rows


def _beat_lines() -> Rows:
    """Return a mask [512, 512] that is 0.8 in the first columns of each beat, where its hit is, and 1 elsewhere."""
    places = np.arange(SIDE) % (SIDE // _BEATS)
    return np.repeat(np.where(places < 8, 0.8, 1.0)[None], SIDE, axis=0)


_MASKS: dict[str, Callable[[], Rows]] = {
    "mask_beat_lines_80": _beat_lines,
    "mask_gradient_dark": lambda: _from_top(1.0, 0.2),
    "mask_gradient_top_70": lambda: _from_top(0.5, 0.65),
    "mask_gradient_top_fifth_75": lambda: _from_top(0.2, 0.75),
    "mask_top_third_75": lambda: _top_part(1 / 3, 0.75),
    "mask_top_third_95": lambda: _top_part(1 / 3, 0.95),
}

SEEDS = tuple(_CLIPS)
"""Names of the seed images."""

MASKS = tuple(_MASKS)
"""Names of the masks."""
