r"""Repair invalid samples; refuse files with too many of them.

A float file can contain values that no converter produces: NaN, infinity, 3e38. One such sample in a song would make
its image white and its loudness NaN::

    |x|                       o  <- NaN, or far beyond full scale                      linear interpolation of
        __/\__   __/\__      |      __/\__            ->    __/\__   __/\__ ... __/\__   its valid neighbours
              \_/      \_/\_/|\_/\_/

Every reader passes its samples through a :class:`SampleRepairer`, so "bad", "few" and "many" mean the same in all of
them. Floats above full scale are valid and not clipped. Files that store 16 or 32-bit integers as floats are read
unchanged.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.errors import AudioError

__all__ = ["MAX_BAD", "MAX_SAMPLE", "SampleRepairer", "repair_samples"]

MAX_SAMPLE = 2.0**32
"""Largest valid sample: twice the full scale of 32-bit integers."""

MAX_BAD = 256
"""Most bad samples repaired in one sound. In a short sound: 1 in 1000, but at least 8."""

_MIN_BAD, _SAMPLES_PER_BAD = 8, 1000
_SPIKE, _SPIKE_LENGTH, _SPIKE_RATIO = 1e5, 8, 1000.0
"""A spike: up to 8 consecutive samples above 100,000 times full scale and 1000 times their neighbours."""

_Array = npt.NDArray[np.float32]


class SampleRepairer:
    """Repair the samples of one sound, as a whole or piece by piece.

    Attributes
    ----------
    count
        Number of samples repaired, in all channels.
    total
        Number of samples checked.
    """

    def __init__(self) -> None:
        self.count = self.total = 0
        self._first = 0.0

    def clip(self, samples: _Array, sample_rate: int, *, start: int = 0, last: bool = True) -> AudioClip:
        """Repair samples and return them as a clip, with :attr:`notes` about all repairs so far.

        Parameters
        ----------
        samples : np.ndarray [shape=(channels, time), dtype=float32]
            Repaired in place.
        sample_rate
            In Hz.
        start
            Position of the first sample in the file.
        last
            Whether this is the last piece.

        Raises
        ------
        AudioError
            Too many samples are bad, or see :class:`~riffusion_ext.audio.clip.AudioClip`.
        """
        self.total += samples.size
        if samples.ndim == 2 and samples.size and not _all_plausible(samples):
            self._repair(samples, sample_rate, start)
        if last:
            self.finish()
        return AudioClip(samples, sample_rate, self.notes)

    def finish(self) -> None:
        """Check the total after the last piece.

        Raises
        ------
        AudioError
            Too many samples are bad for a sound of this length.
        """
        if self.count > min(MAX_BAD, max(_MIN_BAD, self.total // _SAMPLES_PER_BAD)) or 2 * self.count > self.total:
            self._refuse()

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence about the repairs; empty if there were none."""
        if not self.count:
            return ()
        what = "1 bad sample was" if self.count == 1 else f"{self.count} bad samples were"
        where = "at" if self.count == 1 else "the first at"
        return (f"{what} repaired, {where} {self._first:.3f} s: not a number, or far beyond full scale",)

    def _repair(self, samples: _Array, sample_rate: int, start: int) -> None:
        bad = _find_bad(samples)
        count = int(bad.sum())
        if not count:
            return
        if not self.count:
            self._first = (start + int(bad.any(axis=0).argmax())) / max(sample_rate, 1)
        self.count += count
        if self.count > MAX_BAD:
            self._refuse()
        for channel, wrong in zip(samples, bad, strict=True):
            places = np.flatnonzero(wrong)
            good = np.flatnonzero(~wrong)
            channel[places] = np.interp(places, good, channel[good]) if good.size and places.size else 0.0

    def _refuse(self) -> None:
        limit = min(MAX_BAD, max(_MIN_BAD, self.total // _SAMPLES_PER_BAD))
        raise AudioError(
            f"{self.count} of {self.total} samples or more are not finite numbers, or far beyond full scale, the first "
            f"at {self._first:.3f} s; up to {limit} are repaired"
        )


def repair_samples(samples: _Array, sample_rate: int, *, start: int = 0) -> AudioClip:
    """Repair all samples of a sound, or of a part that begins at sample `start`.

    Raises
    ------
    AudioError
        As :meth:`SampleRepairer.clip`.
    """
    return SampleRepairer().clip(samples, sample_rate, start=start)


def _all_plausible(samples: _Array) -> bool:
    """Return whether all samples are finite and not too large, from the extremes, which propagate NaN."""
    low, high = float(samples.min()), float(samples.max())
    return math.isfinite(low) and math.isfinite(high) and max(-low, high) <= _SPIKE


def _find_bad(samples: _Array) -> npt.NDArray[np.bool_]:
    """Return a mask [C, n] of the bad samples."""
    size = np.abs(samples)
    bad = ~(size <= MAX_SAMPLE)  # also true for NaN
    size[bad] = 0.0
    for number, channel in enumerate(size):
        loud = np.flatnonzero(channel > _SPIKE)
        for run in np.split(loud, np.flatnonzero(np.diff(loud) > 1) + 1) if loud.size else ():
            if len(run) <= _SPIKE_LENGTH:
                around = [channel[place] for place in (run[0] - 1, run[-1] + 1) if 0 <= place < len(channel)]
                bad[number, run] |= bool(channel[run].min() > _SPIKE_RATIO * max(around, default=0.0))
    return bad
