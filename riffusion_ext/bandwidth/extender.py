r"""Extend the bandwidth of a waveform, as a whole or as a stream.

::

    input      ======================================|        known so far
    chunks     |-------|-------|-------|-------|              analysed; the network remembers what was before
    envelope   -----------------------------|<-LOOK_AHEAD->|
    output     ===========================|                   input + high frequencies, final

Chunks lie at fixed places of the sound, so a stream gives the samples of a single pass, however it is cut.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from riffusion_ext.bandwidth.features import (
    FLOOR,
    FRAMES_IN_BLOCK,
    FRAMES_IN_STEP,
    LEVEL_BLOCKS,
    band_energy,
    block_means,
    features,
    frame_spectra,
)
from riffusion_ext.bandwidth.grid import HIGH_BANDS, LOW_BANDS, TOP_FREQUENCY, Grid
from riffusion_ext.bandwidth.network import LOOK_AHEAD
from riffusion_ext.bandwidth.synthesis import envelope_limit, high_spectra, overlap_add
from riffusion_ext.bandwidth.upsampling import PASSBAND, Upsampler
from riffusion_ext.bandwidth.weights import WeightsError, load_network
from riffusion_ext.errors import RiffusionError

__all__ = [
    "MAX_BLOCKS",
    "MAX_CUTOFF",
    "MIN_CUTOFF",
    "TOP_FREQUENCY",
    "BandwidthExtender",
    "WeightsError",
    "added_from",
    "can_extend",
    "extend",
    "output_rate",
]

MIN_CUTOFF, MAX_CUTOFF = 5000.0, 16000.0
"""Range of the frequencies, in Hz, at which a waveform may end; above `MAX_CUTOFF` nothing is missed."""

MAX_BLOCKS = 32
"""Most blocks in a chunk: 3 s."""

_MIN_RATE = 40000  # lower sample rates are multiplied by a whole number
_LAG = LOOK_AHEAD * FRAMES_IN_STEP  # frames
_TINY = 1e-30
_NOTHING = -12.0  # log10 of an energy below any floor
_GAIN = 10**0.2  # the network predicts the median energy; what is heard follows the mean, about 2 dB above
_SAME = 0.9999  # coherence from which channels are the same sound

Samples = npt.NDArray[np.float32]


def can_extend(cutoff: float) -> bool:
    """Return whether a waveform that ends at `cutoff` Hz can be extended: `MIN_CUTOFF` <= cutoff < `MAX_CUTOFF`."""
    return MIN_CUTOFF <= cutoff < MAX_CUTOFF


def output_rate(sample_rate: int) -> int:
    """Return the sample rate of the extended waveform: the smallest multiple that is at least 40 kHz."""
    return sample_rate * -(-_MIN_RATE // sample_rate)


def added_from(sample_rate: int, cutoff: float) -> float:
    """Return the frequency in Hz from which sound is added: the cutoff, or that of the filter that raises the rate."""
    return cutoff if output_rate(sample_rate) == sample_rate else min(cutoff, PASSBAND * sample_rate / 2)


class BandwidthExtender:
    """Extend the bandwidth of a stream of samples.

    Concatenated, the pieces are the same samples as those of one call.

    Parameters
    ----------
    channels
        1 or 2.
    sample_rate
        Of the input, in Hz.
    cutoff
        Frequency at which the spectrum of the input ends, in Hz.
    device
        A torch device.
    blocks
        Blocks of 93 ms in a chunk, 1 to 32. Fewer shorten the delay and take more time; the samples are the same within
        rounding.

    Raises
    ------
    WeightsError
        The weights are missing or damaged.
    RiffusionError
        The waveform cannot be extended (:func:`can_extend`).

    Attributes
    ----------
    sample_rate
        Of the output, in Hz: ``factor`` times that of the input.
    factor
        Output samples for each input sample.
    delay
        Input samples to the right of a sample that must be known before its output is final.
    """

    def __init__(
        self, channels: int, sample_rate: int, cutoff: float, device: str = "cpu", *, blocks: int = MAX_BLOCKS
    ) -> None:
        if not can_extend(cutoff):
            raise RiffusionError(f"a sound that ends at {cutoff:g} Hz cannot be extended")
        self.sample_rate = output_rate(sample_rate)
        self.factor = self.sample_rate // sample_rate
        self._upsampler = Upsampler(channels, self.factor)
        self._grid = grid = Grid(self.sample_rate, added_from(sample_rate, cutoff))
        self._device = torch.device(device)
        self._network = load_network(self._device)
        self._blocks, self._frames = blocks, blocks * FRAMES_IN_BLOCK
        self._chunk = self._frames * grid.hop
        overlap = grid.window - grid.hop
        self._lag = _LAG * grid.hop + overlap  # samples by which the high frequencies are later than the input
        self.delay = self._upsampler.delay + -(-(self._chunk + self._lag) // self.factor)

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(channels, *shape, dtype=dtype, device=self._device)

        self._waiting = np.zeros((channels, 0), np.float32)  # input that does not fill a chunk yet
        self._pending = np.zeros((channels, 0), np.float32)  # input that has not been returned
        self._before = zeros(overlap)  # input before the next chunk
        self._recent = zeros(LEVEL_BLOCKS - 1, LOW_BANDS)
        self._state = self._network.initial_state(channels, self._device)
        # Of the last frames, whose envelope is not predicted yet:
        self._source = zeros(_LAG, grid.shift, dtype=torch.complex64)
        self._low = zeros(_LAG, LOW_BANDS)
        self._coherence = torch.ones(_LAG, device=self._device)
        self._tail = zeros(overlap)  # what the last frames contribute to the next samples
        self._chunks = 0

    @torch.no_grad()
    def advance(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return the samples that have become final.

        Parameters
        ----------
        samples : np.ndarray [shape=(C, S), float32]
            The next samples, full scale 1.0; S may be 0.
        last
            Whether the stream ends with them.

        Returns
        -------
        np.ndarray [shape=(C, S'), float32]
            After `last`, all pieces together have ``factor`` times the samples of the input.
        """
        samples = self._upsampler.advance(samples, last=last)
        waiting = np.concatenate([self._waiting, samples], axis=1)
        pending = np.concatenate([self._pending, samples], axis=1)
        returned = max(self._chunks * self._chunk - self._lag, 0)
        final = 0
        used = 0
        while used + self._chunk <= waiting.shape[1] or (last and final < pending.shape[1]):
            chunk = waiting[:, used : used + self._chunk]
            chunk = np.pad(chunk, ((0, 0), (0, self._chunk - chunk.shape[1])))
            first = self._chunks * self._chunk - self._lag - returned  # of the samples that it makes, in `pending`
            high = self._high_frequencies(torch.from_numpy(chunk).to(self._device)).cpu().numpy()
            final = first + self._chunk
            part = pending[:, max(first, 0) : max(final, 0)]
            part += high[:, max(-first, 0) :][:, : part.shape[1]]
            used += self._chunk
        final = min(max(final, 0), pending.shape[1])
        self._waiting, self._pending = waiting[:, used:].copy(), pending[:, final:].copy()
        return pending[:, :final]

    def _high_frequencies(self, samples: torch.Tensor) -> torch.Tensor:
        """Analyse the next chunk [C, chunk]; return as many samples of high frequencies, of the time before."""
        grid, start = self._grid, self._chunks * self._frames
        samples = samples.nan_to_num(0.0, 0.0, 0.0)  # the network would remember them for ever
        samples = torch.cat([self._before, samples], dim=1)
        spectra = frame_spectra(samples, grid)
        low = band_energy(spectra, grid.low_edges)
        recent = torch.cat([self._recent, block_means(low)], dim=1)
        inputs, level = features(low, recent, self._chunks * self._blocks, grid)
        prediction = self._network(inputs, self._state)

        source = torch.cat([self._source, spectra[:, :, grid.first_bin - grid.shift : grid.first_bin]], dim=1)
        low = torch.cat([self._low, low], dim=1)
        coherence = torch.cat([self._coherence, _coherence(spectra[:, :, : grid.first_bin])])
        self._before = samples[:, -self._before.shape[1] :]
        self._recent = recent[:, 1 - LEVEL_BLOCKS :]
        self._source, self._low = source[:, self._frames :], low[:, self._frames :]
        self._coherence = coherence[self._frames :]
        self._chunks += 1
        source, low, coherence = source[:, : self._frames], low[:, : self._frames], coherence[: self._frames]
        envelope, noise = _decide(prediction, level, low, coherence)
        high = high_spectra(source, envelope, noise, coherence, start - _LAG, grid)
        made, self._tail = overlap_add(high, self._tail, grid)
        return made


def extend(samples: Samples, sample_rate: int, cutoff: float, device: str = "cpu") -> Samples:
    """Extend the bandwidth of a waveform [C, S] to ``output_rate(sample_rate)``; return [C, factor * S].

    Raises
    ------
    WeightsError
        The weights are missing or damaged.
    RiffusionError
        The waveform cannot be extended (:func:`can_extend`).
    """
    return BandwidthExtender(samples.shape[0], sample_rate, cutoff, device).advance(samples, last=True)


def _coherence(spectra: torch.Tensor) -> torch.Tensor:
    """Return the squared coherence [T] of two channels of spectra [C, T, K], block by block; 1 for one channel.

    It is negative where the channels have opposite signs.
    """
    channels, frames, bins = spectra.shape
    if channels == 1:
        return spectra.real.new_ones(frames)
    blocks = spectra.reshape(channels, -1, FRAMES_IN_BLOCK * bins)
    energy = blocks.abs().square().sum(2)
    cross = (blocks[0] * blocks[1].conj()).sum(1)
    share = cross.abs().square() / (energy[0] * energy[1]).clamp_min(_TINY)
    share = torch.where(share > _SAME, 1.0, share).copysign(cross.real)
    return share.repeat_interleave(FRAMES_IN_BLOCK)


def _decide(
    prediction: torch.Tensor, level: torch.Tensor, low: torch.Tensor, coherence: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert the output of the network to the envelope and the shares of noise.

    Where the channels are coherent, they share one decision, relative to the level of each.

    Parameters
    ----------
    prediction : torch.Tensor [shape=(C, S, OUTPUTS)]
        Output of the network.
    level : torch.Tensor [shape=(C, S)]
        Recent level.
    low : torch.Tensor [shape=(C, T, LOW_BANDS)]
        Energy of the low bands.
    coherence : torch.Tensor [shape=(T,)]
        Squared coherence of the channels; its sign does not matter.

    Returns
    -------
    tuple of torch.Tensor [shape=(C, T, HIGH_BANDS)]
        Mean energy per bin, and shares of noise.
    """
    channels, frames, _ = low.shape
    prediction = prediction.nan_to_num(_NOTHING, -_NOTHING, _NOTHING).clamp(_NOTHING, -_NOTHING)
    prediction = prediction.lerp(prediction.mean(0, keepdim=True), coherence[::FRAMES_IN_STEP, None].abs())
    bands = FRAMES_IN_STEP * HIGH_BANDS
    ratio = torch.pow(10.0, prediction[..., :bands]).sub(FLOOR).clamp_min(0.0)
    envelope = (ratio * (_GAIN * level[..., None])).reshape(channels, frames, HIGH_BANDS)
    noise = prediction[..., bands:].clamp(0.0, 1.0).repeat_interleave(FRAMES_IN_STEP, dim=1)
    noise = noise.repeat_interleave(HIGH_BANDS // noise.shape[2], dim=2)
    return torch.minimum(envelope, envelope_limit(low)), noise
