"""Uncut songs that resemble cut ones: stops, alternating cymbals, drops, builds, fills, gates, chops, sweeps.

Each keeps its instruments, key and tempo from the first bar to the last, so every window that is dropped as cut is a
false positive.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.playing import (
    RATE,
    Sound,
    add,
    apply_envelope,
    apply_response,
    bass,
    chord,
    crash,
    hat,
    hertz,
    highpass,
    kick,
    partials,
    pluck,
    power_chord,
    pulse,
    ride,
    room,
    singer,
    snare,
    sweep_filter,
    tom,
    triangle,
)

_MINOR = (0, 3, 7)
_MAJOR = (0, 4, 7)
_PROGRESSIONS = ((0, -4, 3, -2), (0, 5, -4, 7), (0, -2, -4, -5), (0, 3, -2, 5))


class _Song:
    """A song in progress: bars of four beats at a random tempo, in a random key."""

    def __init__(self, rng: np.random.Generator, length: float, slowest: float, fastest: float) -> None:
        self.rng = rng
        self.beat = 60.0 / rng.uniform(slowest, fastest)
        self.bars = max(int(length / self.beat / 4), 1)
        self.out: Sound = np.zeros(round((self.bars * 4 * self.beat + 0.5) * RATE))
        self.key = int(rng.integers(-8, 4))
        self.roots = tuple(self.key + step for step in _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))])
        self.kit = {"kick": kick(rng), "snare": snare(rng), "hat": hat(rng), "open": hat(rng, opened=True)}
        self.kit |= {"crash": crash(rng), "ride": ride(rng)}

    def at(self, bar: int, beat: float = 0.0) -> float:
        return (bar * 4 + beat) * self.beat

    def play(self, sound: Sound, bar: int, beat: float = 0.0, gain: float = 1.0) -> None:
        add(self.out, sound, self.at(bar, beat), gain * self.rng.uniform(0.9, 1.0))

    def hit(self, name: str, bar: int, beat: float, gain: float = 1.0) -> None:
        self.play(self.kit[name], bar, beat, gain)

    def drum_bar(self, bar: int, cymbal: str = "hat", until: float = 4.0, gain: float = 1.0) -> None:
        """Play a bar of rock drums, until a beat."""
        for eighth in range(8):
            if eighth / 2 >= until:
                break
            if cymbal != "crash" or eighth % 2 == 0:
                self.hit(cymbal, bar, eighth / 2, gain * (0.7 if cymbal == "crash" else 1.0))
            if eighth in (0, 3, 5):
                self.hit("kick", bar, eighth / 2, gain)
            if eighth in (2, 6):
                self.hit("snare", bar, eighth / 2, gain)

    def riff(self, bar: int, until: float = 4.0, muted: bool = False) -> None:
        """Play a bar of guitar and bass, until a beat."""
        root = self.roots[bar % 4]
        for start, lasts in ((0.0, 1.5), (1.5, 1.0), (2.5, 1.5)):
            if start < until:
                held = min(lasts, until - start) * self.beat
                self.play(power_chord(root - 12, held, muted), bar, start)
                self.play(bass(root, held), bar, start)


def rock_with_stops(rng: np.random.Generator, length: float) -> Sound:
    """Stop the whole band for one or two beats, every bar or every other; amplifiers hum."""
    song = _Song(rng, length, 90, 170)
    every, beats = int(rng.integers(1, 3)), float(rng.choice([1, 1.5, 2]))
    for bar in range(song.bars):
        until = 4.0 - beats if bar % every == every - 1 else 4.0
        song.drum_bar(bar, "open" if every == 2 else "hat", until)
        song.riff(bar, until)
    hum = 10 ** (-rng.uniform(45, 75) / 20) * (partials(50, len(song.out) / RATE, 1.0, count=9)[: len(song.out)])
    hiss = 10 ** (-rng.uniform(55, 80) / 20) * rng.standard_normal(len(song.out))
    return room(song.out, rng, rng.uniform(0.3, 1.5), rng.uniform(0.02, 0.25)) + hum[: len(song.out)] + hiss


def alternating_cymbals(rng: np.random.Generator, length: float) -> Sound:
    """Alternate crash, ride and hi-hat every bar or half bar."""
    song = _Song(rng, length, 80, 160)
    half, order = bool(rng.integers(2)), list(rng.permutation(["crash", "ride", "hat", "open"])[: rng.integers(2, 4)])
    loud = rng.uniform(0.8, 2.0)
    for bar in range(song.bars):
        for part in range(2):
            cymbal = str(order[(2 * bar + part if half else bar) % len(order)])
            for eighth in range(4 * part, 4 * part + 4):
                if cymbal != "crash" or eighth % 2 == 0:
                    song.hit(cymbal, bar, eighth / 2, loud)
        for name, beats in (("kick", (0, 2)), ("snare", (1, 3))):
            for place in beats:
                song.hit(name, bar, place)
        song.riff(bar, muted=bool(order[bar % len(order)] == "hat"))
    return song.out


def breakdowns(rng: np.random.Generator, length: float) -> Sound:
    """Alternate two or four bars of the band with as many of a clean guitar and the bass drum."""
    song = _Song(rng, length, 90, 150)
    each = int(rng.choice([2, 4]))
    for bar in range(song.bars):
        if bar // each % 2 == 0:
            song.drum_bar(bar, "crash" if bar % each == 0 else "hat")
            song.riff(bar)
        else:
            for place in range(4):
                song.hit("kick", bar, place)
                song.play(pluck(song.roots[bar % 4] + _MINOR[place % 3], 2 * song.beat), bar, place)
    return room(song.out, rng)


def drum_fills(rng: np.random.Generator, length: float) -> Sound:
    """End every second or fourth bar with toms alone."""
    song = _Song(rng, length, 90, 160)
    every, beats = int(rng.choice([2, 4])), float(rng.choice([2, 4]))
    toms = [tom(rng, pitch) for pitch in (190, 140, 100, 75)]
    for bar in range(song.bars):
        until = 4.0 - beats if bar % every == every - 1 else 4.0
        song.drum_bar(bar, "ride" if bar % 8 >= 4 else "hat", until)
        if bar % every == 0:
            song.hit("crash", bar, 0)
        song.riff(bar, until)
        for sixteenth in range(int(4 * until), 16):
            song.play(toms[sixteenth // 4 % 4 if beats == 4 else sixteenth // 2 % 4], bar, sixteenth / 4)
    return room(song.out, rng)


def _build(song: _Song, first: int, bars: int) -> None:
    """Play a pad, a riser and an accelerating snare roll, up to a rest."""
    rest = float(song.rng.choice([0.0, 0.5, 1.0]))
    lasts = (bars * 4 - rest) * song.beat
    noise = 0.15 * song.rng.standard_normal(round(lasts * RATE)) * np.linspace(0.02, 1, round(lasts * RATE)) ** 2
    song.play(sweep_filter(noise, np.geomspace(300, 9000, 20), highpass), first)
    for bar in range(first, first + bars):
        held = 4 * song.beat if bar < first + bars - 1 else (4 - rest) * song.beat
        song.play(chord(song.roots[bar % 4], (*_MINOR, 12), held, 1.1, 0.1), bar)
        steps = 4 if bar < first + bars / 2 else 8 if bar < first + 0.75 * bars else 16
        for step in range(steps):
            if bar < first + bars - 1 or 4 * step / steps < 4 - rest:
                song.hit("snare", bar, 4 * step / steps, 0.4 + 0.6 * (bar - first) / bars)


def dubstep_drop(rng: np.random.Generator, length: float) -> Sound:
    """Play eight bars of build-up, a rest, then half-time drums and a wobble bass."""
    song = _Song(rng, length, 135, 150)
    for first in range(0, song.bars, 16):
        _build(song, first, min(8, song.bars - first))
        for bar in range(first + 8, min(first + 16, song.bars)):
            root = song.roots[bar % 4] - 24
            for beat in range(4):
                held, speed = song.beat, int(rng.choice([1, 2, 3, 4, 6]))
                growl = np.tanh(2 * partials(hertz(root), held, 0.7))
                cuts = 300 + 2500 * (0.5 - 0.5 * np.cos(2 * np.pi * np.linspace(0, speed, 40)))
                song.play(0.5 * apply_envelope(sweep_filter(growl, cuts)), bar, beat)
            song.hit("kick", bar, 0, 1.3)
            song.hit("snare", bar, 2, 1.5)
            for eighth in range(8):
                song.hit("hat", bar, eighth / 2)
    return song.out


def edm_drop(rng: np.random.Generator, length: float) -> Sound:
    """Play a build-up and a drop: four on the floor, saws that duck under the bass drum."""
    song = _Song(rng, length, 122, 132)
    for first in range(0, song.bars, 16):
        _build(song, first, min(8, song.bars - first))
        for bar in range(first + 8, min(first + 16, song.bars)):
            for beat in range(4):
                song.hit("kick", bar, beat, 1.2)
                song.hit("open", bar, beat + 0.5)
                held = song.beat
                lead = chord(song.roots[bar % 4], (*_MINOR, 12, 15), held, 0.8)
                duck = np.minimum(np.arange(len(lead)) / RATE / (0.6 * held), 1)
                song.play(1.6 * lead * duck, bar, beat)
                song.play(bass(song.roots[bar % 4], 0.5 * held), bar, beat + 0.5)
            if bar % 2:
                song.hit("snare", bar, 1)
            song.hit("crash" if bar % 8 == 0 else "hat", bar, 0)
    return song.out


def gated_synths(rng: np.random.Generator, length: float) -> Sound:
    """Chop a pad in sixteenths; the pattern changes every two bars."""
    song = _Song(rng, length, 125, 142)
    drums = bool(rng.integers(2))
    for bar in range(song.bars):
        if bar % 2 == 0:
            gate = rng.random(16) < rng.uniform(0.4, 0.8)
            gate[0] = True
        pad = chord(song.roots[bar // 2 % 4], (*_MINOR, 12, 19), 4 * song.beat, 0.9, 0.003)
        steps = np.minimum(np.arange(len(pad)) / RATE / song.beat * 4, 15.99)
        opened = gate[steps.astype(int)] * (steps % 1.0 < 0.8)
        song.play(2.0 * pad * np.convolve(opened, np.ones(100) / 100, "same"), bar)
        if drums:
            for beat in range(4):
                song.hit("kick", bar, beat)
                song.hit("hat", bar, beat + 0.5)
    return song.out


def chiptune(rng: np.random.Generator, length: float) -> Sound:
    """Play arpeggios, bass and noise of a sound chip; key, wave and pattern change every four bars."""
    song = _Song(rng, length, 110, 170)
    tick = apply_response(rng.standard_normal(round(0.04 * RATE)), highpass(3000, 1))
    shift, duty, speed, steps = 0, 0.5, 4, _MINOR
    for bar in range(song.bars):
        if bar % 4 == 0:
            shift, duty = int(rng.choice([0, 0, 5, 7, -5, 2])), float(rng.choice([0.125, 0.25, 0.5]))
            speed, steps = int(rng.choice([4, 6, 8])), (_MINOR, _MAJOR)[rng.integers(2)]
        root = song.roots[bar % 4] + shift
        for step in range(4 * speed):
            song.play(pulse(root + (*steps, 12)[step % 4], song.beat / speed, duty), bar, step / speed)
        for eighth in range(8):
            song.play(triangle(root - 24 + 12 * (eighth % 2), song.beat / 2), bar, eighth / 2)
            song.play(tick, bar, eighth / 2, 0.3 if eighth % 4 != 2 else 0.8)
    return song.out


def sample_chops(rng: np.random.Generator, length: float) -> Sound:
    """Play slices of a soul record in a new order, over drums and a bass, as in hip-hop."""
    song = _Song(rng, length, 78, 100)
    record = _Song(rng, 24, 88, 100)
    for bar in range(record.bars):
        root = record.roots[bar % 4]
        record.play(chord(root, (*_MINOR, 10), 4 * record.beat, 1.4, 0.2), bar, gain=1.3)
        for beat in range(4):
            record.play(singer(root + int(rng.choice([12, 15, 19])), record.beat, rng.random()), bar, beat)
            record.play(pluck(root + int(rng.choice([0, 3, 7, 12])), record.beat), bar, beat + 0.5)
    slice_length = 2 * song.beat
    starts = rng.uniform(0, len(record.out) / RATE - slice_length - 1, 4)
    order = rng.integers(0, 4, 8)
    for bar in range(song.bars):
        for half in range(2):
            first = round(starts[order[(2 * bar + half) % 8]] * RATE)
            cut = record.out[first : first + round(slice_length * RATE)]
            song.play(apply_envelope(cut, 0.002, 0.005), bar, 2 * half)
        for place in (0, 1.5, 2.5):
            song.hit("kick", bar, place)
        for place in (1, 3):
            song.hit("snare", bar, place)
        for eighth in range(8):
            song.hit("hat", bar, eighth / 2)
        song.play(bass(song.roots[bar % 2], 1.5 * song.beat), bar)
    return song.out


def techno_sweeps(rng: np.random.Generator, length: float) -> Sound:
    """Open and close a filter over a line of saws; the bass drum comes and goes every eight bars."""
    song = _Song(rng, length, 124, 138)
    line = [int(rng.choice([0, 0, 3, 7, 10, 12])) for _ in range(16)]
    saws = np.zeros(len(song.out))
    for step in range(song.bars * 16):
        pitch = hertz(song.key + line[step % 16] - 24)
        tone = apply_envelope(partials(pitch, song.beat / 4, 0.8, count=30), decay=6)
        add(saws, 0.4 * tone, step * song.beat / 4)
    phase = np.linspace(0, song.bars / 8, 400) * 2 * np.pi + rng.uniform(0, 6)
    song.out += sweep_filter(saws, np.geomspace(1, 40, 400)[np.rint(199.5 - 199.5 * np.cos(phase)).astype(int)] * 180)
    for bar in range(song.bars):
        for beat in range(4):
            if bar % 8 < 7:
                song.hit("kick", bar, beat, 1.2)
            song.hit("open", bar, beat + 0.5, 0.8 if bar // 8 % 2 else 0.3)
            if bar // 4 % 2 and beat % 2:
                song.hit("snare", bar, beat, 0.7)
    return song.out


def funk(rng: np.random.Generator, length: float) -> Sound:
    """Play stabs and rests: bass and guitar in sixteenths, horns, and a silent beat."""
    song = _Song(rng, length, 96, 118)
    played = rng.random(16) < 0.45
    for bar in range(song.bars):
        until = 3.0 if bar % 4 == 3 else 4.0
        song.drum_bar(bar, "hat", until)
        for step in np.flatnonzero(played[: int(4 * until)]).tolist():
            song.play(bass(song.key + int(rng.choice([0, 0, 10, 12])), song.beat / 5), bar, step / 4)
            song.play(chord(song.key + 12, (0, 4, 10), song.beat / 8, 0.9, 0.003), bar, step / 4)
        if bar % 2:
            song.play(chord(song.key + 12, (0, 4, 7, 10, 14), song.beat / 3, 0.7), bar, 1.5, 2.0)
    return room(song.out, rng, 0.5, 0.05)


def staccato_chords(rng: np.random.Generator, length: float) -> Sound:
    """Play short chords of an orchestra, with rests of one to three beats."""
    song = _Song(rng, length, 70, 120)
    for bar in range(song.bars):
        for beat in (0.0, *([2.0] if rng.random() < 0.6 else [])):
            strings = chord(song.roots[bar % 4], (-12, *_MAJOR, 12, 16), 0.5 * song.beat, 1.2, 0.02)
            song.play(strings, bar, beat, 2.0)
    return room(song.out, rng, 2.0, 0.3)


def solo_piano(rng: np.random.Generator, length: float) -> Sound:
    """Play slow chords and long ringing notes."""
    song = _Song(rng, length, 50, 90)
    for bar in range(song.bars):
        root = song.roots[bar % 4]
        for step in (-12, 0, 7):
            song.play(pluck(root + step, 5 * song.beat, 1.6, 0.9), bar)
        for beat in np.flatnonzero(rng.random(4) < 0.6).tolist():
            song.play(pluck(root + int(rng.choice([12, 15, 19, 24])), 3 * song.beat, 1.6, 1.2), bar, beat)
    return room(song.out, rng, 1.5, 0.15)


GENRES: dict[str, Callable[[np.random.Generator, float], Sound]] = {
    "rock with stops": rock_with_stops,
    "alternating cymbals": alternating_cymbals,
    "breakdowns": breakdowns,
    "drum fills": drum_fills,
    "dubstep drop": dubstep_drop,
    "EDM build and drop": edm_drop,
    "gated synths": gated_synths,
    "chiptune": chiptune,
    "sample chops": sample_chops,
    "techno sweeps": techno_sweeps,
    "funk": funk,
    "staccato chords": staccato_chords,
    "solo piano": solo_piano,
}
"""Synthesisers by genre: from a random generator and a duration in s to mono samples."""


def hard_song(genre: str, seed: int, length: float = 45.0) -> Sound:
    """Synthesise a song with a peak of 0.8."""
    rng = np.random.default_rng([seed, list(GENRES).index(genre)])
    sound = GENRES[genre](rng, length)
    return 0.8 * sound / float(np.abs(sound).max())
