"""The original recipe, for comparison: torchaudio's inverse mel scale, then 32 Griffin-Lim iterations at full FFT size.

torchaudio is in no webui's environment, and one that does not match torch cannot be imported. This engine is offered
only where a matching one is installed already; nothing else in the package touches torchaudio.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata

import torch

from riffusion_ext.errors import RiffusionError
from riffusion_ext.spectrogram.params import SpectrogramParams

__all__ = ["MAX_COLUMNS", "invert", "is_available"]

MAX_COLUMNS = 2048
"""Widest picture this engine takes; it needs about 5 MB a column."""


@lru_cache(maxsize=1)
def is_available() -> bool:
    """Whether torchaudio is installed in the version that belongs to torch."""
    try:
        ours, theirs = (metadata.version(name).split("+")[0] for name in ("torch", "torchaudio"))
    except metadata.PackageNotFoundError:
        return False
    return ours == theirs


@torch.no_grad()
def invert(mel: torch.Tensor, params: SpectrogramParams, seed: int) -> torch.Tensor:
    """Waveforms [C, (T - 1) * hop_length] of mel magnitudes [C, T, n_mels].

    Raises
    ------
    RiffusionError
        torchaudio cannot be imported, or the picture is wider than :data:`MAX_COLUMNS`.
    """
    if mel.shape[1] > MAX_COLUMNS:
        raise RiffusionError(
            f"the reference engine takes pictures up to {MAX_COLUMNS} columns wide, this one has {mel.shape[1]}"
        )
    try:
        from torchaudio.transforms import GriffinLim, InverseMelScale
    except Exception as error:  # a mismatched build raises OSError, ImportError or RuntimeError
        raise RiffusionError(f"the reference engine needs torchaudio, which cannot be imported: {error}") from error
    n_stft = params.n_fft // 2 + 1
    unmel = InverseMelScale(
        n_stft=n_stft,
        n_mels=params.num_frequencies,
        sample_rate=params.sample_rate,
        f_min=params.min_frequency,
        f_max=params.max_frequency,
        norm=None,
        mel_scale="htk",
    ).to(mel.device)
    griffin_lim = GriffinLim(
        n_fft=params.n_fft,
        n_iter=32,
        win_length=params.win_length,
        hop_length=params.hop_length,
        power=1.0,
        momentum=0.99,
    ).to(mel.device)
    with torch.random.fork_rng(devices=[mel.device] if mel.device.type == "cuda" else []):
        torch.manual_seed(seed)
        return griffin_lim(unmel(mel.transpose(1, 2).contiguous()))
