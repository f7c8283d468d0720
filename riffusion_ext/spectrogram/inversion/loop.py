r"""Reconstruct an image whose right edge continues at its left one, as a seamless loop.

::

    columns    T-P ... T | 0 ......................... T | 0 ... P       1. with its own ends as context
    known                         ... T-K ===--\    /--=== K ...         2. around the seam, between known samples on
                                             T | 0                          both sides, phases that connect them
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.inversion.blocks import reconstruct_long
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS, Known, Program, reconstruct
from riffusion_ext.spectrogram.stft import frame_grid
from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup

__all__ = ["reconstruct_loop"]

_REACH = 8  # windows on each side of the seam; fewer in short images
_KEPT, _FADE = 0.7, 0.3  # shares of the reach: known samples, and their fade-out


def reconstruct_loop(
    mel: torch.Tensor,
    params: SpectrogramParams,
    program: Program,
    *,
    tick: Callable[[float], None] | None = None,
    threads: ThreadGroup = SERIAL,
) -> np.ndarray:
    """Reconstruct a waveform whose end continues at its beginning.

    Parameters
    ----------
    mel : torch.Tensor [shape=(B, T, n_mels), non-negative, float32]
        Mel magnitudes; column 0 follows column T - 1.
    params, program, tick, threads
        As for :func:`~riffusion_ext.spectrogram.inversion.blocks.reconstruct_long`.

    Returns
    -------
    np.ndarray [shape=(B, T * hop), float32]
        Waveforms at the working rate.
    """
    frames = mel.shape[1]
    grid = frame_grid(params, 1, mel.device)
    context, hop = 4 * grid.overlap, grid.hop_length

    def columns(start: int, stop: int) -> torch.Tensor:
        return mel[:, torch.arange(start, stop, device=mel.device) % frames]

    whole = reconstruct_long(
        lambda start, stop: columns(start - context, stop - context),
        frames + 2 * context,
        params,
        program,
        tick=tick,
        threads=threads,
    )
    loop: np.ndarray = whole[:, context * hop : (context + frames) * hop].copy()
    reach = min(_REACH * grid.overlap, frames // 2)
    seam = torch.from_numpy(np.concatenate([loop[:, -reach * hop :], loop[:, : reach * hop]], axis=1)).to(mel.device)
    kept, fade = int(_KEPT * reach), int(_FADE * reach)
    share = seam.new_zeros(seam.shape[1])
    share[: kept * hop] = 1.0
    share[(kept - fade) * hop : kept * hop] = torch.linspace(1.0, 0.0, fade * hop, device=mel.device)
    known = Known(seam, torch.maximum(share, share.flip(0)), max(kept - fade - grid.overlap // 2, 0))
    # Only a second or two of sound, so the slow engine is affordable.
    closed = reconstruct(columns(-reach, reach + 1), params, PROGRAMS["best"], known=known, threads=threads)
    joined = closed[:, : 2 * reach * hop].cpu().numpy()
    loop[:, -reach * hop :] = joined[:, : reach * hop]
    loop[:, : reach * hop] = joined[:, reach * hop :]
    return loop
