"""Reconstruction of loops without ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS
from riffusion_ext.spectrogram.inversion.loop import reconstruct_loop
from tests.unit.small import SMALL


@pytest.mark.parametrize("frames", [8, 33, 64, 700])
def test_loop_length_is_that_of_its_columns(frames: int) -> None:
    rng = np.random.default_rng(0)
    mel = torch.from_numpy(rng.rayleigh(1e5, (2, frames, 64)).astype(np.float32))
    shares: list[float] = []
    loop = reconstruct_loop(mel, SMALL, PROGRAMS["fast"], tick=shares.append)
    assert loop.shape == (2, frames * SMALL.hop_length)
    assert np.isfinite(loop).all()
    assert loop.std() > 0
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_silence_stays_silence() -> None:
    assert not np.abs(reconstruct_loop(torch.zeros(1, 40, 64), SMALL, PROGRAMS["fast"])).max() > 1e-6
