"""The mel filterbank, and its projection onto coarse frequency grids.

Triangular filters without area normalisation. On the HTK scale, as used to train riffusion-model-v1, they are
bit-identical to ``torchaudio.functional.melscale_fbanks(..., norm=None, mel_scale="htk")``, computed in the same
precision and order: exact filters would change 2 pixels in 10,000 by one level against the original.

Area normalisation scales each band. It is applied when an image is encoded and divided out when one is decoded
(:func:`band_gains`), so that the reconstruction works on filters with peaks of 1 always.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from riffusion_ext.params import SpectrogramParams
from riffusion_ext.params.mel_scale import band_corners, hz_to_mel

__all__ = ["Filters", "MelProjection", "band_gains", "encoder_filters", "mel_filters", "mel_projection"]

_MIN_BAND_WEIGHT = 1e-3  # sum of weights below which a band has no bins that could produce it


class Filters(NamedTuple):
    """Sparse matrix from bins to bands: entry n maps ``bins[n]`` to ``bands[n]`` with ``weights[n]``.

    A bin contributes to at most two triangles, so all but about 0.2 % of the full matrix is zero. Each array is [N];
    duplicate entries are summed.
    """

    bins: np.ndarray
    bands: np.ndarray
    weights: np.ndarray

    def dense(self, bins: slice, bands: slice) -> np.ndarray:
        """Return a block of the full matrix: [bins.stop - bins.start, bands.stop - bands.start], float64."""
        block = np.zeros((bins.stop - bins.start, bands.stop - bands.start))
        inside = (self.bins >= bins.start) & (self.bins < bins.stop)
        np.add.at(block, (self.bins[inside] - bins.start, self.bands[inside] - bands.start), self.weights[inside])
        return block

    def where(self, chosen: np.ndarray) -> Filters:
        """Return the entries for which the mask [N] is true."""
        return Filters(self.bins[chosen], self.bands[chosen], self.weights[chosen])

    def divided_by(self, bin_sums: np.ndarray) -> Filters:
        """Return the filters with each weight divided by the value of its bin, `bin_sums` being [K]."""
        return Filters(self.bins, self.bands, self.weights / bin_sums[self.bins])


def _concatenate(first: Filters, second: Filters) -> Filters:
    return Filters(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))


def _corners(params: SpectrogramParams) -> torch.Tensor:
    """Return the corners of the filters in Hz: [n_mels + 2], float32; on the HTK scale as torchaudio rounds them."""
    if params.mel_scale != "htk":
        return torch.from_numpy(band_corners(params)).float()
    low, high = hz_to_mel(params.min_frequency), hz_to_mel(params.max_frequency)
    mel = torch.linspace(low, high, params.num_frequencies + 2)
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def mel_filters(frequencies: torch.Tensor, params: SpectrogramParams) -> Filters:
    """Evaluate triangular filters at the given frequencies.

    Band j rises from corner j to corner j + 1 and falls to corner j + 2. Corners are equidistant in mel: between two
    corners one filter rises and the previous one falls.

    Parameters
    ----------
    frequencies : torch.Tensor [shape=(K,), float32]
        Frequencies of FFT bins, in Hz.
    params
        ``num_frequencies``, ``min_frequency``, ``max_frequency`` and ``mel_scale`` define the filters.

    Returns
    -------
    Filters
        Weights above 0, up to 1.
    """
    n_mels = params.num_frequencies
    corners = _corners(params)
    below = torch.searchsorted(corners, frequencies, right=True).sub_(1)
    bins = below.ge(0).logical_and(below.le(n_mels)).nonzero().squeeze(1)
    frequency, below = frequencies[bins], below[bins]
    start, stop = corners[below], corners[below + 1]
    width = stop - start
    rising, falling = (frequency - start) / width, (stop - frequency) / width
    rises, falls = (below < n_mels) & (rising > 0), (below > 0) & (falling > 0)
    return Filters(
        torch.cat([bins[rises], bins[falls]]).numpy(),
        torch.cat([below[rises], below[falls] - 1]).numpy(),
        torch.cat([rising[rises], falling[falls]]).numpy().astype(np.float64),
    )


def band_gains(params: SpectrogramParams, device: torch.device) -> torch.Tensor | None:
    """Return the factors [n_mels] of area normalisation, ``2 / width`` in 1 / Hz; None without it.

    They are factors of magnitudes of bands: of sums of power, their square roots.
    """
    if params.mel_norm == "none":
        return None
    corners = torch.from_numpy(band_corners(params))
    gains = 2.0 / (corners[2:] - corners[:-2])
    return (gains if params.spectrum == "magnitude" else gains.sqrt()).to(device, torch.float32)


def encoder_filters(params: SpectrogramParams) -> Filters:
    """Return the filters on the bins of ``params.n_fft``."""
    half = params.n_fft // 2
    frequencies = torch.linspace(0, half * params.sample_rate / params.n_fft, half + 1)
    return mel_filters(frequencies, params)


class MelProjection:
    """Project a magnitude spectrum on a grid other than the encoder's to mel bands.

    The image's mel bands are sums over bins 2.5 Hz apart, finer than the 100 ms window resolves. Phase can be
    reconstructed on bins 10 or 5 Hz apart; between them a magnitude is interpolated linearly, and that interpolation
    is folded into the filters once::

        mel[j] = sum_fine filter[fine, j] * (interpolate @ magnitude)[fine] = (magnitude @ weights)[j]

    Every row keeps its weight even if triangles are narrower than the grid. The matrix is banded, so both directions
    are computed as a few dense strips (about 2 % of the full product).

    Parameters
    ----------
    params
        Parameters of the image.
    spacing
        Distance between bins of the grid, in Hz.
    device
        Device of the matrices.

    Attributes
    ----------
    bins
        Bins up to ``max_frequency``: the K of every shape below. Higher bins are empty.
    n_mels
        Number of mel bands.
    column_sum : torch.Tensor [shape=(n_mels,)]
        Mel bands of a spectrum of ones; at least 1e-3.
    """

    def __init__(self, params: SpectrogramParams, spacing: float, device: torch.device) -> None:
        self.bins = int(params.max_frequency / spacing + 1e-9) + 1
        self.n_mels = params.num_frequencies
        weights = _weights(params, spacing, self.bins)
        column_sum = np.bincount(weights.bands, weights.weights, minlength=self.n_mels)
        spread = _shares(weights, column_sum >= _MIN_BAND_WEIGHT, params, spacing, self.bins)
        self.column_sum = torch.from_numpy(np.maximum(column_sum, _MIN_BAND_WEIGHT)).to(device, torch.float32)
        self._strips: list[tuple[slice, slice, torch.Tensor, torch.Tensor]] = [
            (
                bins,
                bands,
                _matrix(weights.dense(bins, bands), device),
                _matrix(spread.dense(bins, bands).T, device),
            )
            for bins, bands in _strip_edges(_concatenate(weights, spread), strips=1 if device.type == "cuda" else 16)
        ]

    def forward(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Project magnitudes [T, K] to mel bands [T, n_mels]."""
        mel = magnitude.new_empty(magnitude.shape[0], self.n_mels)
        self.forward_into(magnitude, mel)()
        return mel

    def spread(self, gain: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Spread gains of mel bands [T, n_mels] to bins [T, K]: each gets the weighted mean of its bands.

        Bins outside all bands are unchanged.
        """
        self.spread_into(gain, out)()
        return out

    def forward_into(self, magnitude: torch.Tensor, mel: torch.Tensor) -> Callable[[], None]:
        """Return a reusable function that computes :meth:`forward` from and into these tensors."""
        strips = [(mel[:, bands], magnitude[:, bins], weights) for bins, bands, weights, _ in self._strips]

        def measure() -> None:
            mel.zero_()
            for target, source, weights in strips:
                target.addmm_(source, weights)

        return measure

    def spread_into(self, gain: torch.Tensor, out: torch.Tensor) -> Callable[[], None]:
        """Return a reusable function that computes :meth:`spread` from and into these tensors."""
        strips = [(out[:, bins], gain[:, bands], spread) for bins, bands, _, spread in self._strips]

        def apply() -> None:
            for target, source, spread in strips:
                torch.mm(source, spread, out=target)

        return apply


def _matrix(block: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(block)).to(device, torch.float32)


def _weights(params: SpectrogramParams, spacing: float, bins: int) -> Filters:
    """Return the encoder's filters combined with linear interpolation from a grid of this spacing."""
    fine = encoder_filters(params)
    position = fine.bins * (params.sample_rate / params.n_fft / spacing)
    nearest = np.round(position)
    position = np.where(np.abs(position - nearest) < 1e-9 * (1 + nearest), nearest, position)
    below = np.minimum(position.astype(np.int64), bins - 1)
    fraction = position - below
    both = Filters(
        np.concatenate([below, np.minimum(below + 1, bins - 1)]),
        np.concatenate([fine.bands, fine.bands]),
        np.concatenate([fine.weights * (1.0 - fraction), fine.weights * fraction]),
    )
    return both.where(both.weights > 0)


def _shares(weights: Filters, audible: np.ndarray, params: SpectrogramParams, spacing: float, bins: int) -> Filters:
    """Return the share of each band in each bin; the shares of a bin sum to 1.

    Shares are proportional to the weights. If the encoder's FFT is shorter than ours, bins between its bins have no
    weight; there the triangles themselves are used. Bands that are not `audible` [n_mels] get no share.
    """
    frequencies = torch.mul(torch.arange(bins), spacing)
    between = mel_filters(frequencies, params)
    lost = np.bincount(weights.bins, weights.weights, minlength=bins)[between.bins] <= 1e-9
    both = _concatenate(weights, between.where(lost))
    both = both.where(audible[both.bands])
    return both.divided_by(np.bincount(both.bins, both.weights, minlength=bins))


def _strip_edges(filters: Filters, strips: int) -> list[tuple[slice, slice]]:
    """Split the banded matrix into strips with about equal numbers of mel bands; return their bins and bands."""
    if not filters.bins.size:
        return []
    low, high = int(filters.bins.min()), int(filters.bins.max()) + 1
    count = np.bincount(filters.bins - low, filters.weights)
    centre = np.bincount(filters.bins - low, filters.weights * filters.bands) / np.maximum(count, 1e-12)
    centre = np.maximum.accumulate(centre)
    targets = np.linspace(centre[0], centre[-1], strips + 1)[1:-1]
    cuts = [low, *(low + np.searchsorted(centre, targets)).tolist(), high]
    edges = []
    for start, stop in pairwise(cuts):
        if stop > start:
            bands = filters.bands[(filters.bins >= start) & (filters.bins < stop)]
            edges.append((slice(start, stop), slice(int(bands.min()), int(bands.max()) + 1)))
    return edges


@lru_cache(maxsize=16)
def mel_projection(params: SpectrogramParams, spacing: float, device: torch.device) -> MelProjection:
    """Return a cached :class:`MelProjection`."""
    return MelProjection(params, spacing, device)
