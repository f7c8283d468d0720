"""Pre-emphasis of a waveform before its analysis, and the inverse filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["Deemphasis", "emphasise", "emphasised_pieces"]

Samples = npt.NDArray[np.float32]

_SETTLED = 1e-8  # relative amplitude at which the inverse filter has forgotten what came before


def emphasise(waveform: torch.Tensor, coefficient: float, before: torch.Tensor | None = None) -> torch.Tensor:
    """Filter samples [C, S]: ``y[n] = x[n] - coefficient * x[n - 1]``.

    Parameters
    ----------
    waveform : torch.Tensor [shape=(C, S)]
        Samples.
    coefficient
        0 to below 1.
    before : torch.Tensor [shape=(C, 1)], optional
        The sample before the first. By default the first is filtered as ``librosa.effects.preemphasis`` does it:
        ``y[0] = 3 x[0] - x[1]``.
    """
    if not waveform.shape[1]:
        return waveform
    result = waveform.clone()
    result[:, 1:] -= coefficient * waveform[:, :-1]
    if before is not None:
        result[:, :1] -= coefficient * before
    elif waveform.shape[1] > 1:
        result[:, :1] += 2.0 * waveform[:, :1] - waveform[:, 1:2]
    return result


def emphasised_pieces(pieces: Iterable[Samples], coefficient: float) -> Iterator[Samples]:
    """Filter a waveform given in consecutive pieces [C, n]; together they equal :func:`emphasise` of the whole."""
    held: Samples | None = None  # the first sample alone, whose filter needs the second
    before: torch.Tensor | None = None
    for piece in pieces:
        samples = piece if held is None else np.concatenate([held, piece], axis=1)
        held = None
        if before is None and samples.shape[1] < 2:
            held = samples
            continue
        if samples.shape[1]:
            waveform = torch.from_numpy(samples)
            yield emphasise(waveform, coefficient, before).numpy()
            before = waveform[:, -1:].clone()
    if held is not None:
        yield held


class Deemphasis:
    """The inverse of :func:`emphasise` on consecutive pieces: ``x[n] = y[n] + coefficient * x[n - 1]``.

    Parameters
    ----------
    coefficient
        0 to below 1; 0 changes nothing.
    """

    def __init__(self, coefficient: float) -> None:
        self._coefficient = coefficient
        self._state: npt.NDArray[np.float64] | None = None

    def filter(self, samples: npt.NDArray[np.floating]) -> Samples:
        """Filter the next piece [C, n]."""
        if not self._coefficient or not samples.shape[1]:
            return np.asarray(samples, np.float32)
        from scipy.signal import lfilter

        state = np.zeros((samples.shape[0], 1)) if self._state is None else self._state
        numerator, denominator = [1.0], [1.0, -self._coefficient]
        result, self._state = lfilter(numerator, denominator, samples.astype(np.float64), axis=1, zi=state)
        return np.asarray(result, np.float32)

    def filter_loop(self, period: npt.NDArray[np.floating]) -> Samples:
        """Filter one period [C, n] of a periodic signal: as in the steady state."""
        if not self._coefficient:
            return np.asarray(period, np.float32)
        run_in = int(np.ceil(np.log(_SETTLED) / np.log(self._coefficient)))
        around = period[:, np.arange(-run_in, period.shape[1]) % period.shape[1]]
        return self.filter(around)[:, run_in:]
