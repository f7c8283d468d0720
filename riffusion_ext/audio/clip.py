"""Audio clips: samples in memory with a sample rate."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.resampling import resample
from riffusion_ext.audio.workload import check, resample_workload
from riffusion_ext.errors import AudioError

__all__ = ["MAX_CHANNELS", "SAMPLE_RATES", "AudioClip", "check_clip_format"]

MAX_CHANNELS = 8
SAMPLE_RATES = (1000, 768000)
"""Lowest and highest sample rate of a clip, in Hz."""

# Share of each channel in (left, right), by number of channels in the order of WAVE files. The low-frequency channel
# is dropped, as in ITU-R BS.775; 0.707 is -3 dB.
_STEREO_SHARES: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    3: ((1, 0, 0.707), (0, 1, 0.707)),  # L R C
    4: ((1, 0, 0.707, 0), (0, 1, 0, 0.707)),  # L R Ls Rs
    5: ((1, 0, 0.707, 0.707, 0), (0, 1, 0.707, 0, 0.707)),  # L R C Ls Rs
    6: ((1, 0, 0.707, 0, 0.707, 0), (0, 1, 0.707, 0, 0, 0.707)),  # L R C LFE Ls Rs
    7: ((1, 0, 0.707, 0, 0.5, 0.707, 0), (0, 1, 0.707, 0, 0.5, 0, 0.707)),  # L R C LFE Cs Ls Rs
    8: ((1, 0, 0.707, 0, 0.707, 0, 0.707, 0), (0, 1, 0.707, 0, 0, 0.707, 0, 0.707)),  # L R C LFE Lb Rb Ls Rs
}


@dataclass(frozen=True, eq=False)
class AudioClip:
    """Hold samples and their sample rate.

    Parameters
    ----------
    samples : np.ndarray [shape=(channels, time), dtype=float32]
        Full scale is ±1.0; values may exceed it but must be finite. 1 to 8 channels; the clip may be empty.
    sample_rate
        In Hz, 1000 to 768000.
    notes
        Messages about repairs made while reading the file. Clips derived from this one do not inherit them.

    Raises
    ------
    AudioError
        The array has the wrong shape or type, holds NaN or infinity, or the rate is out of range.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        samples = self.samples
        if not isinstance(samples, np.ndarray) or samples.dtype != np.float32:
            got = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
            raise AudioError(f"the samples of a clip must be a numpy array of float32, got {got}")
        if samples.ndim != 2 or not 1 <= samples.shape[0] <= MAX_CHANNELS:
            raise AudioError(
                f"the samples of a clip must be an array [channels, time] with 1 to {MAX_CHANNELS} channels, "
                f"got shape {samples.shape}"
            )
        # Minimum and maximum propagate NaN and infinity, without a second array as long as the sound.
        if samples.size and not (math.isfinite(samples.min()) and math.isfinite(samples.max())):
            raise AudioError("the samples of a clip must be finite, got NaN or infinity")
        object.__setattr__(self, "sample_rate", _check_rate(self.sample_rate))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest absolute sample; 0.0 for a clip without samples."""
        return max(float(self.samples.max()), -float(self.samples.min())) if self.samples.size else 0.0

    @property
    def rms(self) -> float:
        """Root mean square over all channels; 0.0 for a clip without samples."""
        if not self.samples.size:
            return 0.0
        energy = float(np.einsum("ct,ct->", self.samples, self.samples, dtype=np.float64))
        return math.sqrt(energy / self.samples.size)

    def to_mono(self) -> AudioClip:
        """Return the mean of left and right; more than two channels are mixed to stereo first."""
        return self.to_channels(1)

    def to_channels(self, n: int) -> AudioClip:
        """Return the clip with another number of channels.

        Parameters
        ----------
        n
            1 to 8. Mono is copied to left and right; channels beyond stereo are added as silence, in the order of WAVE
            files. The downmix to stereo follows ITU-R BS.775, scaled so that the sum cannot exceed the loudest channel.
            The downmix to mono averages left and right.

        Raises
        ------
        AudioError
            ``n`` is out of range, or lies between 2 and the number of channels of a surround clip.
        """
        if not 1 <= n <= MAX_CHANNELS:
            raise AudioError(f"a clip has 1 to {MAX_CHANNELS} channels, got {n}")
        channels, length = self.samples.shape
        if n == channels:
            return self
        if n == 1:
            return AudioClip(
                self.to_channels(2).samples.mean(axis=0, keepdims=True, dtype=np.float32), self.sample_rate
            )
        if channels == 1:
            stereo = AudioClip(np.repeat(self.samples, 2, axis=0), self.sample_rate)
            return stereo.to_channels(n)
        if n > channels:
            silence = np.zeros((n - channels, length), np.float32)
            return AudioClip(np.concatenate([self.samples, silence]), self.sample_rate)
        if n > 2:
            raise AudioError(f"{channels} channels can be mixed to 1 or 2, not to {n}")
        shares = np.array(_STEREO_SHARES[channels], np.float32)
        shares /= shares.sum(axis=1, keepdims=True)
        return AudioClip(shares @ self.samples, self.sample_rate)

    def resample(self, rate: int) -> AudioClip:
        """Return the clip at another sample rate.

        Parameters
        ----------
        rate
            In Hz, 1000 to 768000.

        Returns
        -------
        AudioClip
            ``ceil(time * rate / sample_rate)`` samples; see :func:`~riffusion_ext.audio.resampling.resample`.

        Raises
        ------
        RiffusionError
            The rate is out of range, or the result exceeds the memory allowance.
        """
        rate = _check_rate(rate)
        if rate == self.sample_rate or not self.samples.shape[1]:
            return AudioClip(self.samples, rate)
        check(resample_workload(self.channels, self.samples.shape[1], self.sample_rate, rate))
        return AudioClip(resample(self.samples, self.sample_rate, rate), rate)

    def slice(self, start_s: float, stop_s: float | None = None) -> AudioClip:
        """Return a view of the part from ``start_s`` to ``stop_s`` in seconds (None: to the end).

        Times past the end are clamped to it.

        Raises
        ------
        AudioError
            A time is negative or not a number, or ``stop_s`` comes before ``start_s``.
        """
        stop_s = max(self.duration, start_s) if stop_s is None else stop_s
        if not 0 <= start_s <= stop_s:  # false for NaN as well
            raise AudioError(
                f"a slice must start at 0 s or later and not stop before, got {start_s:g} s to {stop_s:g} s"
            )
        length = self.samples.shape[1]
        first, last = (round(min(time * self.sample_rate, length)) for time in (start_s, stop_s))
        return AudioClip(self.samples[:, first:last], self.sample_rate)

    def gain_db(self, db: float) -> AudioClip:
        """Return the clip with a gain of ``db`` decibels."""
        return AudioClip(self.samples * np.float32(10 ** (db / 20)), self.sample_rate)


def check_clip_format(channels: int, sample_rate: int) -> None:
    """Check that a clip can have this number of channels and this sample rate.

    Raises
    ------
    AudioError
        One of them is out of range.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"a sound must have 1 to {MAX_CHANNELS} channels, got {channels}")
    _check_rate(sample_rate)


def _check_rate(rate: int) -> int:
    """Return the sample rate as an int. numpy integers are accepted, floats and bools are not."""
    try:
        value = operator.index(rate)
    except TypeError:
        value = -1
    if isinstance(rate, (bool, np.bool_)) or not SAMPLE_RATES[0] <= value <= SAMPLE_RATES[1]:
        low, high = SAMPLE_RATES
        raise AudioError(f"the sample rate must be a whole number of Hz between {low} and {high}, got {rate!r}")
    return value
