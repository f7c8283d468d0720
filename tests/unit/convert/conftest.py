"""Images and sounds with a known beat."""

from __future__ import annotations

import numpy as np
from PIL import Image

from riffusion_ext.audio import AudioClip
from riffusion_ext.spectrogram.codec import audio_to_image

RATE = 44100


def pulses(period: float, phase: float, columns: int = 512, *, rows: int = 64, tail: float = 12.0) -> np.ndarray:
    """Return the darkness [rows, columns] of decaying hits, the first at column `phase`."""
    time = np.arange(columns)
    since = np.full(columns, np.inf)
    for beat in np.arange(phase, columns, period):
        here = time >= round(beat)
        since[here] = time[here] - round(beat)
    row = 0.1 + 0.6 * np.exp(-since / tail)
    return np.tile(row.astype(np.float32), (rows, 1))


def drums(bpm: float, phase_s: float, seconds: float = 5.12, *, kind: str = "snare", seed: int = 0) -> AudioClip:
    """Return hits on every beat over soft noise, the first after `phase_s` seconds."""
    rng = np.random.default_rng(seed)
    wave = 0.003 * rng.standard_normal(round(seconds * RATE))
    for beat in np.arange(phase_s, seconds, 60 / bpm):
        first = round(beat * RATE)
        time = np.arange(min(len(wave) - first, RATE // 4)) / RATE
        if kind == "snare":
            hit = rng.standard_normal(len(time)) * np.exp(-time / 0.05)
        else:
            hit = np.sin(2 * np.pi * 1500 * time) * np.exp(-time / 0.1)
        wave[first : first + len(time)] += 0.3 * hit
    return AudioClip((0.7 * wave / np.abs(wave).max()).astype(np.float32)[None], RATE)


def drum_image(bpm: float, phase_s: float, seconds: float = 5.115, **options: object) -> Image.Image:
    """Return the spectrogram image of :func:`drums`."""
    return audio_to_image(drums(bpm, phase_s, seconds, **options)).image  # type: ignore[arg-type]
