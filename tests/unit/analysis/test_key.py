"""Keys: properties of the profiles, and all 24 keys estimated from sound."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from riffusion_ext.analysis.key import KEY_NAMES, Key, chroma_of_mel, estimate_key
from riffusion_ext.errors import AudioError
from riffusion_ext.params import PRESETS, SpectrogramParams
from tests.unit.magnitudes import mel_of

PARAMS = PRESETS["riffusion-v1"]
RATE = 44100

chromas = arrays(np.float64, 12, elements=st.just(0.0) | st.floats(1e-3, 1e6))


@cache
def tone(midi: float, seconds: float, *, harmonics: int = 8, slope: float = 1.0) -> np.ndarray:
    """Return a plucked note; each harmonic n has the amplitude n ** -slope."""
    t = np.arange(round(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((midi - 69) / 12)
    wave = sum(np.sin(2 * np.pi * hertz * n * t + n) / n**slope for n in range(1, harmonics + 1) if hertz * n < 10000)
    return 0.1 * wave * np.exp(-2 * t) * np.minimum(t / 0.005, 1) * np.minimum((seconds - t) / 0.02, 1)


def play(notes: list[tuple[float, float, float]], **timbre: float) -> np.ndarray:
    """Return the sound of notes (start, length, MIDI number)."""
    out = np.zeros(round(max(start + length for start, length, _ in notes) * RATE) + 1)
    for start, length, midi in notes:
        wave = tone(midi, length, **timbre)
        first = round(start * RATE)
        out[first : first + len(wave)] += wave[: len(out) - first]
    return out


MAJOR, MINOR = (0, 4, 7), (0, 3, 7)
# (semitones above the tonic, chord) in major keys, and in minor ones.
PROGRESSIONS = {
    "cadence": (
        [(0, MAJOR), (5, MAJOR), (7, MAJOR), (0, MAJOR)],
        [(0, MINOR), (5, MINOR), (7, MAJOR), (0, MINOR)],
    ),
    "pop": (
        [(0, MAJOR), (7, MAJOR), (9, MINOR), (5, MAJOR)],
        [(0, MINOR), (10, MAJOR), (8, MAJOR), (7, MAJOR)],
    ),
    "modal": (
        [(0, MAJOR), (9, MINOR), (5, MAJOR), (7, MAJOR)],
        [(0, MINOR), (5, MINOR), (0, MINOR), (7, MINOR)],
    ),
}
SCALES = ((0, 2, 4, 5, 7, 9, 11, 12), (0, 2, 3, 5, 7, 8, 10, 12))


def progression(key: int, name: str, **timbre: float) -> np.ndarray:
    tonic, minor = key % 12, key // 12
    tonic = 60 + tonic if tonic < 6 else 48 + tonic
    notes = []
    for number, (root, chord) in enumerate(PROGRESSIONS[name][minor]):
        notes += [(0.5 * number, 0.5, tonic + root + step) for step in (*chord, -24)]
    return play(notes, **timbre)


def scale(key: int, **timbre: float) -> np.ndarray:
    steps = SCALES[key // 12]
    steps += steps[-2::-1]
    notes = [(0.25 * number, 0.25, 60 + key % 12 + step) for number, step in enumerate(steps)]
    return play([*notes[:-1], (notes[-1][0], 1.0, notes[-1][2])], **timbre)


def heard(sound: np.ndarray) -> Key:
    return estimate_key(chroma_of_mel(mel_of(sound), PARAMS))


@given(chromas, st.integers(0, 11))
def test_transposing_a_song_transposes_its_key(chroma: np.ndarray, steps: int) -> None:
    before, after = estimate_key(chroma), estimate_key(np.roll(chroma, steps))
    assert after.confidence == pytest.approx(before.confidence, abs=1e-6)
    if before.confidence > 1e-3:  # else two keys may fit equally well
        number = KEY_NAMES.index(before.name)
        assert after.name == KEY_NAMES[(number % 12 + steps) % 12 + 12 * (number // 12)]


@given(chromas, st.floats(1e-6, 1e6))
def test_gain_does_not_change_the_key(chroma: np.ndarray, gain: float) -> None:
    before, after = estimate_key(chroma), estimate_key(chroma * gain)
    assert 0 <= before.confidence <= 1
    assert before.name == "" or before.name in KEY_NAMES
    assert after.confidence == pytest.approx(before.confidence, abs=1e-6)
    if before.confidence > 1e-3:
        assert after.name == before.name


def test_flat_chroma_has_no_key() -> None:
    for level in (0.0, 1.0, 1e-300, 1e300):
        assert estimate_key(np.full(12, level)) == Key("", 0.0)


def test_key_names_use_the_common_spelling() -> None:
    assert len(set(KEY_NAMES)) == 24
    assert {"Eb major", "Bb minor", "F# minor", "C# minor", "Ab major", "G# minor"} < set(KEY_NAMES)


@pytest.mark.parametrize("chroma", [np.ones(11), np.ones((1, 12)), np.full(12, np.nan), -np.ones(12)])
def test_invalid_chroma_is_refused(chroma: np.ndarray) -> None:
    with pytest.raises(AudioError, match="12 finite numbers"):
        estimate_key(chroma)


@pytest.mark.parametrize("params", [PARAMS, PRESETS["20khz-stereo"], PARAMS.replace(sample_rate=22050)])
def test_a_pure_tone_is_in_its_pitch_class(params: SpectrogramParams) -> None:
    for midi in range(56, 107):  # G#3, 208 Hz, to Bb7, 3729 Hz
        t = np.arange(params.sample_rate // 2) / params.sample_rate
        mel = mel_of(0.3 * np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * t), params)
        # Away from the ends, where the tone is mirrored and its phase turns.
        chroma = chroma_of_mel(mel[10:-10], params)
        assert chroma.argmax() == midi % 12
        assert chroma.max() > 0.9 * chroma.sum()


@pytest.mark.parametrize("cents", [-35, 35])
def test_a_tone_out_of_tune_is_in_the_nearest_pitch_class(cents: int) -> None:
    for midi in range(57, 105, 5):
        chroma = chroma_of_mel(mel_of(tone(midi + cents / 100, 0.5, harmonics=1)), PARAMS)
        assert chroma.argmax() == midi % 12


def test_notes_outside_the_frequency_range_are_ignored() -> None:
    for hertz in (100, 6000):
        t = np.arange(RATE) / RATE
        chroma = chroma_of_mel(mel_of(0.3 * np.sin(2 * np.pi * hertz * t))[10:-10], PARAMS)
        inside = chroma_of_mel(mel_of(0.3 * np.sin(2 * np.pi * 440 * t))[10:-10], PARAMS)
        assert chroma.sum() < 0.02 * inside.sum()


@given(st.integers(0, 300))
def test_chroma_of_parts_adds_up_to_the_whole(cut: int) -> None:
    generator = np.random.default_rng(7)
    mel = generator.uniform(0, 1000, (300, 512)).astype(np.float32)
    whole = chroma_of_mel(mel, PARAMS)
    assert whole.min() >= 0
    np.testing.assert_allclose(chroma_of_mel(mel[:cut], PARAMS) + chroma_of_mel(mel[cut:], PARAMS), whole, rtol=1e-9)
    np.testing.assert_allclose(chroma_of_mel(mel * 0.01, PARAMS), whole * 0.01, rtol=1e-4)


def test_chroma_of_a_long_song_equals_the_sum_of_its_repeats() -> None:
    mel = np.random.default_rng(7).uniform(0, 1000, (100, 512)).astype(np.float32)
    long = np.tile(mel, (25, 1))
    np.testing.assert_allclose(chroma_of_mel(long, PARAMS), 25 * chroma_of_mel(mel, PARAMS), rtol=1e-9)


def test_silence_has_no_pitch() -> None:
    assert not chroma_of_mel(np.zeros((10, 512), np.float32), PARAMS).any()
    assert not chroma_of_mel(np.zeros((0, 512), np.float32), PARAMS).any()


def test_spectrogram_outside_the_pitch_range_has_no_pitch() -> None:
    low = PARAMS.replace(max_frequency=150)
    assert not chroma_of_mel(np.ones((10, 512), np.float32), low).any()


def test_spectrogram_of_another_shape_is_refused() -> None:
    for shape in ((10, 256), (512,), (1, 10, 512)):
        with pytest.raises(AudioError, match=r"\[columns, 512\], got shape"):
            chroma_of_mel(np.ones(shape, np.float32), PARAMS)


@pytest.mark.parametrize(
    "timbre",
    [{"harmonics": 1}, {"harmonics": 4, "slope": 1.5}, {"harmonics": 8, "slope": 1.0}],
    ids=["pure", "soft", "rich"],
)
@pytest.mark.parametrize("name", PROGRESSIONS)
def test_chord_progressions_in_all_keys_are_recognised(name: str, timbre: dict[str, float]) -> None:
    keys = [heard(progression(key, name, **timbre)) for key in range(24)]
    right = [key.name == name for key, name in zip(keys, KEY_NAMES, strict=True)]
    assert sum(right) >= 22
    assert np.mean([key.confidence for key in keys]) > 0.6


def test_ambiguous_chords_give_one_of_the_two_relative_keys() -> None:
    """Am F C G and C G Am F are the same chords: only their order tells A minor from C major."""
    chords = ((0, MINOR), (8, MAJOR), (3, MAJOR), (10, MAJOR))
    notes = [(0.5 * n, 0.5, 57 + root + step) for n, (root, chord) in enumerate(chords) for step in (*chord, -24)]
    assert heard(play(notes)).name in ("A minor", "C major")


def test_keys_of_bright_sounds_are_recognised() -> None:
    keys = [heard(progression(key, "cadence", harmonics=16, slope=0.6)) for key in range(24)]
    assert sum(key.name == name for key, name in zip(keys, KEY_NAMES, strict=True)) >= 22


@pytest.mark.parametrize("harmonics", [1, 8])
def test_scales_in_all_keys_are_recognised(harmonics: int) -> None:
    names = [heard(scale(key, harmonics=harmonics)).name for key in range(24)]
    assert sum(name == key for name, key in zip(names, KEY_NAMES, strict=True)) >= 22


def test_drums_do_not_change_the_key() -> None:
    generator = np.random.default_rng(4)
    sound = progression(9 + 12, "cadence")
    for start in range(0, len(sound) - RATE // 10, RATE // 4):
        t = np.arange(RATE // 10) / RATE
        sound[start : start + len(t)] += 0.2 * generator.standard_normal(len(t)) * np.exp(-t / 0.02)
    key = heard(sound)
    assert key.name == "A minor"
    assert key.confidence > 0.4


@pytest.mark.parametrize("seconds", [1, 10])
def test_noise_has_no_key(seconds: int) -> None:
    generator = np.random.default_rng(1)
    for _ in range(5):
        assert heard(0.1 * generator.standard_normal(seconds * RATE)).confidence < 0.2


def test_two_keys_at_once_lower_the_confidence() -> None:
    one = chroma_of_mel(mel_of(progression(0, "cadence")), PARAMS)
    far = chroma_of_mel(mel_of(progression(6, "cadence")), PARAMS)
    assert estimate_key(one).confidence > 0.6
    assert estimate_key(one + far).confidence < 0.3


def test_strong_fifth_is_not_taken_for_the_tonic() -> None:
    """The overtones of C E G are strongest at G; without compensation the key would be G."""
    chroma = chroma_of_mel(mel_of(progression(0, "cadence")), PARAMS)
    assert chroma.argmax() == 7
    assert estimate_key(chroma).name == "C major"
    assert math.isclose(estimate_key(chroma).confidence, estimate_key(3 * chroma).confidence)
