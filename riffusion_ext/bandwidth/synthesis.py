"""Make high frequencies with a given envelope, from copies of the octave below and from noise."""

from __future__ import annotations

from functools import lru_cache

import torch

from riffusion_ext.bandwidth.features import frame_spectra, hann
from riffusion_ext.bandwidth.grid import HIGH_BANDS, Grid

__all__ = ["envelope_limit", "high_spectra", "overlap_add"]

_SEED = 20000
_NOISE_FRAMES = 3072
_MAX_FRAMES = 1024  # frames that are made at once, at most: 32 blocks
_TINY = 1e-20
_OCTAVE = 7  # low bands in the octave below the cutoff
_LIMIT = 10**1.5  # times the energy per bin below the cutoff is the most that the envelope may have


def high_spectra(
    source: torch.Tensor, envelope: torch.Tensor, noise: torch.Tensor, coherence: torch.Tensor, start: int, grid: Grid
) -> torch.Tensor:
    """Return spectra of the high frequencies.

    Parameters
    ----------
    source : torch.Tensor [shape=(C, T, grid.shift), complex64]
        Spectra of the octave below the cutoff, to be copied.
    envelope : torch.Tensor [shape=(C, T, HIGH_BANDS), non-negative]
        Mean energy per bin.
    noise : torch.Tensor [shape=(C, T, HIGH_BANDS)]
        Share of noise, 0 to 1; the rest is copied.
    coherence : torch.Tensor [shape=(T,)]
        Share of the noise, -1 to 1, that the channels have in common; if negative, with opposite signs.
    start
        Number of the first frame.

    Returns
    -------
    torch.Tensor [shape=(C, T, K), complex64]
        Zero below the cutoff.
    """
    channels, frames, shift = source.shape
    low, high = grid.first_bin, grid.stop_bin
    means, spread = _bands(grid, source.device)
    energy = torch.view_as_real(source).flatten(2).square() @ means
    gain = (envelope * (1.0 - noise) / (energy + _TINY)).sqrt() @ spread
    result = source.new_zeros(channels, frames, grid.window // 2 + 1)
    for first in range(low, high, shift):
        stop = min(first + shift, high)
        torch.mul(source[:, :, : stop - first], gain[:, :, first - low : stop - low], out=result[:, :, first:stop])
    made = result[:, :, low:high]
    made.addcmul_(_noise(coherence, start, channels, grid), (envelope * noise).sqrt() @ spread)
    return result


@lru_cache(maxsize=8)
def _bands(grid: Grid, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two matrices.

    The first, [2 shift, HIGH_BANDS], averages the squared real and imaginary parts of the source's bins over their
    copies in each band; the second, [HIGH_BANDS, bins], gives each bin above the cutoff the value of its band.
    """
    edges = torch.tensor([edge - grid.first_bin for edge in grid.high_edges])
    band = torch.repeat_interleave(torch.arange(HIGH_BANDS), edges.diff())
    means = torch.zeros(grid.shift, HIGH_BANDS)
    copied_from = torch.arange(len(band)) % grid.shift
    means.index_put_((copied_from, band), (1.0 / edges.diff().clamp_min(1))[band], accumulate=True)
    spread = (band == torch.arange(HIGH_BANDS)[:, None]).float()
    return means.repeat_interleave(2, dim=0).to(device), spread.to(device)


def envelope_limit(low: torch.Tensor) -> torch.Tensor:
    """Return the highest envelope [C, T, 1] that real music has above low bands of energy [C, T, LOW_BANDS].

    It is a multiple of the energy in the last band below the cutoff, so that a dull sound stays dull, and of the
    geometric mean over the octave below, so that neither silence nor a few sines get a hiss.
    """
    octave = low[:, :, -_OCTAVE:]
    mean = (octave + _TINY).log().mean(2, keepdim=True).exp()
    return torch.minimum(mean, octave[:, :, -1:]).mul(_LIMIT)


def _noise(coherence: torch.Tensor, start: int, channels: int, grid: Grid) -> torch.Tensor:
    """Return spectra of noise [C, T, bins], a function of the frame's number."""
    table = _noise_table(grid, coherence.device)
    frames = coherence.shape[0]
    first = start % _NOISE_FRAMES
    common = table[first : first + frames][None]
    if channels == 1:
        return common
    firsts = [(first + (1 + channel) * _NOISE_FRAMES // 3) % _NOISE_FRAMES for channel in range(channels)]
    own = torch.stack([table[first : first + frames] for first in firsts])
    share = coherence.abs()[:, None]
    common = torch.cat([common, common * coherence.sign()[:, None]])
    return common * share.sqrt() + own * (1.0 - share).sqrt()


@lru_cache(maxsize=4)
def _noise_table(grid: Grid, device: torch.device) -> torch.Tensor:
    """Return spectra [frames, bins] of noise of unit energy that repeats after 9 s, with the first frames again."""
    noise = torch.randn(1, _NOISE_FRAMES * grid.hop, generator=torch.Generator().manual_seed(_SEED))
    overlap = grid.window - grid.hop
    table = frame_spectra(torch.cat([noise, noise[:, :overlap]], 1), grid)[0, :, grid.first_bin : grid.stop_bin]
    table /= table.abs().square().mean().sqrt()
    return torch.cat([table, table[:_MAX_FRAMES]]).to(device)


def overlap_add(spectra: torch.Tensor, tail: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Add frames to a waveform.

    Parameters
    ----------
    spectra : torch.Tensor [shape=(C, T, K), complex64]
        Spectra of consecutive frames, analysed with a Hann window.
    tail : torch.Tensor [shape=(C, 3 * hop)]
        What the frames before contribute to the samples of these.

    Returns
    -------
    samples : torch.Tensor [shape=(C, T * hop)]
        Samples to which no later frame contributes, from the first frame's beginning.
    tail : torch.Tensor [shape=(C, 3 * hop)]
        What the frames contribute to the samples after.
    """
    channels, frames, _ = spectra.shape
    hops = grid.window // grid.hop
    # The squared Hann windows of all frames add up to 1.5.
    pieces = torch.fft.irfft(spectra, n=grid.window) * (hann(grid.window, spectra.device) / 1.5)
    total = torch.zeros(channels, frames + hops - 1, grid.hop, device=spectra.device)
    total[:, : hops - 1] = tail.reshape(channels, hops - 1, grid.hop)
    for part, piece in enumerate(pieces.split(grid.hop, dim=2)):
        total[:, part : part + frames] += piece
    return total[:, :frames].flatten(1), total[:, frames:].flatten(1)
