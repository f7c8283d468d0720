"""Frames, bands and features of bandwidth extension."""

from __future__ import annotations

import pytest
import torch

from riffusion_ext.bandwidth.features import band_energy, frame_spectra
from riffusion_ext.bandwidth.grid import HIGH_BANDS, LOW_BANDS, Grid
from riffusion_ext.bandwidth.synthesis import overlap_add

GRIDS = [Grid(44100, 10000.0), Grid(48000, 8000.0), Grid(44100, 5000.0), Grid(96000, 15999.0), Grid(40000, 7200.0)]


@pytest.mark.parametrize("grid", GRIDS)
def test_bands_ascend_and_meet_at_the_cutoff(grid: Grid) -> None:
    assert len(grid.low_edges) == LOW_BANDS + 1
    assert len(grid.high_edges) == HIGH_BANDS + 1
    assert all(first < stop for first, stop in zip(grid.low_edges, grid.low_edges[1:], strict=False))
    assert all(first <= stop for first, stop in zip(grid.high_edges, grid.high_edges[1:], strict=False))
    assert grid.low_edges[-1] == grid.high_edges[0] == grid.first_bin
    assert grid.stop_bin * grid.sample_rate / grid.window == pytest.approx(20000, abs=grid.sample_rate / grid.window)
    assert grid.stop_bin <= grid.window // 2


@pytest.mark.parametrize("grid", GRIDS)
def test_copies_are_shifted_by_whole_turns_of_a_hop(grid: Grid) -> None:
    assert grid.shift * grid.hop % grid.window == 0
    assert grid.shift <= grid.first_bin


@pytest.mark.parametrize("grid", GRIDS)
def test_unchanged_spectra_give_the_samples_again(grid: Grid) -> None:
    torch.manual_seed(0)
    overlap = grid.window - grid.hop
    samples = torch.randn(2, 40 * grid.hop)
    padded = torch.nn.functional.pad(samples, (overlap, overlap))
    result, tail = overlap_add(frame_spectra(padded, grid), torch.zeros(2, overlap), grid)
    assert torch.allclose(result[:, overlap:], samples[:, : result.shape[1] - overlap], atol=1e-5)
    assert tail.shape == (2, overlap)


def test_energy_of_bands_is_the_mean_of_their_bins() -> None:
    spectra = torch.complex(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), torch.tensor([[[0.0, 1.0, 0.0, 0.0]]]))
    assert band_energy(spectra, (0, 2, 2, 4)).flatten().tolist() == pytest.approx([3.0, 0.0, 12.5])
