"""What the network sees: spectra of short frames, and their energy in bands relative to the recent level."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
from torch.nn import functional

from riffusion_ext.bandwidth.grid import LOW_BANDS, Grid

__all__ = [
    "CHANNELS",
    "FLOOR",
    "FRAMES_IN_BLOCK",
    "FRAMES_IN_STEP",
    "LEVEL_BLOCKS",
    "STEPS_IN_BLOCK",
    "band_energy",
    "block_means",
    "features",
    "frame_spectra",
    "hann",
    "relative_cutoff",
]

FRAMES_IN_STEP = 4
"""Frames in one step of the network."""

STEPS_IN_BLOCK = 8
"""Steps in a block, over which energy is averaged for the recent level: 93 ms."""

FRAMES_IN_BLOCK = STEPS_IN_BLOCK * FRAMES_IN_STEP
"""Frames in a block."""

LEVEL_BLOCKS = 32
"""Blocks of the recent level: 3 s."""

CHANNELS = (FRAMES_IN_STEP + 1) * LOW_BANDS + 2
"""Features of a step."""

FLOOR = 1e-9
"""Energy relative to the recent level that counts as nothing: -90 dB."""

_SILENCE = 1e-13  # energy of a bin, relative to full scale, that counts as silence: below a 16-bit step


@lru_cache(maxsize=8)
def hann(length: int, device: torch.device) -> torch.Tensor:
    """Return a periodic Hann window [length]."""
    return torch.hann_window(length, device=device)


def frame_spectra(samples: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Compute the spectra of consecutive frames.

    Parameters
    ----------
    samples : torch.Tensor [shape=(C, (T + 3) * hop), float32]
        Full scale 1.0.

    Returns
    -------
    torch.Tensor [shape=(C, T, window // 2 + 1), complex64]
    """
    frames = samples.unfold(1, grid.window, grid.hop)
    return torch.fft.rfft(frames * hann(grid.window, samples.device))


def band_energy(spectra: torch.Tensor, edges: tuple[int, ...]) -> torch.Tensor:
    """Return the mean energy per bin of bands: [C, T, K] with B + 1 edges to [C, T, B]; 0 for empty bands."""
    parts = torch.view_as_real(spectra[:, :, edges[0] : edges[-1]]).flatten(2)
    return parts.square() @ _band_means(edges, spectra.device)


@lru_cache(maxsize=32)
def _band_means(edges: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Return the matrix [2 bins, B] from the squared real and imaginary parts of bins to the mean energy of bands."""
    means = torch.zeros(edges[-1] - edges[0], len(edges) - 1)
    for band, (first, stop) in enumerate(pairwise(edges)):
        means[first - edges[0] : stop - edges[0], band] = 1.0 / max(stop - first, 1)
    return means.repeat_interleave(2, dim=0).to(device)


def block_means(low: torch.Tensor) -> torch.Tensor:
    """Average energies [C, T, LOW_BANDS] over the blocks of the recent level: [C, blocks, LOW_BANDS]."""
    channels, frames, bands = low.shape
    return low.reshape(channels, frames // FRAMES_IN_BLOCK, FRAMES_IN_BLOCK, bands).mean(2)


def features(low: torch.Tensor, recent: torch.Tensor, blocks_before: int, grid: Grid) -> tuple[torch.Tensor, ...]:
    """Compute the features of whole blocks.

    Parameters
    ----------
    low : torch.Tensor [shape=(C, T, LOW_BANDS), non-negative]
        Energy of the low bands; T is a multiple of the frames in a block.
    recent : torch.Tensor [shape=(C, LEVEL_BLOCKS - 1 + T / frames in a block, LOW_BANDS)]
        :func:`block_means`, beginning with those of the blocks before, zero before the start of the sound.
    blocks_before
        Number of blocks since the start of the sound.

    Returns
    -------
    features : torch.Tensor [shape=(C, S, CHANNELS)]
        About -1 to 1.
    level : torch.Tensor [shape=(C, S)]
        Mean energy of the recent 3 s, to which features and predictions are relative.
    """
    channels, frames, bands = low.shape
    count = recent.shape[1] - LEVEL_BLOCKS + 1
    number = torch.arange(blocks_before + 1, blocks_before + count + 1, device=low.device).clamp_max(LEVEL_BLOCKS)
    slow = functional.avg_pool1d(recent.transpose(1, 2), LEVEL_BLOCKS, 1) * (LEVEL_BLOCKS / number)
    level = slow.mean(1)[..., None] + _SILENCE
    slow_features = _log(slow.transpose(1, 2) / level).repeat_interleave(STEPS_IN_BLOCK, dim=1)
    level = level.repeat_interleave(STEPS_IN_BLOCK, dim=1)
    steps = low.reshape(channels, frames // FRAMES_IN_STEP, FRAMES_IN_STEP * bands)
    loudness = _log(steps.mean(2, keepdim=True) / level)
    cutoff = relative_cutoff(torch.full_like(loudness, grid.cutoff))
    return torch.cat([_log(steps / level), slow_features, loudness, cutoff], dim=2), level[..., 0]


def relative_cutoff(cutoff: torch.Tensor) -> torch.Tensor:
    """Map cutoffs in Hz to the range of the other features."""
    return cutoff.sub(10000.0).div(5000.0)


def _log(ratio: torch.Tensor) -> torch.Tensor:
    return ratio.add(FLOOR).log10().div(4.5).add(1.0)
