"""Streaming conversion of sample rate and number of channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.resampling import ratio, reach

__all__ = ["fit_pieces"]


def fit_pieces(pieces: Iterable[AudioClip], rate: int, channels: int) -> Iterator[npt.NDArray[np.float32]]:
    """Resample and remix the consecutive pieces of a sound.

    Parameters
    ----------
    pieces
        All of one rate.
    rate
        In Hz.
    channels
        1 or 2.

    Yields
    ------
    np.ndarray [shape=(channels, n), dtype=float32]
        Concatenated, they equal ``whole.to_channels(channels).resample(rate)``: each piece is resampled together with
        as much of its neighbours as the filter reaches.
    """
    buffer = np.zeros((channels, 0), np.float32)  # input still needed: context, then samples not yet converted
    context = 0  # samples of `buffer` already converted
    source_rate = rate
    for piece in pieces:
        source_rate = piece.sample_rate
        buffer = np.concatenate([buffer, piece.to_channels(channels).samples], axis=1)
        up, down = ratio(source_rate, rate)
        margin = reach(up, down)
        stop = (buffer.shape[1] - margin) // down * down
        if stop <= context:
            continue
        fitted = AudioClip(buffer[:, : stop + margin], source_rate).resample(rate).samples
        yield fitted[:, context // down * up : stop // down * up]
        kept = max(stop - margin, 0)
        buffer, context = buffer[:, kept:], stop - kept
    if buffer.shape[1] > context:
        up, down = ratio(source_rate, rate)
        yield AudioClip(buffer, source_rate).resample(rate).samples[:, context // down * up :]
