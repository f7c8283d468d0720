"""Reconstruct a waveform from mel magnitudes: the `fast` and `best` engines.

1. Magnitudes on the working grid by multiplicative updates (Richardson-Lucy), never negative.
2. An initial phase by :mod:`riffusion_ext.spectrogram.inversion.phase`.
3. Griffin-Lim with momentum (Perraudin, Balazs and Sondergaard, "A fast Griffin-Lim algorithm", WASPAA 2013), but
   each iteration imposes the image's *mel bands* instead of a fixed magnitude spectrum: the current magnitudes are
   scaled by the ratio of target to current mel bands. Masuyama, Ono and Yasuda (arXiv 2307.12232) show why the joint
   problem beats the two solved in sequence.

A first stage on coarse bins converges fast, a second one with half the bin spacing refines the result.

Two things make an iteration cheap. The transform is linear, so the momentum is added to the signal, not to its spectra.
And an iteration imposes only every second or third frame, in turn, as in iterative tomography (Hudson and Larkin,
"Accelerated image reconstruction using ordered subsets of projection data", IEEE TMI 13(4), 1994): ten windows cover a
sample, so those of an iteration still overlap, and three such iterations gain almost as much as three complete ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch

from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.inversion.gain import common_gain
from riffusion_ext.spectrogram.inversion.phase import phase_from_magnitude
from riffusion_ext.spectrogram.mel import MelProjection, band_gains, mel_projection
from riffusion_ext.spectrogram.stft import FrameGrid, SynthesisBuffer, frame_grid
from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup

__all__ = ["PROGRAMS", "Known", "Program", "Stage", "reconstruct"]

_MOMENTUM = 0.95
_MIN_GAIN = 0.01  # per iteration: silent frames beside a short sound leave some of it for the iteration that imposes it
_MAX_GAIN = 10.0  # per iteration, so that a silent start cannot diverge
_FLOOR = 1e-2  # 180 dB below the common level: fainter bands count as silent


@dataclass(frozen=True)
class Stage:
    """Iterations on one grid."""

    oversampling: int  # FFT length over window length
    iterations: int
    relaxation: float  # exponent of the ratio of target to current mel bands; above 1 converges faster
    step: int = 1  # each iteration imposes every step-th frame, at most a third of the window apart


@dataclass(frozen=True)
class Program:
    """Steps of an engine: an initial estimate on one grid, then its stages."""

    updates: int  # multiplicative updates for the initial magnitudes
    start: int  # FFT length over window length for the initial phase
    stages: tuple[Stage, ...]


PROGRAMS = {
    "fast": Program(updates=3, start=2, stages=(Stage(1, 15, 1.2, 3), Stage(2, 5, 1.0, 2))),
    "best": Program(updates=8, start=2, stages=(Stage(2, 48, 1.2, 3), Stage(2, 64, 1.0, 2))),
}


@dataclass(frozen=True)
class Known:
    """Known samples at the beginning of a block: the end of the previous one.

    Attributes
    ----------
    signal : torch.Tensor [shape=(B, S)]
        Samples at the working rate, starting at the first sample of the block.
    share : torch.Tensor [shape=(S,), 0 to 1]
        Weight of each known sample: 1, fading to 0 at the end.
    frames
        Number of frames at the beginning that lie entirely within the kept samples.
    """

    signal: torch.Tensor
    share: torch.Tensor
    frames: int

    def to(self, device: torch.device) -> Known:
        """Return a copy on another device."""
        return Known(self.signal.to(device), self.share.to(device), self.frames)

    def scaled(self, gain: torch.Tensor) -> Known:
        """Return a copy scaled by `gain` [B, 1]."""
        return Known(self.signal * gain, self.share, self.frames)


def reconstruct(
    mel: torch.Tensor,
    params: SpectrogramParams,
    program: Program,
    *,
    known: Known | None = None,
    tick: Callable[[], None] | None = None,
    threads: ThreadGroup = SERIAL,
) -> torch.Tensor:
    """Reconstruct waveforms with the given mel magnitudes.

    Parameters
    ----------
    mel : torch.Tensor [shape=(B, T, n_mels), non-negative, float32]
        Mel magnitudes, frames first; at least as many frames as a window has hops.
    params
        Parameters of the images.
    program
        Iterations to run.
    known
        Known samples at the beginning.
    tick
        Called after each iteration.
    threads
        Threads that share the frames.

    Returns
    -------
    torch.Tensor [shape=(B, (T - 1) * hop)]
        Waveforms at the working rate (:func:`~riffusion_ext.spectrogram.stft.working_rate`), in the units of `mel`.
    """
    frames = mel.shape[1]
    first = frame_grid(params, program.start, mel.device)
    mel = mel.mul(first.sample_rate / params.sample_rate)  # at a lower rate a window sums fewer samples
    gains = band_gains(params, mel.device)
    if gains is not None:
        mel.div_(gains)
    gain = common_gain(mel)
    mel.mul_(gain[:, None, None])
    if known is not None:
        known = known.scaled(gain[:, None])
    projection = mel_projection(params, first.spacing, mel.device)
    if params.spectrum == "power":
        magnitude = _magnitudes(mel.square(), projection, program.updates, threads).sqrt_()
    else:
        magnitude = _magnitudes(mel, projection, program.updates, threads)
    past = _past(known, first, frames, projection.bins)
    phase = phase_from_magnitude(magnitude, first, past, threads=threads)
    padded = _synthesise(magnitude, phase, first, threads)
    _restore_known(padded, first, frames, known)
    for stage in program.stages:
        grid = frame_grid(params, stage.oversampling, mel.device)
        projection = mel_projection(params, grid.spacing, mel.device)
        iteration = _Iteration(mel, grid, projection, stage, power=params.spectrum == "power")
        for number in range(stage.iterations):
            padded = iteration.run(padded, number, threads)
            _restore_known(padded, grid, frames, known)
            if tick is not None:
                tick()
    return first.signal(padded, frames) / gain[:, None]  # a power of two, see common_gain


def _magnitudes(mel: torch.Tensor, projection: MelProjection, updates: int, threads: ThreadGroup) -> torch.Tensor:
    """Estimate non-negative bins [B, T, K] from mel bands [B, T, n_mels], both magnitudes or both power.

    Multiplicative updates by Richardson (1972) and Lucy (1974).
    """
    batch, frames, _ = mel.shape
    result = mel.new_empty(batch, frames, projection.bins)

    def work(start: int, stop: int) -> None:
        gain = mel.new_zeros(stop - start, projection.bins)
        bands = mel.new_empty(stop - start, projection.n_mels)
        for magnitude, target in zip(result[:, start:stop], mel[:, start:stop], strict=True):
            magnitude.zero_()
            projection.spread(target / projection.column_sum, magnitude)
            measure, spread = projection.forward_into(magnitude, bands), projection.spread_into(bands, gain)
            for _ in range(updates):
                measure()
                torch.div(target, bands.clamp_min_(_FLOOR), out=bands)
                spread()
                magnitude *= gain

    threads.run(work, threads.shares(frames))
    return result


def _synthesise(magnitude: torch.Tensor, phase: torch.Tensor, grid: FrameGrid, threads: ThreadGroup) -> torch.Tensor:
    """Compute padded signals [B, T + overlap - 1, hop] of spectra given by magnitude and phase [B, T, K]."""

    def spectra(start: int, stop: int) -> torch.Tensor:
        size, angle = magnitude[:, start:stop], phase[:, start:stop]
        block = torch.complex(size * angle.cos(), size * angle.sin())  # torch.polar is ten times slower
        return torch.nn.functional.pad(block, (0, grid.bins - block.shape[-1]))

    return _overlap_add(spectra, magnitude.shape[0], _Chosen(magnitude.shape[1]), grid, threads, {})


@dataclass(frozen=True)
class _Chosen:
    """Every `step`-th of a number of frames, from `offset` on."""

    frames: int
    step: int = 1
    offset: int = 0

    def __len__(self) -> int:
        return len(range(self.offset, self.frames, self.step))

    def of(self, frames: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Return the chosen of all frames [B, T, ...], from the `start`-th to the `stop`-th chosen one."""
        return frames[:, self.offset :: self.step][:, start:stop]


def _overlap_add(
    spectra: Callable[[int, int], torch.Tensor],
    batch: int,
    chosen: _Chosen,
    grid: FrameGrid,
    threads: ThreadGroup,
    buffers: dict[tuple[int, int], SynthesisBuffer],
) -> torch.Tensor:
    """Overlap-add frames to padded signals [B, T + overlap - 1, hop]; ``spectra(start, stop)`` returns them in blocks.

    `start` and `stop` count the chosen frames. `buffers` caches work memory by thread and number of frames; pass an
    empty dict first.
    """
    block, step = _block_frames(grid), chosen.step
    sums: dict[int, torch.Tensor] = {}

    def work(start: int, stop: int) -> None:
        for first in range(start, stop, block):
            count = min(block, stop - first)
            key = (threading.get_ident(), count)
            if key not in buffers:
                buffers[key] = grid.new_buffer(batch, count, step)
            sums[first] = grid.synthesise(spectra(first, first + count), buffers[key], step).view(batch, -1)

    threads.run(work, threads.shares(len(chosen)))
    padded = grid.empty(batch, chosen.frames)
    flat = padded.view(batch, -1)
    for first, part in sorted(sums.items()):
        here = flat[:, (chosen.offset + first * step) * grid.hop_length :][:, : part.shape[1]]
        here += part[:, : here.shape[1]]
    padded *= grid.normaliser(chosen.frames, step, chosen.offset)
    grid.reflect(padded, chosen.frames)
    return padded


def _past(known: Known | None, grid: FrameGrid, frames: int, bins: int) -> torch.Tensor | None:
    """Compute the spectra [B, F, K] of the known frames."""
    if known is None or not known.frames:
        return None
    padded = grid.pad(known.signal, frames)
    return grid.analyse(grid.frames(padded)[:, : known.frames])[..., :bins]


def _restore_known(padded: torch.Tensor, grid: FrameGrid, frames: int, known: Known | None) -> None:
    """Restore the known samples, in place."""
    if known is not None:
        batch, samples = known.signal.shape
        span = padded.view(batch, -1)[:, grid.half : grid.half + samples]
        span += known.share * (known.signal - span)
        grid.reflect(padded, frames)


class _Scratch:
    """Work memory of one thread for a block, reused across iterations.

    Newly allocated memory costs a page fault every 4 kB: a fifth of the total time.
    """

    def __init__(self, batch: int, count: int, grid: FrameGrid, projection: MelProjection) -> None:
        rows, empty = batch * count, grid.window.new_empty
        self.frames = grid.window.new_zeros(batch, count, grid.n_fft)  # the padding after the window stays 0
        self.spectra = empty(batch, count, grid.bins, dtype=torch.complex64)
        self.squares = empty(rows, grid.bins, 2)
        self.magnitude = empty(rows, grid.bins)
        self.scale = grid.window.new_zeros(rows, grid.bins)  # bins outside all bands stay 0
        self.mel = empty(rows, projection.n_mels)
        self.measure = projection.forward_into(self.magnitude[:, : projection.bins], self.mel)
        self.spread = projection.spread_into(self.mel, self.scale)


class _Iteration:
    """Griffin-Lim iterations on one grid; stores the signal of the previous iteration for the momentum."""

    def __init__(
        self, mel: torch.Tensor, grid: FrameGrid, projection: MelProjection, stage: Stage, *, power: bool
    ) -> None:
        self._mel, self._grid, self._projection, self._relaxation = mel, grid, projection, stage.relaxation
        self._power = power  # whether bands are square roots of sums of power
        self._step = max(1, min(stage.step, grid.overlap // 3))
        self._past: torch.Tensor | None = None
        self._scratch: dict[tuple[int, int], _Scratch] = {}
        self._buffers: dict[tuple[int, int], SynthesisBuffer] = {}

    def run(self, padded: torch.Tensor, number: int, threads: ThreadGroup) -> torch.Tensor:
        """Run an iteration on padded signals [B, T + overlap - 1, hop]; `number` decides which frames it imposes."""
        batch, frames, _ = self._mel.shape
        chosen = _Chosen(frames, self._step, number % self._step)
        moved = padded if self._past is None else torch.lerp(self._past, padded, 1.0 + _MOMENTUM)
        self._past = padded
        signal_frames = self._grid.frames(moved)

        def spectra(start: int, stop: int) -> torch.Tensor:
            return self._corrected(chosen.of(signal_frames, start, stop), chosen.of(self._mel, start, stop))

        return _overlap_add(spectra, batch, chosen, self._grid, threads, self._buffers)

    def _corrected(self, frames: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the spectra [B, t, bins] of frames [B, t, overlap * hop], scaled to mel bands [B, t, n_mels]."""
        batch, count, _ = frames.shape
        key = (threading.get_ident(), count)
        scratch = self._scratch.get(key)
        if scratch is None:
            scratch = self._scratch[key] = _Scratch(batch, count, self._grid, self._projection)
        spectra = self._grid.analyse(frames, buffer=scratch.frames, out=scratch.spectra)
        numbers = torch.view_as_real(spectra).view(scratch.squares.shape)
        torch.mul(numbers, numbers, out=scratch.squares)  # torch's overflow-safe magnitudes take three times as long
        torch.add(scratch.squares[..., 0], scratch.squares[..., 1], out=scratch.magnitude)
        if not self._power:
            scratch.magnitude.sqrt_()
        scratch.measure()
        bands = scratch.mel.view(target.shape)
        if self._power:
            bands.sqrt_()
        bands.clamp_min_(_FLOOR)
        torch.div(target, bands, out=bands).clamp_(_MIN_GAIN, _MAX_GAIN)
        if self._relaxation != 1.0:
            bands.pow_(self._relaxation)
        if self._power:
            bands.square_()
        scratch.spread()
        if self._power:
            scratch.scale.sqrt_()
        factor = torch.view_as_complex(scratch.squares).copy_(scratch.scale)  # torch would allocate it for each product
        return spectra.mul_(factor.view(spectra.shape))


def _block_frames(grid: FrameGrid) -> int:
    """Return the frames processed at once: all on a GPU, as many as fit into the cache on a CPU."""
    return 1 << 30 if grid.window.device.type != "cpu" else max(32, 128 * 4200 // grid.n_fft)
