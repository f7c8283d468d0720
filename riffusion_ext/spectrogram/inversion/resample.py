"""Resample from the working rate of the reconstruction to the sample rate of the audio."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.stft import working_rate

__all__ = ["reach", "to_sample_rate"]

_STOPBAND_DB = 80.0
_BLOCK = 100  # samples of input in a block, about: as many as the filter reaches, so half of the matrix is zero
_BLOCKS = 512  # blocks computed at once, which fit into the cache


def to_sample_rate(signal: np.ndarray, params: SpectrogramParams) -> np.ndarray:
    """Resample [C, n * working hop] to [C, n * hop_length] at ``params.sample_rate``, flat up to ``max_frequency``.

    A polyphase filter as a matrix product, ten times faster than :func:`scipy.signal.resample_poly`: each block of the
    output is the product of a piece of the input and the same matrix.
    """
    up, down = working_rate(params)
    if up == down or not signal.shape[1]:
        return signal
    matrix, before, step = _matrix(up, down, params.sample_rate, params.max_frequency)
    width, columns = matrix.shape
    blocks = -(-signal.shape[1] // step)
    # Reflected ends as long as the filter prevent it from fading the first and last 3 ms.
    margin = width - before - step + blocks * step - signal.shape[1]
    result = np.empty((signal.shape[0], signal.shape[1] * down // up), dtype=np.float32)
    for row, channel in zip(result, signal, strict=True):
        padded = torch.from_numpy(np.pad(channel, (before, margin), mode="reflect"))
        pieces = padded.unfold(0, width, step)
        for first in range(0, blocks, _BLOCKS):
            part = row[first * columns : (first + _BLOCKS) * columns]
            part[:] = torch.mm(pieces[first : first + _BLOCKS], matrix).view(-1)[: len(part)].numpy()
    return result


def reach(params: SpectrogramParams) -> int:
    """Return the reach of :func:`to_sample_rate` on each side, in samples at the working rate."""
    up, down = working_rate(params)
    if up == down:
        return 0
    return math.ceil(len(_filter(up, down, params.sample_rate, params.max_frequency)) / 2 / down) + 1


@lru_cache(maxsize=8)
def _filter(up: int, down: int, sample_rate: int, pass_hz: float) -> np.ndarray:
    """Design a low pass at the common multiple of both rates: flat to `pass_hz`, stopband from its alias on."""
    from scipy.signal import firwin, kaiserord

    rate = sample_rate * up
    stop_hz = sample_rate * up / down - pass_hz
    taps, beta = kaiserord(_STOPBAND_DB, (stop_hz - pass_hz) / (rate / 2))
    kernel = firwin(taps | 1, (pass_hz + stop_hz) / 2, window=("kaiser", beta), fs=rate)
    return kernel.astype(np.float32)


@lru_cache(maxsize=8)
def _matrix(up: int, down: int, sample_rate: int, pass_hz: float) -> tuple[torch.Tensor, int, int]:
    """Return the filter as a matrix from samples to samples of a block, the samples before the block, and its step.

    The matrix [before + step + after, step * down / up] is applied every `step` samples of the input.
    """
    kernel = _filter(up, down, sample_rate, pass_hz)
    step, half = up * max(1, _BLOCK // up), len(kernel) // 2
    before = math.ceil(half / down)
    source = np.arange(-before, step + before)[:, None]
    target = np.arange(step * down // up)[None]
    tap = up * target - down * source + half
    inside = (tap >= 0) & (tap < len(kernel))
    matrix = np.where(inside, down * kernel[np.where(inside, tap, 0)], 0.0).astype(np.float32)
    return torch.from_numpy(matrix), before, step
