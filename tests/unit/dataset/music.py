"""Synthesised songs of chords, a tune and drums, chosen by a seed, and measurements of them."""

from __future__ import annotations

from functools import cache

import numpy as np

from riffusion_ext.dataset.analysis.measure import BANDS
from riffusion_ext.dataset.analysis.transitions import SpectralChange, transition_curve
from riffusion_ext.params import PRESETS
from tests.unit.magnitudes import mel_of

RATE = 44100
PARAMS = PRESETS["riffusion-v1"]
SCALE = (0, 2, 4, 5, 7, 9, 11)


def seconds(length: float) -> np.ndarray:
    return np.arange(round(length * RATE)) / RATE


@cache
def note(hertz: float, length: float, dull: float, attack: float = 0.01, decay: float = 1.0) -> np.ndarray:
    """Return a note with partials up to 9 kHz; partial n has the amplitude n ** -dull."""
    t = seconds(length)
    wave = np.zeros(len(t))
    for number in range(1, min(int(9000 / hertz), 16) + 1):
        wave += np.sin(2 * np.pi * hertz * number * t + number) / number**dull
    return wave * np.minimum(t / attack, 1) * np.minimum((length - t) / 0.02, 1) * np.exp(-decay * t)


def add(out: np.ndarray, sound: np.ndarray, when: float) -> None:
    part = out[round(when * RATE) :][: len(sound)]
    part += sound[: len(part)]


def hertz_of(semitones: float) -> float:
    return 440.0 * 2 ** ((semitones - 9) / 12)


def chords(seed: int, length: float) -> np.ndarray:
    """Play a chord per bar; the bars overlap a little."""
    rng = np.random.default_rng(seed)
    key, bar, dull = rng.integers(-12, 12), rng.uniform(1.6, 2.6), rng.uniform(0.8, 2.0)
    roots = rng.choice([0, 3, 4, 5], 64)
    out = np.zeros(round(length * RATE))
    for number in range(int(length / bar) + 1):
        for step in (0, 2, 4):
            degree = roots[number % 64] + step
            pitch = key + SCALE[degree % 7] + 12 * (degree // 7) - 12
            add(out, 0.05 * note(hertz_of(pitch), bar + 0.1, dull, 0.05, 0.3), number * bar)
    return out


def tune(seed: int, length: float) -> np.ndarray:
    rng = np.random.default_rng(seed + 1000)
    key, dull = rng.integers(0, 12), rng.uniform(0.8, 2.0)
    out, when, place = np.zeros(round(length * RATE)), 0.0, 0
    while when < length:
        place = int(np.clip(place + rng.integers(-2, 3), -5, 9))
        lasts = rng.choice([0.25, 0.5, 0.5, 0.75])
        pitch = key + SCALE[place % 7] + 12 * (place // 7) + 12
        add(out, 0.08 * note(hertz_of(pitch), lasts + 0.3, dull, 0.02, 2.0), when)
        when += lasts
    return out


def drums(seed: int, length: float) -> np.ndarray:
    """Play bass drum, snare and cymbal at a random tempo."""
    rng = np.random.default_rng(seed + 2000)
    beat = rng.uniform(0.4, 0.7)
    t = seconds(0.3)
    kick = 0.4 * np.sin(2 * np.pi * (46 * t + 2.4 * (1 - np.exp(-t * 32)))) * np.exp(-t * 11)
    snare = 0.06 * rng.standard_normal(len(t)) * np.exp(-t / 0.045)
    cymbal = 0.02 * np.diff(rng.standard_normal(len(t)), prepend=0) * np.exp(-t / 0.015)
    out = np.zeros(round(length * RATE))
    for number in range(int(2 * length / beat)):
        add(out, cymbal, number * beat / 2)
        if number % 2 == 0:
            add(out, (kick, snare)[number // 2 % 2], number * beat / 2)
    return out


def song(seed: int, length: float) -> np.ndarray:
    """Return mono samples of a song; the seed determines key, tempo, tune and timbre."""
    return chords(seed, length) + tune(seed, length) + drums(seed, length)


def sketch_of(mel: np.ndarray) -> np.ndarray:
    """Return the level of 32 bands in dB; 0 is a full-scale sine."""
    loudest = mel.reshape(len(mel), BANDS, -1).max(axis=2)
    return np.maximum(20 * np.log10(loudest / (32768 * PARAMS.win_length / 4) + 1e-7), -120).astype(np.float16)


def curve_of(sound: np.ndarray) -> np.ndarray:
    """Return the transition curve of a sound, one value per four columns."""
    mel = mel_of(sound)
    change = SpectralChange()
    change.add(mel)
    return transition_curve(sketch_of(mel), change.finish())
