"""Synthesise a short tune from sines and noise, free of copyright, for the demo and for tests.

Six bars in A minor: electric piano, bass, drums and a small melody with an echo. A beat is 0.64 s (93.75 a minute), so
two bars are exactly 512 columns of 10 ms, and the six bars are three training images cut on the beat::

    tile     |        0        |        1        |        2        |
    bar      |   1    |   2    |   3    |   4    |   5    |   6    |
    chord    |  Am9   | Fmaj7  | Cmaj7  |  G6    | F   G  | Am9    |
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["BEAT", "SAMPLE_RATE", "make_tune"]

SAMPLE_RATE = 44100
BEAT = 0.64
_COLUMNS = 3 * 512
_SAMPLES = (_COLUMNS - 1) * 441
"""Number of samples: 1536 columns span 1535 hops, 15.35 s."""

# (first beat, MIDI note numbers). The lowest note is the bass.
_CHORDS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0, (45, 60, 64, 67, 71)),
    (4, (41, 60, 64, 65, 69)),
    (8, (48, 59, 64, 67, 72)),
    (12, (43, 59, 62, 64, 67)),
    (16, (41, 57, 60, 65, 69)),
    (18, (43, 59, 62, 67, 71)),
    (20, (45, 60, 64, 67, 71)),
)

# (first beat, length in beats, MIDI note number)
_MELODY: tuple[tuple[float, float, int], ...] = (
    (0.5, 0.5, 76), (1, 0.5, 79), (1.5, 1, 81), (2.5, 0.5, 79), (3, 1, 76),
    (4.5, 0.5, 77), (5, 0.5, 76), (5.5, 1, 72), (6.5, 0.5, 74), (7, 1, 76),
    (8.5, 0.5, 79), (9, 0.5, 83), (9.5, 1, 84), (10.5, 0.5, 83), (11, 1, 79),
    (12.5, 0.5, 74), (13, 0.5, 76), (13.5, 1, 79), (14.5, 0.5, 76), (15, 1, 74),
    (16, 1, 72), (17, 0.5, 74), (17.5, 0.5, 76), (18, 1, 79), (19, 0.5, 83), (19.5, 0.5, 79),
    (20, 3, 81),
)  # fmt: skip

# Beats within a bar.
_KICK = (0.0, 1.75, 2.0)
_SNARE = (1.0, 3.0)
_HAT = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
_BASS = ((0.0, 0.9, 0), (1.0, 0.4, 12), (1.75, 0.7, 0), (2.5, 0.4, 7), (3.0, 0.9, 0))


def _hertz(note: float) -> float:
    return 440.0 * 2.0 ** ((note - 69) / 12)


def _seconds(length: float) -> np.ndarray:
    return np.arange(int(length * SAMPLE_RATE)) / SAMPLE_RATE


def _fade_out(sound: np.ndarray, seconds: float = 0.03) -> np.ndarray:
    count = min(int(seconds * SAMPLE_RATE), len(sound))
    sound[len(sound) - count :] *= np.linspace(1.0, 0.0, count)
    return sound


def _keys(note: int, length: float) -> np.ndarray:
    """Synthesise an electric piano by frequency modulation: bright attack, mellow decay."""
    t, f = _seconds(length), _hertz(note)
    bark = 1.6 * np.exp(-t * 5) * np.sin(2 * np.pi * f * t)
    tine = 0.12 * np.exp(-t * 14) * np.sin(2 * np.pi * 7 * f * t)
    body = np.sin(2 * np.pi * f * t + bark) + tine
    return _fade_out(body * np.exp(-t * 1.3) * np.minimum(t / 0.004, 1), 0.12)


def _bass(note: int, length: float) -> np.ndarray:
    """Synthesise a plucked string: higher harmonics decay faster."""
    t, f = _seconds(length), _hertz(note)
    parts = [np.sin(2 * np.pi * n * f * t) * np.exp(-t * (1.2 + 2.2 * n)) / n**1.2 for n in range(1, 9)]
    return _fade_out(np.sum(parts, axis=0) * np.minimum(t / 0.003, 1))


def _lead(note: int, length: float) -> np.ndarray:
    """Synthesise a reed-like lead with delayed vibrato; harmonics up to 9 kHz, below the highest band of the images."""
    t, f = _seconds(length + 0.08), _hertz(note)
    depth = 0.004 * np.clip((t - 0.18) / 0.25, 0, 1)
    phase = 2 * np.pi * f * (t + np.cumsum(depth * np.sin(2 * np.pi * 5.4 * t)) / SAMPLE_RATE)
    count = max(1, int(9000 / f))
    parts = [np.sin(n * phase) / n**1.7 for n in range(1, min(count, 12) + 1)]
    shape = np.minimum(t / 0.018, 1) * (0.65 + 0.35 * np.exp(-t * 6))
    return _fade_out(np.sum(parts, axis=0) * shape, 0.08)


def _kick(_: np.random.Generator) -> np.ndarray:
    t = _seconds(0.32)
    return np.sin(2 * np.pi * (46 * t + 2.4 * (1 - np.exp(-t * 32)))) * np.exp(-t * 11)


def _snare(noise: np.random.Generator) -> np.ndarray:
    t = _seconds(0.22)
    rattle = noise.standard_normal(len(t)) * np.exp(-t * 22) * 0.5
    return rattle + np.sin(2 * np.pi * 187 * t) * np.exp(-t * 26) * 0.7


def _hat(noise: np.random.Generator) -> np.ndarray:
    t = _seconds(0.07)
    hiss = np.diff(noise.standard_normal(len(t) + 2), 2)  # the second difference keeps the treble
    return hiss * np.exp(-t * 70) * 0.35


def _add(track: np.ndarray, beat: float, sound: np.ndarray, gain: float) -> None:
    start = int(beat * BEAT * SAMPLE_RATE)
    stop = min(start + len(sound), len(track))
    track[start:stop] += gain * sound[: stop - start]


def _drums(track: np.ndarray, noise: np.random.Generator) -> None:
    plan: tuple[tuple[tuple[float, ...], Callable[[np.random.Generator], np.ndarray], float], ...] = (
        (_KICK, _kick, 0.5),
        (_SNARE, _snare, 0.36),
        (_HAT, _hat, 0.2),
    )
    for bar in range(5):  # the last bar rings out
        for beats, drum, gain in plan:
            for beat in beats:
                accent = 1.0 if beat == int(beat) else 0.7
                _add(track, bar * 4 + beat, drum(noise), gain * accent)
    _add(track, 20, _kick(noise), 0.5)


def _harmony(keys: np.ndarray, bass: np.ndarray) -> None:
    ends = [beat for beat, _ in _CHORDS[1:]] + [24.0]
    for (beat, (root, *notes)), end in zip(_CHORDS, ends, strict=True):
        for step, note in enumerate(notes):  # strummed slightly
            _add(keys, beat + 0.02 * step, _keys(note, (end - beat) * BEAT), 0.2)
        low = root - 12 if root > 45 else root  # C2 to A2: audible on small loudspeakers
        if end == 24.0:
            _add(bass, beat, _bass(low, 3 * BEAT), 0.3)
            continue
        for offset, length, interval in _BASS:
            if beat + offset < end:
                _add(bass, beat + offset, _bass(low + interval, length * BEAT), 0.3)


def _echo(track: np.ndarray, beats: float, gain: float) -> np.ndarray:
    """Add three repeats, each ``beats`` later and ``gain`` times as loud."""
    wet = track.copy()
    for repeat in range(1, 4):
        delay = int(repeat * beats * BEAT * SAMPLE_RATE)
        wet[delay:] += gain**repeat * track[:-delay]
    return wet


def _room(track: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    """Return the reverberation of a small hall: the track convolved with decaying noise of less than a second."""
    t = _seconds(0.9)
    answer = noise.standard_normal(len(t)) * np.exp(-t * 7)
    answer /= np.sqrt(np.sum(answer**2))
    size = 1 << (len(track) + len(answer)).bit_length()
    return np.fft.irfft(np.fft.rfft(track, size) * np.fft.rfft(answer, size), size)[: len(track)]


def make_tune() -> np.ndarray:
    """Synthesise the tune; deterministic.

    Returns
    -------
    np.ndarray [shape=(1, 676935), float32]
        15.35 s at 44100 Hz, peak 0.89 of full scale.
    """
    noise = np.random.default_rng(1)
    keys, bass, lead, drums = (np.zeros(_SAMPLES) for _ in range(4))
    _harmony(keys, bass)
    for beat, length, note in _MELODY:
        _add(lead, beat, _lead(note, length * BEAT), 0.24)
    _drums(drums, noise)
    mix = keys + bass + _echo(lead, 0.75, 0.35) + drums
    mix += 0.16 * _room(keys + 1.2 * lead + 0.25 * drums, noise)
    mix = np.tanh(1.1 * mix)  # soft clipping of the loudest hits
    _fade_out(mix, 0.6)
    return (0.89 / np.abs(mix).max() * mix).astype(np.float32)[None]
