r"""Reconstruct a long spectrogram in overlapping blocks.

Pieces reconstructed separately have unrelated phases: concatenated they click, crossfaded they cancel. So each block
starts inside the previous one and keeps its samples there; the new phases continue from them.

::

    block 0   |---------------------------------------|....|
    block 1                            |=========\--------------------------------|....|
    block 2                                                            |=========\------ ...

              = kept from the previous block  \ fades to the block's own    . recomputed: lacked its right context
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.inversion.griffin_lim import Known, Program, reconstruct
from riffusion_ext.spectrogram.stft import FrameGrid, frame_grid, working_rate
from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup

__all__ = ["Blocks", "block_frames", "reconstruct_long"]

BLOCK = 576
"""Frames in a block: 5.76 s in a v1 image. An image that fits is reconstructed as a whole."""
_OVERLAP = 80  # frames a block shares with the previous one
_KEPT = 56  # of these, frames whose samples are kept; the rest is recomputed
_FADE = 24  # of the kept ones, frames that fade out; with 4, seams had 1.2 times the error of the rest
_HOPS = 10  # hops in a window for which these numbers hold; they are scaled up for windows with more hops,
_MAX_CELLS = 12_000_000  # up to this number of cells


def reconstruct_long(
    mel_between: Callable[[int, int], torch.Tensor],
    frames: int,
    params: SpectrogramParams,
    program: Program,
    *,
    tick: Callable[[float], None] | None = None,
    threads: ThreadGroup = SERIAL,
) -> np.ndarray:
    """Reconstruct a waveform of any length; memory beyond the result is that of one block.

    Parameters
    ----------
    mel_between
        Returns the mel magnitudes [B, stop - start, n_mels] of frames `start` to `stop`, on the device to compute on.
    frames
        Number of frames T.
    params, program
        As for :func:`~riffusion_ext.spectrogram.inversion.griffin_lim.reconstruct`.
    tick
        Called with the fraction done, 0 to 1.
    threads
        Threads that share the frames of a block.

    Returns
    -------
    np.ndarray [shape=(B, (T - 1) * hop), float32]
        Waveforms at the working rate.
    """
    blocks = Blocks(params, program, threads=threads)
    block, lap = blocks.length, blocks.lap
    total = sum(stage.iterations for stage in program.stages) * len(range(0, max(frames - lap, 1), block - lap))
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if tick is not None:
            tick(min(done / total, 1.0))

    result: np.ndarray | None = None
    written = 0
    while True:
        stop = min(blocks.start + block, frames)
        part = blocks.grow(mel_between(blocks.start, stop), last=stop == frames, tick=advance)
        if result is None:
            result = np.empty((part.shape[0], (frames - 1) * blocks.hop_length), dtype=np.float32)
        result[:, written : written + part.shape[1]] = part
        written += part.shape[1]
        if stop == frames:
            return result


class Blocks:
    """Reconstruct block by block, for spectrograms whose end is not yet known.

    Parameters
    ----------
    params, program
        As for :func:`~riffusion_ext.spectrogram.inversion.griffin_lim.reconstruct`.
    threads
        Threads that share the frames of a block.

    Attributes
    ----------
    length
        Most frames in a block.
    lap
        Frames that a block shares with the previous one.
    redone
        Frames at the end of a block that are recomputed with the next one, because they lacked their right context.
    start
        First frame of the next block.
    hop_length
        Samples from frame to frame, at the working rate.
    """

    def __init__(self, params: SpectrogramParams, program: Program, *, threads: ThreadGroup = SERIAL) -> None:
        self._params, self._program, self.threads = params, program, threads
        scale = self._scale = _scale(params)
        self.length, self.lap, self.redone = BLOCK * scale, _OVERLAP * scale, (_OVERLAP - _KEPT + _FADE) * scale
        self.start = 0
        self.hop_length = frame_grid(params, 1, torch.device("cpu")).hop_length
        self._known: Known | None = None

    def grow(
        self, mel: torch.Tensor, *, last: bool = False, tick: Callable[[], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Reconstruct the next block.

        Parameters
        ----------
        mel : torch.Tensor [shape=(B, T, n_mels)]
            Magnitudes of more than :attr:`lap` frames, beginning at :attr:`start`, on the device to compute on.
        last
            Whether this is the last block.
        tick
            Called after each iteration.

        Returns
        -------
        np.ndarray [shape=(B, S), float32]
            The samples that are now final, following those of the previous block, at the working rate.
        """
        frames = mel.shape[1]
        grid = frame_grid(self._params, 1, mel.device)
        known = None if self._known is None else self._known.to(mel.device)
        mel = _pad_frames(mel, grid.overlap + 2)
        signal = reconstruct(mel, self._params, self._program, known=known, tick=tick, threads=self.threads)
        signal = signal[:, : (frames - 1) * grid.hop_length]
        first = 0 if known is None else self.lap - self.redone
        if last:
            return signal[:, first * grid.hop_length :].cpu().numpy()
        self._known = _known_end(signal, grid, self._scale)
        self.start += frames - self.lap
        return signal[:, first * grid.hop_length : (frames - self.redone) * grid.hop_length].cpu().numpy()


def block_frames(params: SpectrogramParams) -> int:
    """Return the most frames in a block."""
    return BLOCK * _scale(params)


def _scale(params: SpectrogramParams) -> int:
    """Return the factor by which blocks are enlarged to hold the usual number of windows."""
    up, down = working_rate(params)
    cells = BLOCK * params.win_length * up // down  # on the finest grid, whose FFT is two windows long
    return max(1, min(math.ceil(params.win_length / params.hop_length / _HOPS), _MAX_CELLS // cells))


def _pad_frames(mel: torch.Tensor, frames: int) -> torch.Tensor:
    """Pad to `frames` frames by repeating the last one, so that a window fits."""
    missing = frames - mel.shape[1]
    return mel if missing <= 0 else torch.cat([mel, mel[:, -1:].expand(-1, missing, -1)], dim=1)


def _known_end(signal: torch.Tensor, grid: FrameGrid, scale: int) -> Known:
    """Return the samples that the next block keeps; `signal` ends one hop before the block's last frame."""
    hop, kept, fade = grid.hop_length, _KEPT * scale, _FADE * scale
    begin = signal.shape[1] - (_OVERLAP * scale - 1) * hop
    share = signal.new_ones(kept * hop)
    share[-fade * hop :] = torch.linspace(1.0, 0.0, fade * hop, device=signal.device)
    return Known(signal[:, begin : begin + kept * hop].clone(), share, max(kept - fade - grid.overlap // 2, 0))
