"""Grooves that nobody wrote: rhythms put together by chance after the rules of thumb of many styles.

The weights of :mod:`riffusion_ext.analysis.tempo_weights` are found on these, and on the tuned styles of
:mod:`bench.grooves`; no figure is reported on them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.grooves import Groove, Style

__all__ = ["ambiguous_grooves", "random_grooves"]

# Feel -> how often, beats of a bar, steps of a beat, usual tempo, spread in octaves.
_FEELS: dict[str, tuple[float, int, int, float, float]] = {
    "backbeat": (0.24, 4, 4, 108.0, 0.35),
    "fast backbeat": (0.10, 4, 2, 170.0, 0.15),
    "half-time": (0.10, 4, 4, 142.0, 0.15),
    "four on the floor": (0.14, 4, 4, 126.0, 0.14),
    "one-drop": (0.05, 4, 4, 78.0, 0.18),
    "shuffle": (0.09, 4, 3, 112.0, 0.3),
    "compound": (0.10, 2, 3, 64.0, 0.3),
    "waltz": (0.07, 3, 2, 130.0, 0.35),
    "odd": (0.04, 5, 2, 130.0, 0.25),
    "no drums": (0.07, 4, 4, 76.0, 0.3),
}
_LOW, _HIGH = 44.0, 216.0
_INSTRUMENTS = (
    ("bass", "sub", "saw", "square"),
    ("organ", "piano", "pad", "strings", "guitar", "guitar-clean", "pluck", "square"),
    ("pluck", "bell", "brass", "strings", "guitar", "square", "saw", "piano"),
)


def random_grooves(count: int, seed: int = 0) -> Iterator[Groove]:
    """Put together so many grooves."""
    shares = np.array([feel[0] for feel in _FEELS.values()])
    for number in range(count):
        rng = np.random.default_rng((77, seed, number))
        name = str(rng.choice(list(_FEELS), p=shares / shares.sum()))
        _, _, _, usual, spread = _FEELS[name]
        tempo = float(np.clip(usual * 2 ** rng.normal(0, spread), _LOW, _HIGH))
        yield Groove(_style(name, rng), round(tempo, 2), 5_000_000 + 10_000 * seed + number)


def ambiguous_grooves(count: int, seed: int = 0) -> Iterator[Groove]:
    """Put together rhythms of three against two, each of which is said to be the beat as often as the other."""
    for number in range(count):
        rng = np.random.default_rng((78, seed, number))
        two, three = "x.....x.....", "x...x...x..."
        voices = [str(voice) for voice in rng.permutation(["kick", "rim", "snare", "tom", "hat", "ride", "clap"])]
        drums = {voices[0]: two, voices[1]: three}
        if rng.random() < 0.5:
            drums[voices[2]] = "x.o.x.o.x.o."
        lines = [str(rng.choice([two, three, "x..x..x..x..", "x..........."])) for _ in range(3)]
        low, chords, lead = (str(rng.choice(some)) for some in _INSTRUMENTS)
        by_twos = number % 2 == 0
        tempo = float(np.clip((90.0 if by_twos else 130.0) * 2 ** rng.normal(0, 0.3), _LOW, _HIGH))
        style = Style(
            "made, three against two",
            (),
            drums,
            *lines,
            (low, chords, lead),
            beats=2 if by_twos else 3,
            steps=6 if by_twos else 4,
            loose=float(rng.uniform(0, 10)),
        )
        yield Groove(style, round(tempo, 2), 6_000_000 + 10_000 * seed + number)


def _style(name: str, rng: np.random.Generator) -> Style:
    _, beats, steps, _, _ = _FEELS[name]
    low, chords, lead = (str(rng.choice(some)) for some in _INSTRUMENTS)
    return Style(
        f"made, {name}",
        (),
        {} if name == "no drums" else _drums(name, beats, steps, rng),
        _line(beats, steps, rng, 0.9, rng.uniform(0.2, 0.9), rng.uniform(0, 0.5)),
        _line(beats, steps, rng, 0.8, rng.uniform(0.1, 0.8), rng.uniform(0, 0.4)),
        _line(beats, steps, rng, 0.7, rng.uniform(0.3, 0.9), rng.uniform(0.1, 0.6)),
        (low, chords, lead),
        beats=beats,
        steps=steps,
        loose=float(rng.uniform(0, 11)),
        swing=float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.05, 0.25)])) if steps == 4 else 0.0,
    )


def _line(beats: int, steps: int, rng: np.random.Generator, first: float, on: float, off: float) -> str:
    """Put down notes by chance: on first steps, on beats, and between them, where halves come before quarters."""
    marks = []
    for step in range(beats * steps):
        between = off if steps % 2 or step % (steps // 2) == 0 else off * 0.5
        chance = first if step == 0 else on if step % steps == 0 else between
        marks.append(str(rng.choice(["x", "x", "o"])) if rng.random() < chance else ".")
    return "x" + "".join(marks)[1:] if "x" not in marks else "".join(marks)


def _drums(name: str, beats: int, steps: int, rng: np.random.Generator) -> dict[str, str]:
    cells = beats * steps
    snare, kick = ["."] * cells, ["."] * cells
    for beat in _snares(name, beats):
        snare[beat * steps] = "X" if rng.random() < 0.3 else "x"
    if name == "four on the floor":
        kick[::steps] = ["X"] * beats
        if rng.random() < 0.4:
            snare = ["."] * cells
    elif name == "one-drop":
        kick[2 * steps] = "x"
    else:
        kick[0] = "x"
        extra = rng.uniform(0.0, 0.4)
        for step in range(1, cells):
            likely = extra * (1.5 if step % steps == 0 else 1.0 if steps % 2 or step % 2 == 0 else 0.5)
            if snare[step] == "." and rng.random() < likely:
                kick[step] = "x"
    ghosts = rng.uniform(0, 0.15) if rng.random() < 0.4 else 0.0
    snare = ["o" if mark == "." and rng.random() < ghosts else mark for mark in snare]
    drums = {"kick": "".join(kick), str(rng.choice(["snare", "snare", "clap", "rim", "chip-snare"])): "".join(snare)}
    drums[str(rng.choice(["hat", "hat", "ride", "open", "shaker", "chip-hat"]))] = _cymbal(beats, steps, rng)
    if rng.random() < 0.3:
        drums["shaker"] = "".join("x" if step % 2 == 0 else "o" for step in range(cells))
    return {voice: pattern for voice, pattern in drums.items() if set(pattern) != {"."}}


def _snares(name: str, beats: int) -> tuple[int, ...]:
    if name in ("half-time", "one-drop"):
        return (2,)
    if name == "waltz":
        return (1, 2)
    return (1, 3) if beats == 4 else (beats - 1,)


def _cymbal(beats: int, steps: int, rng: np.random.Generator) -> str:
    kind = str(rng.choice(["beats", "halves", "halves", "all", "off", "none"]))
    middle = steps // 2 if steps % 2 == 0 else steps - 1
    cell = ["."] * steps
    if kind in ("beats", "halves"):
        cell[0] = "x"
    if kind in ("halves", "off"):
        cell[middle] = "o" if kind == "halves" and rng.random() < 0.5 else "x"
    if kind == "all":
        cell = ["x" if step == 0 or rng.random() < 0.6 else "o" for step in range(steps)]
    return "".join(cell) * beats
