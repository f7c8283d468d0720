r"""Samples that are no sound: repaired where they are few, refused where they are many.

A file of floats can hold what no converter ever put out: NaN, infinity, 3e38. One such sample in a song would make
its image white and its loudness no number::

    |x|                       o  <- no number, or beyond any scale                     the straight line between
        __/\__   __/\__      |      __/\__            ->    __/\__   __/\__ ... __/\__   its sound neighbours
              \_/      \_/\_/|\_/\_/

Every reader passes its samples through a :class:`SampleRepairer`, so "bad", "few" and "many" mean the same in all of
them.
Floats above full scale are sound: nobody clips them, and files that keep whole numbers of 16 or 32 bits as floats are
read as they are.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.errors import AudioError

__all__ = ["MAX_BAD", "MAX_SAMPLE", "SampleRepairer", "repair_samples"]

MAX_SAMPLE = 2.0**32
"""Largest sample that can be meant: twice the full scale of whole numbers of 32 bits."""

MAX_BAD = 256
"""Bad samples that are repaired in one sound, at most: where it is short, 1 in 1000 or 8."""

_MIN_BAD, _SAMPLES_PER_BAD = 8, 1000
_SPIKE, _SPIKE_LENGTH, _SPIKE_RATIO = 1e5, 8, 1000.0
"""A spike: up to 8 samples in a row beyond 100,000 times full scale, a thousand times what lies beside them."""

_Array = npt.NDArray[np.float32]


class SampleRepairer:
    """Repairs one sound, as a whole or piece by piece.

    Attributes
    ----------
    count
        Samples that were repaired, of all channels.
    total
        Samples that were looked at.
    """

    def __init__(self) -> None:
        self.count = self.total = 0
        self._first = 0.0

    def clip(self, samples: _Array, sample_rate: int, *, start: int = 0, last: bool = True) -> AudioClip:
        """Return a clip of samples, with :attr:`notes` about all that was repaired so far.

        Parameters
        ----------
        samples : np.ndarray [shape=(channels, time), dtype=float32]
            Repaired in place.
        sample_rate
            In Hz.
        start
            Sample of the file that they begin with.
        last
            Whether nothing follows.

        Raises
        ------
        AudioError
            Too many samples are bad, or as :class:`~riffusion_ext.audio.clip.AudioClip` says.
        """
        self.total += samples.size
        if samples.ndim == 2 and samples.size and not _all_plausible(samples):
            self._repair(samples, sample_rate, start)
        if last:
            self.finish()
        return AudioClip(samples, sample_rate, self.notes)

    def finish(self) -> None:
        """Say that nothing follows.

        Raises
        ------
        AudioError
            More samples were bad than are repaired in a sound of this length.
        """
        if self.count > min(MAX_BAD, max(_MIN_BAD, self.total // _SAMPLES_PER_BAD)) or 2 * self.count > self.total:
            self._refuse()

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence about what was repaired; none where nothing was."""
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
    """Return a clip of all samples of a sound, or of a part that begins at sample `start`, repaired.

    Raises
    ------
    AudioError
        As :meth:`SampleRepairer.clip`.
    """
    return SampleRepairer().clip(samples, sample_rate, start=start)


def _all_plausible(samples: _Array) -> bool:
    """Whether all samples are numbers of a usual size: one look at the extremes, which carry NaN along."""
    low, high = float(samples.min()), float(samples.max())
    return math.isfinite(low) and math.isfinite(high) and max(-low, high) <= _SPIKE


def _find_bad(samples: _Array) -> npt.NDArray[np.bool_]:
    """Find the bad samples [C, n]."""
    size = np.abs(samples)
    bad = ~(size <= MAX_SAMPLE)  # NaN is not
    size[bad] = 0.0
    for number, channel in enumerate(size):
        loud = np.flatnonzero(channel > _SPIKE)
        for run in np.split(loud, np.flatnonzero(np.diff(loud) > 1) + 1) if loud.size else ():
            if len(run) <= _SPIKE_LENGTH:
                around = [channel[place] for place in (run[0] - 1, run[-1] + 1) if 0 <= place < len(channel)]
                bad[number, run] |= bool(channel[run].min() > _SPIKE_RATIO * max(around, default=0.0))
    return bad
