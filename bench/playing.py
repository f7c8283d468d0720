"""Synthesised instruments for the test songs: drums, cymbals, guitars, basses, synths and effects.

All are mono at 44.1 kHz, and deterministic for a given random generator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

RATE = 44100
Sound = npt.NDArray[np.float64]


def seconds(length: float) -> Sound:
    """Return the times of the samples of a sound, in seconds."""
    return np.arange(max(round(length * RATE), 1)) / RATE


def hertz(semitones: float) -> float:
    """Return the frequency of a pitch in semitones; 0 is middle C."""
    return float(261.63 * 2 ** (semitones / 12))


def add(out: Sound, sound: Sound, when: float, gain: float = 1.0) -> None:
    """Mix a sound into `out` at time `when` in s; samples past the end are dropped."""
    start = max(round(when * RATE), 0)
    part = out[start : start + len(sound)]
    part += gain * sound[: len(part)]


def apply_response(sound: Sound, response: Callable[[Sound], Sound]) -> Sound:
    """Filter a sound with a frequency response: a gain as a function of Hz."""
    spectrum = np.fft.rfft(sound)
    return np.fft.irfft(spectrum * response(np.fft.rfftfreq(len(sound), 1 / RATE)), len(sound))


def lowpass(cut: float, steep: float = 4.0) -> Callable[[Sound], Sound]:
    """Return the response of a low-pass filter."""
    return lambda frequency: 1.0 / np.sqrt(1.0 + (frequency / cut) ** (2 * steep))


def highpass(cut: float, steep: float = 4.0) -> Callable[[Sound], Sound]:
    """Return the response of a high-pass filter."""
    return lambda frequency: 1.0 / np.sqrt(1.0 + (cut / np.maximum(frequency, 1e-3)) ** (2 * steep))


def sweep_filter(sound: Sound, cuts: Sound, kind: Callable[[float], Callable[[Sound], Sound]] = lowpass) -> Sound:
    """Filter with a moving cutoff: `cuts` are evenly spaced over the sound."""
    block = 4096
    out = np.zeros(len(sound) + 2 * block)
    padded = np.concatenate([np.zeros(block), sound, np.zeros(block)])
    window = np.hanning(2 * block + 1)[:-1]
    for start in range(0, len(sound) + block - block + 1, block):
        cut = float(np.interp(start / max(len(sound), 1), np.linspace(0, 1, len(cuts)), cuts))
        part = padded[start : start + 2 * block]
        out[start : start + len(part)] += apply_response(part * window[: len(part)], kind(cut))
    return out[block : block + len(sound)]


def room(sound: Sound, rng: np.random.Generator, length: float = 1.2, wet: float = 0.15) -> Sound:
    """Add reverb that decays by 60 dB in `length` s."""
    t = seconds(length)
    echo = rng.standard_normal(len(t)) * 10.0 ** (-3 * t / length)
    echo /= np.sqrt((echo**2).sum())
    size = 1 << (len(sound) + len(t)).bit_length()
    tail = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)[: len(sound)]
    return sound + wet * tail


# -- drums


def kick(rng: np.random.Generator) -> Sound:
    t = seconds(0.35)
    low = rng.uniform(42, 58)
    beater = apply_response(rng.standard_normal(len(t)), lowpass(4000)) * np.exp(-t / 0.004)
    return 0.9 * np.sin(2 * np.pi * (low * t + 2.5 * (1 - np.exp(-t * 35)))) * np.exp(-t * 10) + 0.15 * beater


def snare(rng: np.random.Generator) -> Sound:
    t = seconds(0.3)
    noise = apply_response(rng.standard_normal(len(t)), highpass(900, 1))
    return 0.3 * noise * np.exp(-t / 0.06) + 0.4 * np.sin(2 * np.pi * rng.uniform(170, 220) * t) * np.exp(-t / 0.05)


def tom(rng: np.random.Generator, pitch: float) -> Sound:
    t = seconds(0.5)
    skin = np.sin(2 * np.pi * (pitch * t + 0.8 * (1 - np.exp(-t * 20)))) * np.exp(-t / 0.14)
    return 0.7 * skin + 0.1 * rng.standard_normal(len(t)) * np.exp(-t / 0.01)


def hat(rng: np.random.Generator, opened: bool = False) -> Sound:
    t = seconds(0.45 if opened else 0.12)
    noise = apply_response(rng.standard_normal(len(t)), highpass(6500, 3))
    return 0.22 * noise * np.exp(-t / (0.16 if opened else 0.025))


def crash(rng: np.random.Generator) -> Sound:
    t = seconds(2.2)
    wash = apply_response(rng.standard_normal(len(t)), highpass(rng.uniform(2000, 3500), 2))
    return 0.35 * wash * (0.8 * np.exp(-t / 0.5) + 0.3 * np.exp(-t / 0.06))


def ride(rng: np.random.Generator) -> Sound:
    t = seconds(0.9)
    bell = sum(np.sin(2 * np.pi * f * t + f) for f in (1, 1.34, 1.81, 2.2, 2.77) * np.full(5, rng.uniform(2300, 2900)))
    wash = apply_response(rng.standard_normal(len(t)), highpass(5000, 2))
    return 0.05 * bell * np.exp(-t / 0.25) + 0.08 * wash * np.exp(-t / 0.2)


# -- pitched instruments


@lru_cache(maxsize=64)
def partials(
    pitch: float, length: float, dull: float, *, odd: bool = False, count: int = 40, wander: float = 0.0
) -> Sound:
    """Sum partials up to 12 kHz; the nth has the amplitude n ** -dull."""
    t = seconds(length)
    phase = 2 * np.pi * pitch * t + wander * np.sin(2 * np.pi * 5.3 * t)
    numbers = [n for n in range(1, count + 1, 2 if odd else 1) if n * pitch < 12000]
    return np.sum([np.sin(n * phase + n * n) / n**dull for n in numbers], axis=0)


def apply_envelope(sound: Sound, attack: float = 0.005, release: float = 0.03, decay: float = 0.0) -> Sound:
    """Apply an envelope; times in s, `decay` in 1/s."""
    t = np.arange(len(sound)) / RATE
    last = len(sound) / RATE
    return sound * np.minimum(t / attack, 1) * np.clip((last - t) / release, 0, 1) * np.exp(-decay * t)


def power_chord(root: float, length: float, muted: bool = False) -> Sound:
    """Play a power chord on a distorted guitar."""
    clean = sum(partials(hertz(root + step), length, 1.0, count=8) for step in (0, 7, 12))
    loud = np.tanh(3.0 * apply_envelope(np.asarray(clean), decay=9.0 if muted else 0.3))
    return 0.3 * apply_envelope(apply_response(loud, lowpass(700 if muted else 4500, 2)), release=0.02)


def chord(root: float, steps: tuple[int, ...], length: float, dull: float = 1.1, attack: float = 0.01) -> Sound:
    """Play a chord on a synth, with two detuned voices for each note."""
    voices = [partials(hertz(root + s) * (1 + d), length, dull, count=16) for s in steps for d in (-0.003, 0.003)]
    return 0.06 * apply_envelope(np.sum(voices, axis=0), attack)


def bass(root: float, length: float, dull: float = 1.4) -> Sound:
    return 0.35 * apply_envelope(partials(hertz(root - 24), length, dull, count=12), decay=1.5)


def pulse(pitch: float, length: float, duty: float) -> Sound:
    """Play the square wave of a sound chip."""
    phase = hertz(pitch) * seconds(length) % 1.0
    return 0.2 * apply_envelope(np.where(phase < duty, 1.0, -1.0), 0.001, 0.003)


def triangle(pitch: float, length: float) -> Sound:
    phase = hertz(pitch) * seconds(length) % 1.0
    return 0.4 * apply_envelope(np.round((4 * np.abs(phase - 0.5) - 1) * 8) / 8, 0.001, 0.003)


def pluck(pitch: float, length: float, dull: float = 1.3, decay: float = 2.0) -> Sound:
    """Strike a string, like a piano."""
    return 0.25 * apply_envelope(partials(hertz(pitch), length, dull, count=20), 0.003, 0.05, decay)


def singer(pitch: float, length: float, vowel: float) -> Sound:
    """Sing a note; `vowel` from 0 to 1."""
    formants = (350 + 500 * vowel, 2200 - 1100 * vowel, 2900)

    def mouth(frequency: Sound) -> Sound:
        return np.sum(
            [np.exp(-(((frequency - f) / (80 + f / 12)) ** 2)) / (n + 1) for n, f in enumerate(formants)], axis=0
        )

    return 0.5 * apply_envelope(apply_response(partials(hertz(pitch), length, 0.9, wander=0.3), mouth), 0.04, 0.08)
