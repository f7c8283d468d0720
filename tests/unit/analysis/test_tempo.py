"""The tempo is right where its confidence is high, and an ambiguous tempo has low confidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bench.groove_sound import RATE, play
from bench.grooves import STYLES, Groove
from riffusion_ext.analysis.beat_tracking import MIN_CONFIDENCE, Beats, onset_strength, track
from riffusion_ext.dataset.analysis.measure import sketch_of
from riffusion_ext.params import PRESETS
from riffusion_ext.spectrogram.encode import mel_spectrogram

PARAMS = PRESETS["riffusion-v1"]
BY_NAME = {style.name: style for style in STYLES}
RNG = np.random.default_rng


def heard(sound: np.ndarray) -> Beats:
    mel = mel_spectrogram(torch.from_numpy(np.asarray(sound, np.float32))[None] * 32768, PARAMS)[0].numpy()
    sketch = sketch_of(mel, PARAMS)
    return track(onset_strength(sketch), sketch=sketch)


@pytest.mark.parametrize(
    ("style", "tempo"),
    [
        ("house", 125),
        ("techno", 140),
        ("trance", 141),
        ("rock", 120),
        ("drum and bass", 174),
        ("jungle", 170),
        ("metal", 150),
        ("punk", 190),
        ("dubstep", 140),
        ("waltz", 150),
        ("swing", 140),
        ("disco", 117),
        ("chiptune", 131),
    ],
)
def test_clear_grooves_have_the_right_tempo_with_high_confidence(style: str, tempo: float) -> None:
    beats = heard(play(Groove(BY_NAME[style], tempo, 31), 24.0))
    assert beats.tempo == pytest.approx(tempo, rel=0.01)
    assert beats.confidence >= MIN_CONFIDENCE


def test_confident_tempos_are_almost_always_right() -> None:
    sure, right = 0, 0
    for number, style in enumerate(STYLES):
        tempo = style.tempos[number % len(style.tempos)] + 1.5
        beats = heard(play(Groove(style, tempo, 900 + number), 16.0))
        if beats.confidence >= MIN_CONFIDENCE:
            sure += 1
            right += abs(beats.tempo / tempo - 1) < 0.04
    assert right >= sure - 1
    assert sure >= 0.5 * len(STYLES)


def strokes(times: np.ndarray, hertz: float) -> np.ndarray:
    t = np.arange(round(0.2 * RATE)) / RATE
    out = np.zeros(round(25 * RATE))
    for when in times[times < 24]:
        out[round(when * RATE) :][: len(t)] += 0.3 * np.sin(2 * np.pi * hertz * t) * np.exp(-t * 40)
    return out


def three_against_two() -> np.ndarray:
    return strokes(np.arange(0.3, 24, 0.6), 90.0) + strokes(np.arange(0.3, 24, 0.4), 1500.0)


def rubato() -> np.ndarray:
    steps = np.arange(60)
    return strokes(np.cumsum(0.5 * np.exp(0.35 * np.sin(steps / 5) + RNG(0).normal(0, 0.12, 60))), 400.0)


@pytest.mark.parametrize(
    "sound",
    [three_against_two, rubato, lambda: 0.1 * RNG(1).standard_normal(20 * RATE), lambda: np.zeros(20 * RATE)],
    ids=["three against two", "rubato", "noise", "silence"],
)
def test_songs_without_a_single_tempo_have_low_confidence(sound: Callable[[], np.ndarray]) -> None:
    assert heard(sound()).confidence < MIN_CONFIDENCE


@pytest.mark.parametrize(("first", "then", "sure"), [(122, 122, True), (122, 140, False), (140, 122, False)])
def test_song_with_two_tempos_has_low_tempo_confidence(first: float, then: float, sure: bool) -> None:
    parts = [play(Groove(BY_NAME["house"], tempo, 31), 20.0) for tempo in (first, then)]
    beats = heard(np.concatenate(parts))
    assert (beats.confidence >= MIN_CONFIDENCE) == sure
    assert beats.on_beats >= MIN_CONFIDENCE, "the positions of its beats are clear"


def test_octave_ambiguity_does_not_lower_on_beats() -> None:
    """Songs can be cut at the beats of a clear pulse even if its octave is ambiguous."""
    beats = heard(strokes(np.arange(0.3, 24, 60 / 200), 90.0))
    assert beats.on_beats >= beats.confidence
