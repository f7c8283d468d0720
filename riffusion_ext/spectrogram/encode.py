"""Compute mel magnitudes from a waveform: identical to the original, in blocks that fit into the cache."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.emphasis import emphasise, emphasised_pieces
from riffusion_ext.spectrogram.mel import band_gains, mel_projection
from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup, run_on

__all__ = ["mel_pieces", "mel_spectrogram"]

_BLOCK = 128
_BLOCK_BINS = _BLOCK << 15  # bins in a block: a longer FFT gets fewer frames, so memory is constant

_LN_OFFSET = 1e-9 * 32768.0**2
"""Added to power where images show its logarithm, as in HiFi-GAN and Auffusion; in 16-bit sample units."""

_MAX_CELLS = 1 << 23
"""Approximate number of cells in one result of :func:`mel_pieces`: 32 MB."""


@torch.no_grad()
def mel_spectrogram(waveform: torch.Tensor, params: SpectrogramParams) -> torch.Tensor:
    """Compute the mel magnitudes of a waveform; if bands are sums of power, the square roots of these.

    For images of riffusion, equal to ``torchaudio.transforms.Spectrogram(n_fft, win_length, hop_length, power=None)``,
    its magnitude, and ``MelScale(norm=None, mel_scale="htk")``; for those of audio-diffusion, the square root of
    ``librosa.feature.melspectrogram``. Only the samples under the window are read and transformed, and the mel bands
    are summed in strips.

    Parameters
    ----------
    waveform : torch.Tensor [shape=(C, S), float32]
        At ``params.sample_rate``; in 16-bit sample units for the usual meaning of `max_value`.
    params
        Parameters of the image.

    Returns
    -------
    torch.Tensor [shape=(C, T, n_mels), float32]
        T is ``params.columns_of_samples(S)``.

    Raises
    ------
    RiffusionError
        The samples are so large that the magnitudes overflow.
    """
    if params.pre_emphasis:
        waveform = emphasise(waveform, params.pre_emphasis)
    return _mel_of(waveform, params)


def _mel_of(waveform: torch.Tensor, params: SpectrogramParams) -> torch.Tensor:
    channels, samples = waveform.shape
    frames = params.columns_of_samples(samples)
    before, after = _padding(params)
    shortest = max(max(before, after) + 1, 2 * params.lead)
    if samples < shortest:  # too short for reflection padding
        waveform = torch.nn.functional.pad(waveform, (0, shortest - samples))
    mode = "reflect" if params.pad_mode == "reflect" else "constant"
    padded = torch.nn.functional.pad(waveform[None], (before, after), mode=mode)[0]
    mel = waveform.new_empty(channels, frames, params.num_frequencies)

    def work(threads: ThreadGroup) -> None:
        threads.run(lambda start, stop: _fill(mel, padded, params, start, stop), threads.shares(frames))

    run_on(waveform.device, work)
    return _check_finite(mel)


@torch.no_grad()
def mel_pieces(
    pieces: Iterable[np.ndarray], params: SpectrogramParams, *, threads: ThreadGroup = SERIAL
) -> Iterator[np.ndarray]:
    """Compute the mel magnitudes of a waveform given piece by piece, in memory for one piece.

    Parameters
    ----------
    pieces : iterable of np.ndarray [shape=(C, n), float32]
        Consecutive; at ``params.sample_rate``, in 16-bit sample units.
    params
        Parameters of the images.
    threads
        Threads that share the columns of a piece. With the default, results are bit-identical on any number of cores.

    Yields
    ------
    np.ndarray [shape=(C, t, n_mels), float32]
        Consecutive columns; concatenated, they equal :func:`mel_spectrogram` of the whole.

    Raises
    ------
    RiffusionError
        As :func:`mel_spectrogram`.
    """
    if params.pre_emphasis:
        pieces = emphasised_pieces(pieces, params.pre_emphasis)
    max_columns = max(1, _MAX_CELLS // (params.channels * params.num_frequencies))
    before, after = _padding(params)
    reflects = params.pad_mode == "reflect"
    buffer: np.ndarray | None = None  # padded samples, starting with the first that the next column needs
    samples = columns = 0
    pending: list[np.ndarray] = []
    for piece in pieces:
        samples += piece.shape[1]
        pending.append(piece)
        if buffer is None and samples <= max(before, after, 2 * params.lead):
            continue
        joined = np.concatenate(pending, axis=1)
        if buffer is None:
            left = joined[:, before:0:-1]
            buffer = np.concatenate([left if reflects else np.zeros_like(left), joined], axis=1)
        else:
            buffer = np.concatenate([buffer, joined], axis=1)
        pending = []
        count = max(buffer.shape[1] - after - params.win_length, 0) // params.hop_length
        while count:
            part = min(count, max_columns)
            yield _columns(buffer, params, part, threads)
            columns, count = columns + part, count - part
            buffer = buffer[:, part * params.hop_length :]
    if buffer is None:  # shorter than half a window
        whole = np.concatenate(pending, axis=1) if pending else np.zeros((params.channels, 0), np.float32)
        yield _mel_of(torch.from_numpy(whole), params).numpy()
        return
    right = buffer[:, -2 : -after - 2 : -1]
    buffer = np.concatenate([buffer, right if reflects else np.zeros_like(right)], axis=1)
    yield _columns(buffer, params, params.columns_of_samples(samples) - columns, threads)


def _padding(params: SpectrogramParams) -> tuple[int, int]:
    """Return the samples of padding on the left and right: half a window each if the STFT is centred."""
    if not params.centre:
        outside = params.n_fft - params.win_length  # of the window, in an FFT
        return params.padding - outside // 2, params.padding - (outside + 1) // 2
    before = params.n_fft // 2 - (params.n_fft - params.win_length) // 2
    return before, params.win_length - before


def _columns(padded: np.ndarray, params: SpectrogramParams, count: int, threads: ThreadGroup) -> np.ndarray:
    mel = torch.empty(padded.shape[0], count, params.num_frequencies)
    samples = torch.from_numpy(padded)
    threads.run(lambda start, stop: _fill(mel, samples, params, start, stop), threads.shares(count))
    return _check_finite(mel).numpy()


def _check_finite(mel: torch.Tensor) -> torch.Tensor:
    """Check that all magnitudes are finite, which holds for sound at any reasonable level."""
    largest = float(mel.max())  # NaN if there is any
    if not math.isfinite(largest):
        raise RiffusionError("the sound is too loud to be drawn: its magnitudes are no numbers")
    return mel


def _fill(mel: torch.Tensor, padded: torch.Tensor, params: SpectrogramParams, start: int, stop: int) -> None:
    """Compute columns `start` to `stop` of `mel` [C, T, n_mels] from padded samples [C, S]."""
    n_fft = params.n_fft
    window = torch.hann_window(params.win_length, device=padded.device)
    projection = mel_projection(params, params.sample_rate / n_fft, padded.device)
    gains = band_gains(params, padded.device)
    block = max(1, min(_BLOCK, _BLOCK_BINS // n_fft))
    for channel in range(padded.shape[0]):
        windows = padded[channel].unfold(0, params.win_length, params.hop_length)
        for first in range(start, stop, block):
            last = min(first + block, stop)
            spectra = torch.fft.rfft(windows[first:last] * window, n=n_fft)[:, : projection.bins]
            magnitude = torch.mul(spectra.real, spectra.real).addcmul_(spectra.imag, spectra.imag)
            if params.pixel_law == "ln":
                magnitude += _LN_OFFSET
            if params.spectrum == "magnitude":
                mel[channel, first:last] = projection.forward(magnitude.sqrt_())
            else:
                mel[channel, first:last] = projection.forward(magnitude).sqrt_()
            if gains is not None:
                mel[channel, first:last] *= gains
