"""The original recipe, for comparison: torchaudio's inverse mel scale, then 32 Griffin-Lim iterations at full FFT size.

No webui installs torchaudio, and a version that does not match torch cannot be imported. This engine is offered only if
a matching one is already installed; nothing else in the package uses torchaudio.
"""

from __future__ import annotations

import torch

from riffusion_ext.errors import ImageError, RiffusionError
from riffusion_ext.params import SpectrogramParams

__all__ = ["MAX_COLUMNS", "invert"]

MAX_COLUMNS = 2048
"""Widest image for this engine; it needs about 5 MB per column."""


@torch.no_grad()
def invert(mel: torch.Tensor, params: SpectrogramParams, seed: int) -> torch.Tensor:
    """Reconstruct waveforms [C, (T - 1) * hop_length] from mel magnitudes [C, T, n_mels].

    Raises
    ------
    ImageError
        The image is wider than :data:`MAX_COLUMNS`, or its parameters are unsuitable for this recipe.
    RiffusionError
        torchaudio cannot be imported.
    """
    columns = mel.shape[1]
    if columns > MAX_COLUMNS:
        raise ImageError(f"the reference engine takes images up to {MAX_COLUMNS} columns wide, this one has {columns}")
    # torch.stft reflects half an FFT at each end and needs as much signal; narrow images repeat their last column.
    mel = torch.square(mel) if params.spectrum == "power" else mel
    missing = params.n_fft // 2 // params.hop_length + 2 - columns
    if missing > 0:
        mel = torch.cat([mel, mel[:, -1:].expand(-1, missing, -1)], dim=1)
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
        norm=None if params.mel_norm == "none" else params.mel_norm,
        mel_scale=params.mel_scale,
    ).to(mel.device)
    griffin_lim = GriffinLim(
        n_fft=params.n_fft,
        n_iter=32,
        win_length=params.win_length,
        hop_length=params.hop_length,
        power=1.0 if params.spectrum == "magnitude" else 2.0,
        momentum=0.99,
    ).to(mel.device)
    with torch.random.fork_rng(devices=[mel.device] if mel.device.type == "cuda" else []):
        torch.manual_seed(seed)
        waveform = griffin_lim(unmel(mel.transpose(1, 2).contiguous()))
    if not torch.isfinite(waveform).all():
        raise ImageError("the reference engine finds no sound with these spectrogram parameters")
    return waveform[:, : (columns - 1) * params.hop_length]
