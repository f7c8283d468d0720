"""Energy of the part of a song that its image shows: within the image's channels and frequency range."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riffusion_ext.params import SpectrogramParams

__all__ = ["LOWEST_HZ", "ShownEnergy"]

LOWEST_HZ = 20.0
"""Lowest audible frequency, Hz. A window of 100 ms cannot distinguish lower ones from a DC offset, either."""

_RIPPLE_DB, _EDGE = 0.05, 0.98  # pass-band ripple; edge of the pass band, relative to the highest frequency
_LOW_ORDER, _LOW_DB = 7, 70.0  # odd, so a DC offset is removed entirely; half the lowest frequency is 70 dB down
_HIGH_ORDER, _HIGH_DB = 10, 80.0  # 10 % above the highest frequency: 46 dB down or more

_Array = npt.NDArray[np.float32]


class ShownEnergy:
    """Compute the mean square of each column of a song between the lowest and highest frequency of its image.

    Parameters
    ----------
    params
        Parameters of the image.
    """

    def __init__(self, params: SpectrogramParams) -> None:
        self._hop = params.hop_length
        self._filter = _band_pass(params)
        self._state: npt.NDArray[np.float64] | None = None
        self._rest: npt.NDArray[np.float64] = np.zeros(0)  # squares of an incomplete column
        self._parts: list[_Array] = []

    def add(self, samples: _Array) -> None:
        """Add the next samples [C, n], at the image's sample rate and in its channels; full scale is 1."""
        from scipy.signal import sosfilt, sosfilt_zi

        if not samples.shape[1]:
            return
        if self._state is None:  # settled on the mean of the beginning, so that a DC offset is no step
            start_mean = samples[:, : 5 * self._hop].mean(axis=1, dtype=np.float64)
            self._state = sosfilt_zi(self._filter)[:, None, :] * start_mean[None, :, None]
        shown, self._state = sosfilt(self._filter, samples.astype(np.float64), zi=self._state)
        squares = np.concatenate([self._rest, np.square(shown).mean(axis=0)])
        whole = len(squares) // self._hop * self._hop
        self._parts.append(squares[:whole].reshape(-1, self._hop).mean(axis=1).astype(np.float32))
        self._rest = squares[whole:]

    def finish(self, columns: int) -> _Array:
        """Return the energies [columns]; columns past the last sample repeat the last one."""
        rest = [np.array([self._rest.mean()], np.float32)] if len(self._rest) else []
        energy = np.concatenate([*self._parts, *rest]) if self._parts or rest else np.zeros(1, np.float32)
        return np.pad(energy, (0, max(columns - len(energy), 0)), mode="edge")[:columns]


def _band_pass(params: SpectrogramParams) -> npt.NDArray[np.float64]:
    """Design a band-pass filter as second-order sections, for :func:`scipy.signal.sosfilt`."""
    from scipy.signal import ellip

    rate, highest = params.sample_rate, _EDGE * params.max_frequency
    lowest = min(max(float(params.min_frequency), LOWEST_HZ), 0.9 * highest)
    parts = [ellip(_LOW_ORDER, _RIPPLE_DB, _LOW_DB, lowest, "highpass", fs=rate, output="sos")]
    if highest < 0.48 * rate:  # else the sample rate itself is the limit
        parts.append(ellip(_HIGH_ORDER, _RIPPLE_DB, _HIGH_DB, highest, "lowpass", fs=rate, output="sos"))
    return np.concatenate(parts)
