"""The key a song is in, from how strong each pitch class is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.parabola import vertex_offset
from riffusion_ext.errors import AudioError
from riffusion_ext.params import SpectrogramParams

__all__ = ["KEY_NAMES", "Key", "chroma_of_mel", "estimate_key"]

KEY_NAMES: tuple[str, ...] = (
    *(f"{tonic} major" for tonic in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")),
    *(f"{tonic} minor" for tonic in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")),
)
"""The 24 keys: 12 major from C upwards, then 12 minor."""

# How well each pitch class fits C major and C minor, as listeners rated it: Krumhansl & Kessler, "Tracing the dynamic
# changes in perceived tonal organization in a spatial representation of musical keys", Psychological Review 89 (1982).
_RATINGS = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)

# A note sounds in the pitch classes of its overtones as well, each softer than the one before by this much; so do the
# notes of a key (E. Gomez, "Tonal description of music audio signals", thesis, Barcelona 2006). Without it, keys a
# fifth too high are found: the third harmonic of the tonic is the dominant.
_OVERTONES, _OVERTONE_GAIN = 6, 0.7

_LOW_HZ, _HIGH_HZ = 200.0, 4000.0
_A440 = 9
"""Pitch class of A; C is 0."""

_MIN_PEAK = 0.01
"""Share of a column's largest magnitude under which peaks are not counted."""

_BLOCK = 1024

# What makes a key certain: the profile fits, it fits better than the next one, and the pitch classes differ at all.
_FIT_RANGE = (0.5, 0.9)
_MIN_LEAD, _MIN_SPREAD = 0.15, 0.3


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes
    ----------
    name
        One of :data:`KEY_NAMES`, as "A minor"; empty where all pitch classes are equally strong, as in silence.
    confidence
        0 to 1. Noise and drums have less than 0.2. It is low as well where a song fits two keys almost alike, as a key
        and its relative, or moves through several.
    """

    name: str
    confidence: float


def estimate_key(chroma: npt.NDArray[np.floating]) -> Key:
    """Find the key whose profile correlates best with the strength of the pitch classes.

    In what order they come is not known here: the four chords Am F C G, which a musician may call A minor, are C major.

    Parameters
    ----------
    chroma : np.ndarray [shape=(12,)]
        Strength of each pitch class, C first, 0 and more, on any scale: of sound with its overtones, as
        :func:`chroma_of_mel` gives it.

    Raises
    ------
    AudioError
        There are not 12 numbers, or one is negative or not finite.
    """
    if chroma.shape != (12,) or not (np.isfinite(chroma).all() and (chroma >= 0).all()):
        raise AudioError(
            f"a chroma must be 12 finite numbers of 0 and more, got {np.array2string(chroma, threshold=12)}"
        )
    strength = chroma.astype(np.float64) / max(float(chroma.max()), 1e-300)
    centred = strength - strength.mean()
    length = float(np.linalg.norm(centred))
    if length < 1e-9:
        return Key("", 0.0)
    fits = _profiles() @ centred / length
    second, first = np.argsort(fits)[-2:]
    spread = float(strength.std() / strength.mean())
    confidence = (
        _ratio(fits[first] - _FIT_RANGE[0], _FIT_RANGE[1] - _FIT_RANGE[0])
        * math.sqrt(_ratio(fits[first] - fits[second], _MIN_LEAD))
        * _ratio(spread, _MIN_SPREAD)
    )
    return Key(KEY_NAMES[first], confidence)


def chroma_of_mel(mel: npt.NDArray[np.floating], params: SpectrogramParams) -> npt.NDArray[np.float64]:
    """How strong each pitch class is in a mel spectrogram, tuned to A = 440 Hz.

    Only peaks between 200 and 4000 Hz count, by their magnitude, each at the frequency that a parabola through it and
    its neighbours gives: notes that are closer than a mel band is wide are told apart by that.

    Parameters
    ----------
    mel : np.ndarray [shape=(T, n_mels)]
        Magnitudes, 0 and more.
    params
        Parameters of the spectrogram.

    Returns
    -------
    np.ndarray [shape=(12,), float64]
        C first. Those of the parts of a song add up to that of the song.

    Raises
    ------
    AudioError
        The array has another shape.
    """
    if mel.ndim != 2 or mel.shape[1] != params.num_frequencies:
        raise AudioError(f"the mel must be an array [columns, {params.num_frequencies}], got shape {mel.shape}")
    pitches = _pitches(params)
    low, high = 12 * math.log2(_LOW_HZ / 440), 12 * math.log2(_HIGH_HZ / 440)
    bands = np.flatnonzero((pitches >= low) & (pitches <= high))
    bands = bands[(bands > 0) & (bands < len(pitches) - 1)]
    chroma = np.zeros(12)
    if bands.size:
        for start in range(0, len(mel), _BLOCK):
            chroma += _peaks(mel[start : start + _BLOCK], int(bands[0]), int(bands[-1]) + 1, pitches)
    return chroma


def _peaks(
    mel: npt.NDArray[np.floating], low: int, high: int, pitches: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Chroma [12] of the peaks among some bands."""
    middle = mel[:, low:high]
    floor = _MIN_PEAK * middle.max(axis=1, keepdims=True)
    peak = (middle > mel[:, low - 1 : high - 1]) & (middle >= mel[:, low + 1 : high + 1]) & (middle > floor)
    columns, bands = np.nonzero(peak)
    bands += low
    tiny = np.float32(1e-30)
    left, top, right = (np.log(np.maximum(mel[columns, bands + side], tiny), dtype=np.float64) for side in (-1, 0, 1))
    shift = vertex_offset(left, top, right)
    magnitude = np.exp(top + 0.25 * (right - left) * shift)
    pitch = np.interp(bands + shift, np.arange(len(pitches)), pitches) + _A440
    below = np.floor(pitch)
    share = np.cos(np.pi / 2 * (pitch - below)) ** 2  # a peak between two notes counts for both
    lower = below.astype(np.int64) % 12
    chroma = np.bincount(lower, magnitude * share, 12) + np.bincount((lower + 1) % 12, magnitude * (1 - share), 12)
    return np.asarray(chroma, np.float64)


def _pitches(params: SpectrogramParams) -> npt.NDArray[np.float64]:
    """Centre of each mel band in semitones above 440 Hz.

    These are the middles of the triangles in :mod:`riffusion_ext.spectrogram.mel`, which are in float32 as models were
    trained with. Here they are in double precision.
    """
    low, high = (math.log1p(hertz / 700.0) for hertz in (params.min_frequency, params.max_frequency))
    hertz = 700.0 * np.expm1(np.linspace(low, high, params.num_frequencies + 2)[1:-1])
    pitches: npt.NDArray[np.float64] = 12 * np.log2(hertz / 440.0)
    return pitches


def _profiles() -> npt.NDArray[np.float64]:
    """Profiles [24, 12] of the keys, with overtones, mean 0 and length 1."""
    tone = np.zeros(12)
    for harmonic in range(1, _OVERTONES + 1):
        tone[round(12 * math.log2(harmonic)) % 12] += _OVERTONE_GAIN ** (harmonic - 1)
    with_overtones = np.stack([np.roll(tone, pitch) for pitch in range(12)])
    sounding = np.array(_RATINGS) @ with_overtones
    profiles = np.stack([np.roll(profile, tonic) for profile in sounding for tonic in range(12)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    return profiles / np.linalg.norm(profiles, axis=1, keepdims=True)


def _ratio(value: float, whole: float) -> float:
    """Return how much of the whole a value is, 0 to 1."""
    return min(max(float(value) / whole, 0.0), 1.0)
