"""Sounds whose high frequencies are known exactly: drums and cymbals, chiptunes, sines, bursts of coloured noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt

from training.bandwidth.songs import RATE, WINDOW, Waveform

__all__ = ["synthesise"]

_Array = npt.NDArray[np.float64]


def synthesise(rng: np.random.Generator) -> Waveform:
    """Return a random sound of :data:`~training.bandwidth.songs.WINDOW` samples [S]."""
    kinds = (_drums, _drums_and_chord, _chiptune, _sines, _bursts)
    return kinds[rng.integers(len(kinds))](rng).astype(np.float32)


def _time(samples: int) -> _Array:
    return np.arange(samples) / RATE


def _add(sound: _Array, start: int, part: _Array) -> None:
    end = min(start + len(part), len(sound))
    sound[start:end] += part[: end - start]


def _drums(rng: np.random.Generator) -> _Array:
    """Bass drum, snare, hi-hats of one decay, and now and then a cymbal."""
    sound = np.zeros(WINDOW)
    step = 60 / rng.uniform(70, 180) / rng.choice([2, 4])
    density, decay = rng.uniform(0.3, 1.0), 10 ** rng.uniform(-2.3, -0.7)
    high_pass = butter(2, rng.uniform(3000, 9000), "high", fs=RATE, output="sos")
    for beat in range(int(WINDOW / RATE / step) + 1):
        start = int(beat * step * RATE)
        if rng.random() < density:
            time = _time(int(min(1.5, 7 * decay) * RATE) + 64)
            hat = sosfilt(high_pass, rng.normal(size=len(time))) * np.exp(-time / decay)
            _add(sound, start, 0.3 * rng.uniform(0.3, 1.0) * hat)
        if beat % 4 == 0:
            time = _time(8000)
            sweep = 50 * time + 6 * (1 - np.exp(-40 * time))
            _add(sound, start, 0.9 * np.sin(2 * np.pi * sweep) * np.exp(-12 * time))
        if beat % 8 == 4:
            time = _time(9000)
            rattle = 0.5 * rng.normal(size=len(time)) * np.exp(-22 * time)
            _add(sound, start, 0.5 * (rattle + np.sin(2 * np.pi * 190 * time) * np.exp(-25 * time)))
        if rng.random() < 0.03:
            time = _time(60000)
            _add(sound, start, 0.4 * sosfilt(high_pass, rng.normal(size=len(time))) * np.exp(-3 * time))
    return sound


def _drums_and_chord(rng: np.random.Generator) -> _Array:
    time = _time(WINDOW)
    notes = 110 * 2 ** (rng.integers(0, 24, 3) / 12)
    return _drums(rng) + sum(0.1 * np.sin(2 * np.pi * note * time) for note in notes)


def _chiptune(rng: np.random.Generator) -> _Array:
    """Pulse waves without aliases, and bursts of noise as drums."""
    sound = np.zeros(WINDOW)
    length = int(rng.uniform(0.08, 0.3) * RATE)
    time = _time(length)
    for start in range(0, WINDOW, length):
        note = 110 * 2 ** (rng.integers(0, 36) / 12)
        harmonic = np.arange(1, int(20000 // note) + 1)[:, None]
        weight = np.sin(np.pi * harmonic * rng.choice([0.125, 0.25, 0.5])) / harmonic
        pulse = (weight * np.cos(2 * np.pi * harmonic * note * time)).sum(0)
        _add(sound, start, 0.3 * pulse * np.exp(-time * rng.uniform(0, 8)))
        if rng.random() < 0.4:
            _add(sound, start, 0.2 * rng.normal(size=length) * np.exp(-time * rng.uniform(5, 60)))
    return sound


def _sines(rng: np.random.Generator) -> _Array:
    """Add a few modulated sines below 9.5 kHz: nothing is above."""
    time = _time(WINDOW)
    sound = np.zeros(WINDOW)
    for frequency in rng.uniform(60, 9500, rng.integers(1, 8)):
        tremolo = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0, 4) * time)
        sound += rng.uniform(0.02, 0.3) * np.sin(2 * np.pi * frequency * time) * tremolo
    return sound


def _bursts(rng: np.random.Generator) -> _Array:
    """Coloured noise with pauses."""
    spectrum = np.fft.rfft(rng.normal(size=WINDOW))
    frequency = np.maximum(np.fft.rfftfreq(WINDOW, 1 / RATE), 30)
    noise = np.fft.irfft(spectrum * frequency ** rng.uniform(-1.5, 0.2), WINDOW)
    level = np.zeros(WINDOW)
    for _ in range(rng.integers(1, 8)):
        start = rng.integers(0, WINDOW)
        level[start : start + rng.integers(2000, 60000)] = rng.uniform(0.1, 1.0)
    return noise / np.abs(noise).max() * level
