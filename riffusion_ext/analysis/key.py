"""Key estimation from the strength of the pitch classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.parabola import vertex_offset
from riffusion_ext.errors import AudioError
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.params.mel_scale import band_corners

__all__ = ["KEY_NAMES", "Key", "chroma_of_mel", "estimate_key"]

KEY_NAMES: tuple[str, ...] = (
    *(f"{tonic} major" for tonic in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")),
    *(f"{tonic} minor" for tonic in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")),
)
"""The 24 keys: 12 major from C upwards, then 12 minor."""

# Listeners' ratings of how well each pitch class fits C major and C minor: Krumhansl & Kessler, "Tracing the dynamic
# changes in perceived tonal organization in a spatial representation of musical keys", Psychological Review 89 (1982).
_RATINGS = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)

# A note also sounds in the pitch classes of its overtones, each softer than the one before by this factor; so do the
# notes of a key (E. Gomez, "Tonal description of music audio signals", thesis, Barcelona 2006). Without them, the key
# found is a fifth too high: the third harmonic of the tonic is the dominant.
_OVERTONES, _OVERTONE_GAIN = 6, 0.7

_LOW_HZ, _HIGH_HZ = 200.0, 4000.0
_A440 = 9
"""Pitch class of A; C is 0."""

_MIN_PEAK = 0.01
"""Fraction of a column's largest magnitude below which peaks are ignored."""

_BLOCK = 1024

# Confidence: how well the profile fits, how much better than the next one, and how much the pitch classes differ.
_FIT_RANGE = (0.5, 0.9)
_MIN_LEAD, _MIN_SPREAD = 0.15, 0.3


@dataclass(frozen=True)
class Key:
    """A key and its confidence.

    Attributes
    ----------
    name
        One of :data:`KEY_NAMES`, such as "A minor"; empty if all pitch classes are equally strong, as in silence.
    confidence
        0 to 1. Noise and drums have less than 0.2. It is also low if a song fits two keys almost equally, such as a key
        and its relative, or modulates through several.
    """

    name: str
    confidence: float


def estimate_key(chroma: npt.NDArray[np.floating]) -> Key:
    """Estimate the key whose profile correlates best with the strength of the pitch classes.

    The order of chords is not considered: the four chords Am F C G, which a musician may call A minor, are C major.

    Parameters
    ----------
    chroma : np.ndarray [shape=(12,)]
        Strength of each pitch class, C first, 0 or more, on any scale, including overtones, as from
        :func:`chroma_of_mel`.

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
    """Compute the strength of each pitch class in a mel spectrogram, tuned to A = 440 Hz.

    Only peaks between 200 and 4000 Hz count, weighted by their magnitude. Their frequency is refined by parabolic
    interpolation, which separates notes that are closer than the width of a mel band.

    Parameters
    ----------
    mel : np.ndarray [shape=(T, n_mels)]
        Magnitudes, 0 or more.
    params
        Parameters of the spectrogram.

    Returns
    -------
    np.ndarray [shape=(12,), float64]
        Strengths, C first. Those of the parts of a song add up to that of the song.

    Raises
    ------
    AudioError
        The array has the wrong shape.
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
    """Return the chroma [12] of the peaks in bands `low` to `high`."""
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
    """Return the centre of each mel band in semitones above 440 Hz.

    These are the centres of the triangles in :mod:`riffusion_ext.spectrogram.mel`, which are in float32 as in the
    training of the models; here they are in double precision.
    """
    pitches: npt.NDArray[np.float64] = 12 * np.log2(band_corners(params)[1:-1] / 440.0)
    return pitches


def _profiles() -> npt.NDArray[np.float64]:
    """Return the profiles [24, 12] of the keys, with overtones, mean 0 and length 1."""
    tone = np.zeros(12)
    for harmonic in range(1, _OVERTONES + 1):
        tone[round(12 * math.log2(harmonic)) % 12] += _OVERTONE_GAIN ** (harmonic - 1)
    with_overtones = np.stack([np.roll(tone, pitch) for pitch in range(12)])
    sounding = np.array(_RATINGS) @ with_overtones
    profiles = np.stack([np.roll(profile, tonic) for profile in sounding for tonic in range(12)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    return profiles / np.linalg.norm(profiles, axis=1, keepdims=True)


def _ratio(value: float, whole: float) -> float:
    """Return value / whole, clipped to 0 to 1."""
    return min(max(float(value) / whole, 0.0), 1.0)
