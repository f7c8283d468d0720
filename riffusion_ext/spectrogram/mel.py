"""The mel filterbank, and its shortcut for coarse frequency grids.

Triangular HTK filters without area normalisation, as riffusion-model-v1 was trained with
(``torchaudio.functional.melscale_fbanks(..., norm=None, mel_scale="htk")`` gives the same numbers).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

from riffusion_ext.spectrogram.params import SpectrogramParams

__all__ = ["MelProjection", "hz_to_mel", "mel_filterbank", "mel_to_hz"]


def hz_to_mel(frequency: np.ndarray | float) -> np.ndarray:
    """HTK mel scale: ``2595 log10(1 + f / 700)``. Frequency in Hz, result in mel (O'Shaughnessy 1987)."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency, dtype=np.float64) / 700.0)


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """Inverse of :func:`hz_to_mel`; result in Hz."""
    return 700.0 * (10.0 ** (np.asarray(mel, dtype=np.float64) / 2595.0) - 1.0)


def mel_filterbank(frequencies: np.ndarray, n_mels: int, f_min: float, f_max: float) -> np.ndarray:
    """Triangular filters, evaluated at the given frequencies.

    Parameters
    ----------
    frequencies : np.ndarray [shape=(K,)]
        Frequencies in Hz, of FFT bins.
    n_mels
        Number of filters.
    f_min, f_max
        Lower edge of the first filter and upper edge of the last, in Hz.

    Returns
    -------
    np.ndarray [shape=(K, n_mels), float64, 0 to 1]
        Column j rises from corner j to corner j + 1 and falls to corner j + 2, corners being equidistant in mel.
    """
    corners = mel_to_hz(np.linspace(hz_to_mel(f_min), hz_to_mel(f_max), n_mels + 2))
    widths = np.diff(corners)
    slopes = corners[None, :] - np.asarray(frequencies, dtype=np.float64)[:, None]
    falling, rising = slopes[:, 2:] / widths[1:], -slopes[:, :-2] / widths[:-1]
    return np.maximum(0.0, np.minimum(falling, rising))


def encoder_filterbank(params: SpectrogramParams) -> np.ndarray:
    """Return the filters on the bins of ``params.n_fft`` up to ``max_frequency``: [K, n_mels], float64."""
    spacing = params.sample_rate / params.n_fft
    bins = min(int(params.max_frequency / spacing + 1e-9) + 1, params.n_fft // 2 + 1)
    return mel_filterbank(np.arange(bins) * spacing, params.num_frequencies, params.min_frequency, params.max_frequency)


class MelProjection:
    """Mel bands of a magnitude spectrum given on a grid coarser than the encoder's.

    The picture's mel bands are sums over bins 2.5 Hz apart, finer than the 100 ms window resolves. Phase can be
    reconstructed on bins 10 or 5 Hz apart; between them a magnitude is interpolated linearly, and that interpolation
    is folded into the filters once::

        mel[j] = sum_fine filter[fine, j] * (interpolate @ magnitude)[fine] = (magnitude @ weights)[j]

    Every row keeps its weight even where triangles are narrower than the grid. The matrix is banded, so both
    directions are done in a few dense strips (about 2 % of the full product).

    Parameters
    ----------
    params
        Parameters of the picture.
    spacing
        Distance between bins of the coarse grid, in Hz.
    device
        Where the matrices live.

    Attributes
    ----------
    bins
        Bins up to ``max_frequency``: the K of every shape below. Higher ones hold nothing.
    """

    def __init__(self, params: SpectrogramParams, spacing: float, device: torch.device) -> None:
        weights = _coarse_weights(params, spacing)
        self.bins, self.n_mels = weights.shape
        column_sum = weights.sum(axis=0)
        row_sum = weights.sum(axis=1, keepdims=True)
        spread = np.divide(weights, row_sum, out=np.zeros_like(weights), where=row_sum > 1e-9).T
        self.column_sum = torch.from_numpy(np.maximum(column_sum, 1e-9)).to(device, torch.float32)
        self._strips = [
            (
                slice(low, high),
                slice(first, last),
                torch.from_numpy(weights[low:high, first:last].copy()).to(device, torch.float32),
                torch.from_numpy(spread[first:last, low:high].copy()).to(device, torch.float32),
            )
            for low, high, first, last in _strip_edges(weights, strips=1 if device.type == "cuda" else 16)
        ]

    def forward(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Magnitudes [T, K] to mel bands [T, n_mels]."""
        mel = magnitude.new_zeros(magnitude.shape[0], self.n_mels)
        for bins, bands, weights, _ in self._strips:
            mel[:, bands].addmm_(magnitude[:, bins], weights)
        return mel

    def spread(self, gain: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Gains of mel bands [T, n_mels] to gains of bins [T, K], each the weighted mean of the bands it feeds."""
        for bins, bands, _, spread in self._strips:
            out[:, bins] = gain[:, bands] @ spread
        return out


def _coarse_weights(params: SpectrogramParams, spacing: float) -> np.ndarray:
    """Return [K, n_mels]: the encoder's filters seen through linear interpolation from the coarse grid."""
    fine = encoder_filterbank(params)
    position = np.arange(fine.shape[0]) * (params.sample_rate / params.n_fft) / spacing
    bins = int(params.max_frequency / spacing + 1e-9) + 1
    below = np.minimum(position.astype(np.int64), bins - 1)
    above = np.minimum(below + 1, bins - 1)
    fraction = (position - below)[:, None]
    weights = np.zeros((bins, fine.shape[1]))
    np.add.at(weights, below, fine * (1.0 - fraction))
    np.add.at(weights, above, fine * fraction)
    return weights


def _strip_edges(weights: np.ndarray, strips: int) -> list[tuple[int, int, int, int]]:
    """Cut the banded matrix into strips that carry about the same number of mel bands."""
    centre = weights @ np.arange(weights.shape[1]) / np.maximum(weights.sum(axis=1), 1e-12)
    used = weights.sum(axis=1) > 1e-12
    low, high = int(np.argmax(used)), int(len(used) - np.argmax(used[::-1]))
    targets = np.linspace(centre[low], centre[high - 1], strips + 1)[1:-1]
    cuts = [low, *(low + np.searchsorted(centre[low:high], targets)).tolist(), high]
    edges = []
    for start, stop in pairwise(cuts):
        if stop > start:
            bands = np.nonzero(weights[start:stop].sum(axis=0))[0]
            edges.append((start, stop, int(bands[0]), int(bands[-1]) + 1))
    return edges


@lru_cache(maxsize=16)
def mel_projection(params: SpectrogramParams, spacing: float, device: torch.device) -> MelProjection:
    """Return :class:`MelProjection`, kept for the next call."""
    return MelProjection(params, spacing, device)
