"""Short-time Fourier transform on a working grid for reconstruction.

The encoder's FFT of 400 ms only interpolates the spectrum of a 100 ms window, and a v1 image holds nothing above
10 kHz. Reconstruction therefore runs at the lowest sample rate that holds ``max_frequency`` plus a transition band
for the final resampling filter, and with an FFT once (``oversampling=1``) or twice as long as the window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch

from riffusion_ext.params import SpectrogramParams

__all__ = ["FrameGrid", "SynthesisBuffer", "working_rate"]

_RATE_MARGIN = 1.05  # working rate over twice the highest frequency: leaves a transition band to resample with


def working_rate(params: SpectrogramParams) -> tuple[int, int]:
    """Return the ratio ``(up, down)`` of the working sample rate to the image's.

    Hop and window must stay whole numbers of samples, and the window a product of small primes, so that the FFT is
    fast. If no lower rate meets this, the ratio is ``(1, 1)``.
    """
    divisor = math.gcd(params.hop_length, params.win_length)
    lowest = math.ceil(2 * params.max_frequency * _RATE_MARGIN / params.sample_rate * divisor)
    for candidate in range(lowest, divisor):
        if _largest_prime(params.win_length // divisor * candidate) <= 7:
            common = math.gcd(candidate, divisor)
            return candidate // common, divisor // common
    return 1, 1


def _largest_prime(number: int) -> int:
    largest, factor = 1, 2
    while number > 1:
        if number % factor == 0:
            number, largest = number // factor, max(largest, factor)
        else:
            factor += 1
    return largest


class SynthesisBuffer(NamedTuple):
    """Work memory of :meth:`FrameGrid.synthesise`.

    Attributes
    ----------
    frames : torch.Tensor [shape=(B, t, n_fft)]
        Inverse transforms.
    windowed : torch.Tensor [shape=(B, t + 2 * (laps - 1), laps * step * hop)]
        The same windowed, with zeros before and after them.
    """

    frames: torch.Tensor
    windowed: torch.Tensor


@dataclass(frozen=True, eq=False)
class FrameGrid:
    """Frames of a signal with reflected edges, as in ``torch.stft(center=True)``.

    ::

        padded signal  |<- half ->|<------ (T - 1) * hop ------>|<- half ->|
        frame 0        [    window    ]
        frame 1             [    window    ]          each frame starts one hop after the last
        frame T - 1                                [    window    ]

    Attributes
    ----------
    hop_length, win_length, n_fft
        In samples at ``sample_rate``.
    window : torch.Tensor [shape=(overlap * hop_length,)]
        Periodic Hann window, zero-padded to a whole number of hops.
    reflects
        Whether the edges are reflected; else they are followed by silence.
    """

    sample_rate: float
    hop_length: int
    win_length: int
    n_fft: int
    window: torch.Tensor
    reflects: bool = True

    @property
    def overlap(self) -> int:
        """Hops in a window: the number of frames that cover a sample."""
        return self.window.shape[0] // self.hop_length

    @property
    def half(self) -> int:
        """Samples of padding before the first sample."""
        return self.win_length // 2

    @property
    def bins(self) -> int:
        """Frequency bins of a frame."""
        return self.n_fft // 2 + 1

    @property
    def spacing(self) -> float:
        """Distance between bins, in Hz."""
        return self.sample_rate / self.n_fft

    def empty(self, batch: int, frames: int) -> torch.Tensor:
        """Return zeros for padded signals: [B, frames + overlap - 1, hop_length]."""
        return self.window.new_zeros(batch, frames + self.overlap - 1, self.hop_length)

    def frames(self, padded: torch.Tensor) -> torch.Tensor:
        """View the padded signal [B, T + overlap - 1, hop] as frames [B, T, overlap * hop], without a copy."""
        batch, _, _ = padded.shape
        return padded.view(batch, -1).unfold(1, self.window.shape[0], self.hop_length)

    def analyse(
        self, frames: torch.Tensor, *, buffer: torch.Tensor | None = None, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Window and transform frames [..., overlap * hop] to complex spectra [..., bins].

        With `buffer` [..., n_fft], which must be zero after the window, and `out`, no memory is allocated.
        """
        if buffer is None:
            return torch.fft.rfft(frames * self.window, n=self.n_fft)
        length = min(self.window.shape[0], self.n_fft)
        torch.mul(frames[..., :length], self.window[:length], out=buffer[..., :length])
        return torch.fft.rfft(buffer, out=out)

    def new_buffer(self, batch: int, count: int, step: int = 1) -> SynthesisBuffer:
        """Allocate the work memory of :meth:`synthesise` for `count` frames."""
        laps = self.laps(step)
        windowed = self.window.new_zeros(batch, count + 2 * (laps - 1), laps * step * self.hop_length)
        return SynthesisBuffer(self.window.new_empty(batch, count, self.n_fft), windowed)

    def laps(self, step: int) -> int:
        """Return the number of frames that cover a sample, of every `step`-th frame, rounded up."""
        return -(-self.overlap // step)

    def synthesise(self, spectra: torch.Tensor, buffer: SynthesisBuffer | None = None, step: int = 1) -> torch.Tensor:
        """Inverse-transform, window and overlap-add spectra [B, t, bins] of frames `step` hops apart.

        Returns [B, t + laps - 1, step * hop]. Row `n` of the result is the sum of row `k` of frame ``n - k`` over all
        `k`. In memory these are equidistant::

            frame n         [ 0 | 1 | 2 | 3 ]
            frame n - 1     [ 0 | 1 | 2 | 3 ]       row 0 of frame n, row 1 of frame n - 1, row 2 of frame n - 2 ...
        """
        if buffer is None:
            buffer = self.new_buffer(spectra.shape[0], spectra.shape[1], step)
        windowed, lap, hop = buffer.windowed, self.laps(step) - 1, step * self.hop_length
        frames = windowed[:, lap : windowed.shape[1] - lap]
        torch.fft.irfft(spectra, n=self.n_fft, out=buffer.frames)
        length = min(self.window.shape[0], self.n_fft)
        torch.mul(buffer.frames[..., :length], self.window[:length], out=frames[..., :length])
        row = windowed.stride(1)
        shape = (windowed.shape[0], spectra.shape[1] + lap, lap + 1, hop)
        strides = (windowed.stride(0), row, row - hop, 1)
        return windowed.as_strided(shape, strides, windowed.storage_offset() + lap * hop).sum(dim=2)

    @lru_cache(maxsize=32)  # noqa: B019 - grids are few and kept anyway
    def normaliser(self, frames: int, step: int = 1, offset: int = 0) -> torch.Tensor:
        """Return the inverse of the summed squared windows [frames + overlap - 1, hop]; zero in the padding.

        Of every `step`-th frame from `offset` on.
        """
        squares = (self.window**2).view(self.overlap, self.hop_length)
        total = self.empty(1, frames)[0]
        for k in range(self.overlap):
            total[k + offset : k + frames : step] += squares[k]
        inverse = total.clamp_min(1e-8).reciprocal_()
        flat = inverse.view(-1)
        flat[: self.half] = 0
        flat[self.half + (frames - 1) * self.hop_length :] = 0
        return inverse

    def reflect(self, padded: torch.Tensor, frames: int) -> None:
        """Fill the padding of padded signals by reflection, or with silence, in place."""
        flat = padded.view(padded.shape[0], -1)
        half, stop = self.half, self.half + (frames - 1) * self.hop_length
        if not self.reflects:
            flat[:, :half] = 0
            flat[:, stop:] = 0
            return
        flat[:, :half] = flat[:, half + 1 : 2 * half + 1].flip(1)
        tail = min(flat.shape[1] - stop, half)
        flat[:, stop : stop + tail] = flat[:, stop - 1 - tail : stop - 1].flip(1)

    def signal(self, padded: torch.Tensor, frames: int) -> torch.Tensor:
        """Remove the padding: [B, (frames - 1) * hop_length]."""
        flat = padded.view(padded.shape[0], -1)
        return flat[:, self.half : self.half + (frames - 1) * self.hop_length]

    def pad(self, signal: torch.Tensor, frames: int) -> torch.Tensor:
        """Pad signals [B, S] by reflection: [B, frames + overlap - 1, hop].

        S is ``(frames - 1) * hop_length``; shorter signals are followed by silence.
        """
        padded = self.empty(signal.shape[0], frames)
        padded.view(signal.shape[0], -1)[:, self.half : self.half + signal.shape[1]] = signal
        self.reflect(padded, frames)
        return padded


@lru_cache(maxsize=16)
def frame_grid(params: SpectrogramParams, oversampling: int, device: torch.device) -> FrameGrid:
    """Return the cached working grid whose FFT is `oversampling` windows long."""
    up, down = working_rate(params)
    hop, win = params.hop_length * up // down, params.win_length * up // down
    window = torch.hann_window(win, dtype=torch.float32)
    window = torch.nn.functional.pad(window, (0, -win % hop)).to(device)
    reflects = params.pad_mode == "reflect"
    return FrameGrid(params.sample_rate * up / down, hop, win, win * oversampling, window, reflects)
