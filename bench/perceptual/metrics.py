"""Perceptual measures of a sound against its full-band source: Zimtohrli, and ViSQOL in audio mode.

Both need packages of the extra ``[bench]``; this module can be imported without them. Both depend on the playback
level: the reference should use most of full scale.
"""

from __future__ import annotations

import importlib
import logging
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import resample_poly

from bench.perceptual.spectra import band_power

RATE = 48000
"""Sample rate of both measures, in Hz."""

FIT_FREQUENCY = 9500.0
"""Levels are fitted below this frequency, in Hz, where the extension changes nothing."""

PACKAGES = ("zimtohrli", "visqol")
_FIT_FROM = 20.0  # Hz
_SILENCE = 1e-16  # power


class Score(NamedTuple):
    """Result of a comparison.

    Attributes
    ----------
    zimtohrli
        Distance, 0 for equal sounds; lower is better.
    visqol
        Mean opinion score (MOS-LQO), 1 to about 4.73; higher is better. NaN if one of them is silent.
    """

    zimtohrli: float
    visqol: float


def unavailable() -> str:
    """Return why the measures cannot be computed, as a sentence; an empty string if they can."""
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except (ImportError, OSError) as error:
            return f"the packages of the extra [bench] are missing or do not load: {error}"
    return ""


def score(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> Score:
    """Compare a sound with its source, at the same level below :data:`FIT_FREQUENCY`.

    Takes about 0.7 s of processor time for 5 s of sound if numba can be imported, else 4.3 s. The first call in a
    process takes 8 s more, for numba.

    Parameters
    ----------
    reference : np.ndarray [shape=(S,), float]
        The full-band source, -1 to 1. Its level is part of the result.
    candidate : np.ndarray [shape=(S',), float]
        The sound, at any level. Both are shortened to the shorter length.
    sample_rate
        Of both, in Hz.

    Raises
    ------
    ImportError
        The packages are missing; see :func:`unavailable`.
    """
    source, sound = prepare(reference, candidate, sample_rate)
    return Score(zimtohrli_distance(source, sound), visqol_mos(source, sound))


def prepare(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit length and level, and resample; return the reference and the candidate [S''] at 48 kHz, float32."""
    length = min(len(reference), len(candidate))
    source, sound = (np.asarray(x[:length], dtype=np.float64) for x in (reference, candidate))
    sound = sound * fitted_gain(source, sound, sample_rate)
    shared = math.gcd(RATE, sample_rate)
    up, down = RATE // shared, sample_rate // shared
    first, second = (resample_poly(x, up, down).astype(np.float32) for x in (source, sound))
    return first, second


def fitted_gain(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the gain at which a candidate [S] has the energy of the reference [S] below :data:`FIT_FREQUENCY`."""
    target, found = (band_power(x, sample_rate, _FIT_FROM, FIT_FREQUENCY) for x in (reference, candidate))
    return math.sqrt(target / found) if min(target, found) > _SILENCE else 1.0


def zimtohrli_distance(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return the Zimtohrli distance of two waveforms [S] at 48 kHz."""
    return float(_zimtohrli().distance(reference, candidate))


def visqol_mos(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return the mean opinion score of ViSQOL in audio mode for two waveforms [S] at 48 kHz."""
    with np.errstate(invalid="ignore"):
        return float(_visqol().measure_from_arrays(reference.astype(float), candidate.astype(float), RATE).moslqo)


@lru_cache(maxsize=1)
def _zimtohrli() -> Any:
    return importlib.import_module("zimtohrli").Pyohrli()


@lru_cache(maxsize=1)
def _visqol() -> Any:
    logging.getLogger("visqol").setLevel(logging.ERROR)  # it reports the time shift of every pair
    judge = importlib.import_module("visqol").VisqolApi()
    judge.create(mode="audio")
    return judge
