"""Streaming reconstruction of a spectrogram that is still being generated: returns samples once they are final.

::

    frames    ------------------------------------------|........|      generated so far
    samples   ===================================|                      independent of later frames
                                                 |<-->| resampling      |<- redone ->|
    extended  ======================|
                                     |<-- latency ->| of the high frequencies, if they are added

Concatenated, the pieces are one continuous signal. Its blocks are joined as for a song whose end is known
(:func:`~riffusion_ext.spectrogram.codec.source_to_audio`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from riffusion_ext.audio.workload import check
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.device import resolve_device, with_fallback
from riffusion_ext.spectrogram.emphasis import Deemphasis
from riffusion_ext.spectrogram.framing import Framing
from riffusion_ext.spectrogram.high_frequencies import plan_extension
from riffusion_ext.spectrogram.inversion.blocks import Blocks, block_frames
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS
from riffusion_ext.spectrogram.inversion.resample import reach, to_sample_rate
from riffusion_ext.spectrogram.threads import ThreadGroup, run_on
from riffusion_ext.spectrogram.workload import decode_workload

__all__ = ["SoundStream"]

_FULL_SCALE = 32768.0
_EXTENDED_BLOCKS = 4  # of 93 ms, in which high frequencies are predicted
_ENDLESS = 1 << 40  # frames of a spectrogram whose end is not known

Samples = npt.NDArray[np.float32]
MelBetween = Callable[[int, int], npt.NDArray[np.float32]]


class SoundStream:
    """Convert mel magnitudes to samples, from left to right.

    Parameters
    ----------
    params
        Parameters of the spectrogram.
    engine
        ``"fast"`` or ``"best"``; the random phases of ``"reference"`` cannot be continued.
    device
        A torch device, or ``"auto"``. High frequencies are predicted on the CPU, which is many times faster than real
        time: a failing GPU could not be replaced in the middle of the stream.
    high_frequencies
        As in :class:`~riffusion_ext.spectrogram.settings.DecodeSettings`.

    Raises
    ------
    RiffusionError
        The engine does not support streaming, or a block exceeds the memory allowance.

    Attributes
    ----------
    margin
        Frames to the right of a sample that must be known before it is final.
    latency
        Further frames by which the prediction of high frequencies delays the samples.
    extension
        What is added above the highest frequency; the samples have its output rate.
    first_needed
        First frame that will be read again.
    """

    def __init__(
        self, params: SpectrogramParams, engine: str = "fast", device: str = "auto", high_frequencies: str = "off"
    ) -> None:
        if engine not in PROGRAMS:
            raise RiffusionError(f"the engine must be one of {', '.join(PROGRAMS)} for a stream, got {engine!r}")
        self.extension = plan_extension(params, high_frequencies)
        check(decode_workload(params, block_frames(params), engine=engine, factor=self.extension.factor))
        self._params, self._device = params, resolve_device(device)
        self._blocks = Blocks(params, PROGRAMS[engine])
        hop = self._blocks.hop_length
        self._reach = -(-reach(params) // hop)  # in hops
        self._raw = np.zeros((params.channels, 0), np.float32)  # at the working rate, starting at `_raw_start`
        self._raw_start = 0  # hop
        self._emitted = 0  # hops
        self._framing = Framing(params)
        self._deemphasis = Deemphasis(params.pre_emphasis)
        self._skip = self._framing.skip  # samples that still have to be cut off at the start
        self._returned = 0  # samples
        self.margin = self._blocks.redone + self._reach
        self._extender = self.extension.extender(params.channels, blocks=_EXTENDED_BLOCKS)
        self.latency = 0 if self._extender is None else -(-self._extender.delay // params.hop_length)

    @property
    def first_needed(self) -> int:
        """First frame that will be read again."""
        return max(self._blocks.start - self._framing.columns, 0)

    @torch.no_grad()
    def advance(self, mel_between: MelBetween, frames: int, *, last: bool = False) -> Samples:
        """Return the samples that have become final, given the number of frames generated.

        Parameters
        ----------
        mel_between
            Returns the magnitudes [C, stop - start, n_mels] of frames `start` to `stop`, in 16-bit sample units.
        frames
            Number of frames generated; the last :attr:`margin` of them may change until the next call.
        last
            Whether these are all frames.

        Returns
        -------
        np.ndarray [shape=(C, S), float32]
            Full scale 1.0, at the output rate of :attr:`extension`. All pieces together have
            ``params.samples_of_columns(frames) * factor`` samples after `last`, and before that at most
            ``((frames - margin - latency) * hop_length + params.lead) * factor``, up to the rounding of the latency
            to frames.
        """
        blocks, added = self._blocks, self._framing.columns
        mel_between = self._framing.extend(mel_between, frames if last else _ENDLESS)
        total = self._params.samples_of_columns(frames)
        frames += 2 * added if last else added
        parts = [self._raw]
        while True:
            stop = min(blocks.start + blocks.length, frames)
            if stop - blocks.start <= blocks.lap and not last:
                break
            parts.append(self._grow(mel_between(blocks.start, stop), last=last and stop == frames))
            if stop == frames:
                break
        self._raw = np.concatenate(parts, axis=1)
        samples = self._resample_final(last)
        cut = min(self._skip, samples.shape[1])
        self._skip -= cut
        samples = samples[:, cut : cut + total - self._returned] if last else samples[:, cut:]
        self._returned += samples.shape[1]
        samples = self._deemphasis.filter(samples)
        return samples if self._extender is None else self._extender.advance(samples, last=last)

    def _grow(self, mel: npt.NDArray[np.float32], *, last: bool) -> Samples:
        blocks = self._blocks

        def compute(device: torch.device) -> Samples:
            def work(threads: ThreadGroup) -> Samples:
                blocks.threads = threads
                return blocks.grow(torch.from_numpy(mel).to(device), last=last)

            return run_on(device, work)

        return with_fallback(self._device, compute)

    def _resample_final(self, last: bool) -> Samples:
        """Resample the part of the raw signal that has all its context; keep the context of what follows."""
        hop, out = self._blocks.hop_length, self._params.hop_length
        known = self._raw_start + self._raw.shape[1] // hop
        stop = known if last else max(known - self._reach, self._emitted)
        begin = self._emitted - self._raw_start
        samples = to_sample_rate(self._raw, self._params)[:, begin * out : (stop - self._raw_start) * out]
        samples = samples * np.float32(1.0 / _FULL_SCALE)
        self._emitted = stop
        keep = max(stop - self._reach, self._raw_start)
        self._raw = self._raw[:, (keep - self._raw_start) * hop :].copy()
        self._raw_start = keep
        return samples
