"""Alter sounds as masters do, and images as models do."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve, firwin

from training.bandwidth.songs import RATE, Waveform

__all__ = ["alter_image", "alter_sound", "low_pass"]

_PEAK = 0.7


def alter_sound(sound: Waveform, rng: np.random.Generator) -> Waveform:
    """Equalise, clip, dull (by a low pass) or interrupt a sound [S], each with some probability."""
    if rng.random() < 0.5:
        sound = _equalise(sound, rng)
    if rng.random() < 0.05:
        sound = np.clip(sound / _peak(sound) * rng.uniform(1, 4), -1, 1)
    if rng.random() < 0.2:
        low, high = rng.choice([(3000, 16000), (8000, 11000)])
        sound = low_pass(sound, rng.uniform(low, high))
    if rng.random() < 0.08:
        start = rng.integers(0, len(sound))
        sound = sound.copy()
        sound[start : start + rng.integers(5000, 90000)] = 0.0
    return (sound / _peak(sound) * _PEAK).astype(np.float32)


def low_pass(sound: Waveform, frequency: float) -> Waveform:
    """Remove what is above a frequency, in Hz."""
    return fftconvolve(sound, firwin(401, frequency, fs=RATE), "same").astype(np.float32)


def _peak(sound: Waveform) -> float:
    return float(np.abs(sound).max()) + 1e-9


def _equalise(sound: Waveform, rng: np.random.Generator) -> Waveform:
    """Apply a smooth random gain: about 3 dB from octave to octave, and a tilt."""
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    points = np.geomspace(60, 20000, 7)
    gain_db = rng.normal(0, 3.0, 7) + rng.normal(0, 2.5) * np.linspace(-1, 1, 7)
    gain = 10 ** (np.interp(np.log(frequency + 1), np.log(points + 1), gain_db) / 20)
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)).astype(np.float32)


def alter_image(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur an image in frequency and time, change its contrast and gamma, add noise, and compress it as JPEG."""
    grey: np.ndarray = np.asarray(image.convert("L"), np.float32)
    if rng.random() < 0.5:
        grey = gaussian_filter(grey, (rng.uniform(0, 1.2), rng.uniform(0, 1.0)))
    if rng.random() < 0.4:
        grey = 255 - np.clip((255 - grey) * rng.uniform(0.8, 1.2), 0, 255)
    if rng.random() < 0.4:
        grey = 255 * (1 - (1 - np.clip(grey, 0, 255) / 255) ** rng.uniform(0.85, 1.2))
    if rng.random() < 0.5:
        grey = grey + rng.normal(0, rng.uniform(0, 8), grey.shape)
    result = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")
    if rng.random() < 0.3:
        file = io.BytesIO()
        result.save(file, "JPEG", quality=int(rng.integers(60, 95)))
        result = Image.open(file).convert("RGB")
    return result
