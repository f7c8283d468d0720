"""The limit of bandwidth extension: the envelope of the source itself."""

from __future__ import annotations

import numpy as np
import torch

from bench.methods import PARAMS
from riffusion_ext.bandwidth.features import band_energy, frame_spectra
from riffusion_ext.bandwidth.grid import Grid
from riffusion_ext.bandwidth.synthesis import high_spectra, overlap_add

_FRAMES = 256  # frames made at once


def extend_by_source(samples: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Extend a decoded waveform [S] by the envelope of its source [S] in place of the predicted one.

    It is the limit of the method: all else is done as in the extension.
    """
    grid = Grid(PARAMS.sample_rate, float(PARAMS.max_frequency))
    overlap = grid.window - grid.hop
    padding = (overlap, overlap + -len(samples) % grid.hop)
    low, full = (
        frame_spectra(torch.from_numpy(np.pad(sound.astype(np.float32), padding))[None], grid)
        for sound in (samples, source)
    )
    envelope = band_energy(full, grid.high_edges)
    octave = low[:, :, grid.first_bin - grid.shift : grid.first_bin]
    parts, tail = [], torch.zeros(1, overlap)
    for start in range(0, low.shape[1], _FRAMES):
        part = slice(start, start + _FRAMES)
        noise = torch.full_like(envelope[:, part], 0.5)
        coherence = torch.ones(envelope[:, part].shape[1])
        high = high_spectra(octave[:, part], envelope[:, part], noise, coherence, start, grid)
        made, tail = overlap_add(high, tail, grid)
        parts.append(made)
    return samples + torch.cat(parts, 1)[0, overlap : overlap + len(samples)].numpy()
