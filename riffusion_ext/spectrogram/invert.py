"""From mel magnitudes to a waveform: the `fast` and `best` engines.

1. Magnitudes on the working grid by multiplicative updates (Richardson-Lucy), never negative.
2. A first phase by :mod:`riffusion_ext.spectrogram.phase`.
3. Griffin-Lim with momentum (Perraudin, Balazs and Sondergaard, "A fast Griffin-Lim algorithm", WASPAA 2013), but
   each iteration asks for the picture's *mel bands* instead of a fixed magnitude spectrum: the current magnitudes,
   scaled by the ratio of wanted to present mel bands. Masuyama, Ono and Yasuda (arXiv 2307.12232) show why the joint
   problem beats the two solved one after the other.

A first run on coarse bins moves fast, a second one on bins half as far apart refines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from riffusion_ext.spectrogram.mel import MelProjection, mel_projection
from riffusion_ext.spectrogram.params import SpectrogramParams
from riffusion_ext.spectrogram.phase import phase_from_magnitude
from riffusion_ext.spectrogram.stft import FrameGrid, frame_grid

__all__ = ["PROGRAMS", "Known", "Program", "Stage", "reconstruct"]

_MOMENTUM = 0.99
_LARGEST_GAIN = 10.0  # of one iteration, so that a silent start cannot explode


@dataclass(frozen=True)
class Stage:
    """Iterations on one grid."""

    oversampling: int  # FFT length over window length
    iterations: int
    relaxation: float  # exponent on the ratio of wanted to present mel bands; above 1 converges faster


@dataclass(frozen=True)
class Program:
    """What an engine does: a first guess on one grid, then its stages."""

    updates: int  # multiplicative updates for the first magnitudes
    start: int  # FFT length over window length for the first phase
    stages: tuple[Stage, ...]


PROGRAMS = {
    "fast": Program(updates=4, start=2, stages=(Stage(1, 8, 1.5), Stage(2, 6, 1.5))),
    "best": Program(updates=8, start=2, stages=(Stage(2, 32, 1.5), Stage(2, 64, 1.0))),
}


@dataclass(frozen=True)
class Known:
    """A stretch at the beginning that is already decided: the end of the block before.

    Attributes
    ----------
    signal : torch.Tensor [shape=(B, S)]
        Its samples at the working rate, from the first sample of the block on.
    share : torch.Tensor [shape=(S,), 0 to 1]
        How much of each sample is kept: 1, fading to 0 at the end.
    frames
        Frames at the beginning that lie wholly in the part kept.
    """

    signal: torch.Tensor
    share: torch.Tensor
    frames: int


def reconstruct(
    mel: torch.Tensor,
    params: SpectrogramParams,
    program: Program,
    *,
    known: Known | None = None,
    tick: Callable[[], None] | None = None,
) -> torch.Tensor:
    """Find waveforms whose spectrogram pictures are the given ones.

    Parameters
    ----------
    mel : torch.Tensor [shape=(B, T, n_mels), non-negative, float32]
        Mel magnitudes, frames first, at least as many frames as a window has hops.
    params
        Parameters of the pictures.
    program
        Iterations to run.
    known
        Samples at the beginning that are already decided.
    tick
        Called after each iteration.

    Returns
    -------
    torch.Tensor [shape=(B, (T - 1) * hop)]
        Waveforms at the working rate (:func:`~riffusion_ext.spectrogram.stft.working_rate`), in the units of `mel`.
    """
    frames = mel.shape[1]
    first = frame_grid(params, program.start, mel.device)
    mel = mel.mul(first.sample_rate / params.sample_rate)  # a window at a lower rate sums fewer samples
    padded = _start(mel, first, mel_projection(params, first.spacing, mel.device), program.updates, known)
    _keep(padded, first, frames, known)
    for stage in program.stages:
        grid = frame_grid(params, stage.oversampling, mel.device)
        projection = mel_projection(params, grid.spacing, mel.device)
        padded = _iterate(padded, mel, grid, projection, stage, known, tick)
    return first.signal(padded, frames)


def _start(
    target: torch.Tensor, grid: FrameGrid, projection: MelProjection, updates: int, known: Known | None
) -> torch.Tensor:
    """First guess: magnitudes by multiplicative updates, phases by integration."""
    frames = target.shape[1]
    magnitude = torch.stack([_magnitude(item, projection, updates) for item in target])
    past = None
    if known is not None and known.frames:
        spectra = grid.analyse(grid.frames(_past(known, grid, frames))[:, : known.frames])
        past = spectra[..., : projection.bins]
    phase = phase_from_magnitude(magnitude, grid, past)
    spectra = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())  # torch.polar is ten times slower
    padded = grid.empty(target.shape[0], frames)
    normaliser = grid.normaliser(frames)
    step = _block_frames(grid, target.device)
    for start in range(0, frames, step):
        block = spectra[:, start : start + step]
        full = torch.nn.functional.pad(block, (0, grid.bins - block.shape[-1]))
        grid.overlap_add(full, padded, start)
    padded *= normaliser
    grid.reflect(padded, frames)
    return padded


def _past(known: Known, grid: FrameGrid, frames: int) -> torch.Tensor:
    """Lay the known samples out alone, padded."""
    batch, samples = known.signal.shape
    padded = grid.empty(batch, frames)
    padded.view(batch, -1)[:, grid.half : grid.half + samples] = known.signal
    grid.reflect(padded, frames)
    return padded


def _keep(padded: torch.Tensor, grid: FrameGrid, frames: int, known: Known | None) -> None:
    """Put the known samples back, in place."""
    if known is not None:
        batch, samples = known.signal.shape
        span = padded.view(batch, -1)[:, grid.half : grid.half + samples]
        span += known.share * (known.signal - span)
        grid.reflect(padded, frames)


def _magnitude(mel: torch.Tensor, projection: MelProjection, updates: int) -> torch.Tensor:
    """Non-negative magnitudes [T, K] with the given mel bands [T, n_mels] (Richardson 1972, Lucy 1974)."""
    gain = mel.new_empty(mel.shape[0], projection.bins).zero_()
    magnitude = projection.spread(mel / projection.column_sum, gain).clone()
    floor = 1e-9 * float(mel.max()) + 1e-30
    for _ in range(updates):
        ratio = mel / projection.forward(magnitude).clamp_min_(floor)
        magnitude *= projection.spread(ratio, gain)
    return magnitude


def _iterate(
    padded: torch.Tensor,
    target: torch.Tensor,
    grid: FrameGrid,
    projection: MelProjection,
    stage: Stage,
    known: Known | None,
    tick: Callable[[], None] | None,
) -> torch.Tensor:
    """Run the stage's iterations on padded signals [B, T + overlap - 1, hop]."""
    batch, frames, _ = target.shape
    normaliser = grid.normaliser(frames)
    momentum = _MOMENTUM / (1.0 + _MOMENTUM)
    floor = 1e-9 * float(target.max()) + 1e-30
    step = _block_frames(grid, target.device)
    previous: dict[int, torch.Tensor] = {}
    gain = target.new_zeros(batch * min(step, frames), grid.bins)
    for _ in range(stage.iterations):
        signal_frames = grid.frames(padded)
        result = torch.zeros_like(padded)
        for start in range(0, frames, step):
            spectra = grid.analyse(signal_frames[:, start : start + step])
            count = spectra.shape[1]
            magnitude = _abs(spectra[..., : projection.bins])
            wanted = target[:, start : start + step].reshape(batch * count, -1)
            present = projection.forward(magnitude.view(batch * count, -1))
            ratio = (wanted / present.clamp_min_(floor)).clamp_max_(_LARGEST_GAIN)
            if stage.relaxation != 1.0:
                ratio.pow_(stage.relaxation)
            scale = gain[: batch * count]
            projection.spread(ratio, scale)
            scale[:, : projection.bins] *= magnitude.view(batch * count, -1)
            scale = scale.view(batch, count, -1)
            momentous = spectra if start not in previous else torch.sub(spectra, previous[start], alpha=momentum)
            previous[start] = spectra
            grid.overlap_add(momentous * scale.div_(_abs(momentous).add_(1e-12)), result, start)
        padded = result.mul_(normaliser)
        grid.reflect(padded, frames)
        _keep(padded, grid, frames, known)
        if tick is not None:
            tick()
    return padded


def _abs(spectra: torch.Tensor) -> torch.Tensor:
    """Magnitude of complex numbers, four times faster than torch's overflow-proof one."""
    real, imaginary = spectra.real, spectra.imag
    return torch.mul(real, real).addcmul_(imaginary, imaginary).sqrt_()


def _block_frames(grid: FrameGrid, device: torch.device) -> int:
    """Frames handled at once: all of them on a GPU, as many as stay in the cache on a CPU."""
    return 1 << 30 if device.type != "cpu" else max(32, 256 * 2100 // grid.n_fft)
