"""Synthesise grooves: drums and instruments with seeded timbres, loose timing, fills, breaks and reverb."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bench.grooves import Groove, Style

__all__ = ["RATE", "SECONDS", "play"]

RATE = 44100
SECONDS = 30.0

_Wave = npt.NDArray[np.float64]
_LOUDNESS = {"X": 1.25, "x": 1.0, "o": 0.5}
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_PROGRESSIONS = ((0, 5, 3, 4), (0, 3, 4, 4), (5, 3, 0, 4), (0, 0, 3, 4), (0, 6, 5, 4))
_FILL_EVERY = 8
"""In bars; the last beat of them is a fill."""


def play(groove: Groove, seconds: float = SECONDS) -> npt.NDArray[np.float32]:
    """Synthesise a groove [samples] at 44.1 kHz; deterministic."""
    rng = np.random.default_rng(groove.seed)
    style, beat = groove.style, 60 / groove.tempo
    lead_in = rng.uniform(0.05, 0.6)
    bars = int((seconds - lead_in) / (beat * style.beats)) + 1
    out = np.zeros(round(seconds * RATE) + 6 * RATE)
    kit = _Kit(rng)
    drums_from, rest = int(rng.integers(0, 3)), int(rng.integers(6, 12))  # the first bars and one other have no drums
    key, scale = int(rng.integers(-5, 6)), _SCALES[int(rng.integers(0, 2))]
    progression = _PROGRESSIONS[int(rng.integers(0, len(_PROGRESSIONS)))]
    player = _Player(style, beat, lead_in, rng)
    band = tuple(_Instrument(name, rng) for name in style.sounds)
    for bar in range(bars):
        degree = progression[bar % len(progression)]
        if style.drums and (bar >= drums_from or bars < 8) and bar != rest:
            _drum(out, player, kit, bar, rng)
        _accompany(out, player, band, (key, scale, degree), bar, rng)
    dry = out[: round(seconds * RATE)]
    wet = dry + rng.uniform(0.05, 0.25) * _room(dry, rng)
    return np.asarray(0.6 * np.tanh(wet * (1.2 / max(float(np.abs(wet).max()), 1e-9))), np.float32)


class _Player:
    """Convert steps of bars to times."""

    def __init__(self, style: Style, beat: float, lead_in: float, rng: np.random.Generator) -> None:
        self.style, self._beat, self._lead_in, self._rng = style, beat, lead_in, rng

    def at(self, bar: int, step: int) -> float:
        style = self.style
        late = style.swing if step % 2 else 0.0
        place = bar * style.beats + (step + late) / style.steps
        return self._lead_in + place * self._beat + self._rng.normal(0, style.loose / 1000)

    def length(self, steps: float) -> float:
        return steps * self._beat / self.style.steps


def _drum(out: _Wave, player: _Player, kit: _Kit, bar: int, rng: np.random.Generator) -> None:
    style = player.style
    fill = bar % _FILL_EVERY == _FILL_EVERY - 1
    last = style.steps * (style.beats - 1)
    for voice, pattern in style.drums.items():
        for step, mark in _marks(pattern):
            if not (fill and step >= last):
                _add(out, player.at(bar, step), kit.voice(voice), _LOUDNESS[mark] * rng.uniform(0.8, 1.1))
    if fill:
        for step in range(last, last + style.steps):
            _add(out, player.at(bar, step), kit.voice("tom" if rng.random() < 0.5 else "snare"), rng.uniform(0.6, 1.0))
    if bar and bar % _FILL_EVERY == 0:
        _add(out, player.at(bar, 0), kit.voice("crash"), 0.8)


def _accompany(
    out: _Wave,
    player: _Player,
    band: tuple[_Instrument, ...],
    harmony: tuple[int, tuple[int, ...], int],
    bar: int,
    rng: np.random.Generator,
) -> None:
    key, scale, degree = harmony
    bass, chords, lead = band
    for part, pattern in enumerate((player.style.bass, player.style.chords, player.style.lead)):
        marks = _marks(pattern)
        for place, (step, mark) in enumerate(marks):
            following = marks[place + 1][0] if place + 1 < len(marks) else player.style.steps * player.style.beats
            lasting, loud = player.length(following - step), _LOUDNESS[mark] * rng.uniform(0.75, 1.1)
            when = player.at(bar, step)
            if part == 0:
                note = 36 + key + scale[degree % 7] + (12 if step and rng.random() < 0.1 else 0)
                _add(out, when, bass.note(note, lasting), 0.7 * loud)
            elif part == 1:
                for third in (0, 2, 4):
                    number = degree + third
                    note = 60 + key + scale[number % 7] + 12 * (number // 7)
                    _add(out, when, chords.note(note, lasting), 0.25 * loud)
            elif rng.random() < 0.7:
                number = degree + int(rng.integers(-3, 5))
                note = 72 + key + scale[number % 7] + 12 * (number // 7)
                _add(out, when, lead.note(note, lasting), 0.35 * loud)


def _marks(pattern: str) -> list[tuple[int, str]]:
    """Return the steps at which notes are played, and their loudness."""
    return [(step, mark) for step, mark in enumerate(pattern.replace(" ", "")) if mark != "."]


def _add(out: _Wave, when: float, wave: _Wave, loudness: float) -> None:
    first = max(round(when * RATE), 0)
    part = out[first : first + len(wave)]
    part += loudness * wave[: len(part)]


def _room(dry: _Wave, rng: np.random.Generator) -> _Wave:
    length = rng.uniform(0.2, 0.9)
    tail = rng.standard_normal(round(length * RATE)) * np.exp(-_time(length) * 5 / length)
    size = 1 << (len(dry) + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(tail / np.sqrt((tail**2).sum()), size), size)
    return np.asarray(wet[: len(dry)])


def _time(seconds: float) -> _Wave:
    return np.arange(round(seconds * RATE)) / RATE


class _Kit:
    """Drums."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._level = {name: rng.uniform(0.75, 1.2) for name in _DRUMS}
        self._pitch, self._short = rng.uniform(0.8, 1.25), rng.uniform(0.7, 1.4)
        self._made: dict[str, list[_Wave]] = {}

    def voice(self, name: str) -> _Wave:
        """Return one of three different strokes of a drum."""
        if name not in self._made:
            self._made[name] = [self._level[name] * _DRUMS[name](self._rng, self._pitch, self._short) for _ in range(3)]
        return self._made[name][int(self._rng.integers(0, 3))]


def _membrane(hertz: float, sweep: float, decay: float, noise: float) -> Callable[..., _Wave]:
    def stroke(rng: np.random.Generator, pitch: float, short: float) -> _Wave:
        t = _time(6 / decay * short)
        phase = 2 * np.pi * pitch * (hertz * t + sweep * (1 - np.exp(-t * 30)))
        hiss = noise * rng.standard_normal(len(t)) * np.exp(-t * decay * 2 / short)
        return np.asarray(0.8 * np.sin(phase) * np.exp(-t * decay / short) + hiss)

    return stroke


def _metal(decay: float, level: float, bright: int) -> Callable[..., _Wave]:
    def stroke(rng: np.random.Generator, pitch: float, short: float) -> _Wave:
        t = _time(6 / decay * short)
        hiss = rng.standard_normal(len(t))
        for _ in range(bright):
            hiss = np.diff(hiss, prepend=0.0) * 0.7
        ring = sum(np.sign(np.sin(2 * np.pi * pitch * f * t)) for f in (3170.0, 4410.0, 5330.0)) / 6
        return np.asarray(level * (hiss + ring) * np.exp(-t * decay / short))

    return stroke


_DRUMS: dict[str, Callable[..., _Wave]] = {
    "kick": _membrane(48, 2.4, 11, 0.02),
    "snare": _membrane(185, 0.6, 22, 0.35),
    "clap": _metal(22, 0.3, 0),
    "rim": _membrane(420, 0.2, 60, 0.1),
    "tom": _membrane(110, 1.0, 9, 0.03),
    "hat": _metal(55, 0.12, 1),
    "open": _metal(12, 0.12, 1),
    "shaker": _metal(70, 0.05, 1),
    "ride": _metal(7, 0.06, 2),
    "crash": _metal(2.5, 0.2, 1),
    "chip-kick": _membrane(70, 3.0, 16, 0.0),
    "chip-snare": _metal(25, 0.3, 0),
    "chip-hat": _metal(80, 0.15, 0),
}


class _Instrument:
    """Tones of one timbre."""

    def __init__(self, name: str, rng: np.random.Generator) -> None:
        attack, decay, partials, slope, kind = _TONES[name]
        self._attack, self._decay = attack * rng.uniform(0.7, 1.5), decay * rng.uniform(0.7, 1.4)
        self._partials, self._slope, self._kind = partials, slope * rng.uniform(0.85, 1.2), kind
        self._vibrato = rng.uniform(0, 0.15) if attack > 0.03 else 0.0
        self._made: dict[tuple[int, float], _Wave] = {}

    def note(self, note: int, seconds: float) -> _Wave:
        """Return one tone, held for `seconds`, with a fade-out."""
        key = (note, round(seconds, 4))
        if key not in self._made:
            self._made[key] = self._tone(440 * 2 ** ((note - 69) / 12), min(max(seconds * 0.95, 0.05), 4.0))
        return self._made[key]

    def _tone(self, hertz: float, seconds: float) -> _Wave:
        t = _time(seconds + 0.05)
        phase = 2 * np.pi * hertz * t + self._vibrato * np.sin(2 * np.pi * 5.5 * t)
        step = 2 if self._kind == "odd" else 1
        wave = np.zeros(len(t))
        for n in range(1, self._partials * step + 1, step):
            if n * hertz < 15000:
                wave += np.sin(n * phase + n) / n**self._slope * np.exp(-t * self._decay * (1 + 0.15 * n))
        if self._kind == "driven":
            wave = 0.8 * np.tanh(4 * wave) * np.exp(-t * self._decay)
        envelope = np.minimum(t / self._attack, 1) * np.clip((seconds + 0.05 - t) / 0.05, 0, 1)
        return np.asarray(0.6 * wave * envelope)


# Attack in s, decay in 1/s, number and slope of the partials, kind.
_TONES: dict[str, tuple[float, float, int, float, str]] = {
    "bass": (0.008, 2.5, 6, 1.3, ""),
    "sub": (0.015, 1.0, 2, 2.0, ""),
    "saw": (0.004, 1.5, 20, 1.0, ""),
    "square": (0.002, 0.3, 16, 1.0, "odd"),
    "organ": (0.01, 0.1, 6, 1.0, ""),
    "piano": (0.004, 2.2, 10, 1.2, ""),
    "pluck": (0.002, 6.0, 12, 1.0, ""),
    "bell": (0.002, 3.0, 5, 0.8, "odd"),
    "pad": (0.35, 0.05, 10, 1.2, ""),
    "strings": (0.09, 0.1, 14, 1.1, ""),
    "brass": (0.04, 0.6, 14, 0.9, ""),
    "guitar": (0.003, 1.0, 6, 1.0, "driven"),
    "guitar-clean": (0.003, 4.0, 10, 1.1, ""),
}
