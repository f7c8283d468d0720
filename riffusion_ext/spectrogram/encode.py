"""From a waveform to mel magnitudes: exactly the original's numbers, in blocks that stay in the cache."""

from __future__ import annotations

import torch

from riffusion_ext.spectrogram.crew import lead
from riffusion_ext.spectrogram.mel import mel_projection
from riffusion_ext.spectrogram.params import SpectrogramParams

__all__ = ["mel_spectrogram"]

_BLOCK = 128


@torch.no_grad()
def mel_spectrogram(waveform: torch.Tensor, params: SpectrogramParams) -> torch.Tensor:
    """Mel magnitudes of a waveform.

    Equal to ``torchaudio.transforms.Spectrogram(n_fft, win_length, hop_length, power=None)``, its magnitude, and
    ``MelScale(norm=None, mel_scale="htk")``. Only the 100 ms under the window are read and transformed, and the mel
    bands summed strip by strip.

    Parameters
    ----------
    waveform : torch.Tensor [shape=(C, S), float32]
        At ``params.sample_rate``; in 16-bit sample units if `max_value` shall have the usual meaning.
    params
        Parameters of the picture.

    Returns
    -------
    torch.Tensor [shape=(C, 1 + S // hop_length, n_mels), float32]
    """
    channels, samples = waveform.shape
    frames = params.columns_of_samples(samples)
    win, n_fft = params.win_length, params.n_fft
    before = n_fft // 2 - (n_fft - win) // 2
    after = win - before
    shortest = max(before, after) + 1
    if samples < shortest:  # too short to be mirrored at its ends
        waveform = torch.nn.functional.pad(waveform, (0, shortest - samples))
    padded = torch.nn.functional.pad(waveform[None], (before, after), mode="reflect")[0]
    window = torch.hann_window(win, device=waveform.device)
    projection = mel_projection(params, params.sample_rate / n_fft, waveform.device)
    mel = waveform.new_empty(channels, frames, params.num_frequencies)

    def work(start: int, stop: int) -> None:
        for channel in range(channels):
            windows = padded[channel].unfold(0, win, params.hop_length)
            for first in range(start, stop, _BLOCK):
                last = min(first + _BLOCK, stop)
                spectra = torch.fft.rfft(windows[first:last] * window, n=n_fft)[:, : projection.bins]
                magnitude = torch.mul(spectra.real, spectra.real).addcmul_(spectra.imag, spectra.imag).sqrt_()
                mel[channel, first:last] = projection.forward(magnitude)

    lead(waveform.device, lambda threads: threads.run(work, threads.shares(frames)))
    return mel
