r"""Apply bandwidth extension to decoded sound: as a whole, to one period of a loop, or as a stream.

::

    params, choice --plan_extension--> Extension --extend_waveform, extend_period, extender--> samples up to 20 kHz

The method itself is :mod:`riffusion_ext.bandwidth`. Here is decided when it is used, and what is said where it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from riffusion_ext.bandwidth import (
    MAX_BLOCKS,
    MAX_CUTOFF,
    MIN_CUTOFF,
    BandwidthExtender,
    WeightsError,
    added_from,
    can_extend,
    output_rate,
)
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.device import resolve_device, with_fallback

__all__ = ["Extension", "extend_period", "extend_waveform", "plan_extension"]

_PIECE_S = 20  # seconds of sound in a piece, which bound the memory for a long song
_CONTEXT_S = 5.0  # of the other end of a loop on each side of it; the prediction does not reach further
_MAX_EXPONENT = 100  # of the scale, well inside the range of float32
_SEAM_S = 0.02  # crossfade at the end of a loop

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Extension:
    """What is done about the frequencies above an image.

    Attributes
    ----------
    cutoff
        Frequency in Hz from which sound is added; None: nothing is added.
    sample_rate
        Of the reconstructed sound, in Hz.
    note
        Why nothing is added though it was requested, or though it usually is; "" for no reason.
    """

    cutoff: float | None
    sample_rate: int
    note: str = ""

    @property
    def factor(self) -> int:
        """Samples of the result for each reconstructed sample."""
        return 1 if self.cutoff is None else output_rate(self.sample_rate) // self.sample_rate

    @property
    def output_rate(self) -> int:
        """Sample rate of the result, in Hz."""
        return self.sample_rate * self.factor

    @property
    def notes(self) -> tuple[str, ...]:
        """The note, if any."""
        return (self.note,) if self.note else ()

    @property
    def recipe(self) -> dict[str, object]:
        """What the tags of a sound file say of it; {} if nothing is added."""
        if self.cutoff is None:
            return {}
        return {"high_frequencies": f"added from {added_from(self.sample_rate, self.cutoff):g} Hz"}

    def extender(self, channels: int, device: str = "cpu", *, blocks: int = MAX_BLOCKS) -> BandwidthExtender | None:
        """Return the stage for a stream; None if nothing is added. Fewer `blocks` shorten its delay."""
        if self.cutoff is None:
            return None
        return BandwidthExtender(channels, self.sample_rate, self.cutoff, device, blocks=blocks)


def plan_extension(params: SpectrogramParams, choice: str) -> Extension:
    """Decide whether sound is added above the highest frequency of an image.

    Parameters
    ----------
    params
        Parameters of the image.
    choice
        One of :data:`~riffusion_ext.spectrogram.settings.HIGH_FREQUENCIES`. ``"auto"`` and ``"on"`` add sound where
        that is possible; with ``"on"`` the note says why it is not.
    """
    cutoff, rate = float(params.max_frequency), params.sample_rate
    if choice == "off":
        return Extension(None, rate)
    if not can_extend(cutoff):
        return Extension(None, rate, _reason(cutoff) if choice == "on" else "")
    planned = Extension(cutoff, rate)
    try:
        planned.extender(1)
    except WeightsError as error:
        return Extension(None, rate, f"no high frequencies are added: {str(error).rstrip('.')}")
    return planned


def _reason(cutoff: float) -> str:
    if cutoff >= MAX_CUTOFF:
        return f"no high frequencies are added: the image reaches {cutoff / 1000:g} kHz already"
    return (
        f"no high frequencies are added: the image ends at {cutoff / 1000:g} kHz, "
        f"and at least {MIN_CUTOFF / 1000:g} kHz are needed to predict them"
    )


def extend_waveform(
    samples: Samples, extension: Extension, device: str = "auto", *, tick: Callable[[float], None] = lambda part: None
) -> Samples:
    """Add the high frequencies to a waveform.

    Parameters
    ----------
    samples : np.ndarray [shape=(C, S), float32]
        Full scale 1.0, at ``extension.sample_rate``.
    extension
        Result of :func:`plan_extension`.
    device
        A torch device, or ``"auto"``; if it fails, for example out of memory, the CPU continues from the beginning.
    tick
        Called with the share done, 0 to 1.

    Returns
    -------
    np.ndarray [shape=(C, S * factor), float32]
        The same array if nothing is added. Memory beyond both arrays is that of a piece.
    """
    channels, total = samples.shape
    if extension.cutoff is None or not total:
        return samples
    step = _PIECE_S * extension.sample_rate
    scale = _scale_to_full(samples)

    def compute(target: torch.device) -> Samples:
        extender = extension.extender(channels, str(target))
        assert extender is not None
        result = np.empty((channels, total * extension.factor), np.float32)
        done = 0
        for start in range(0, total, step):
            stop = min(start + step, total)
            part = extender.advance(samples[:, start:stop] * scale, last=stop == total)
            result[:, done : done + part.shape[1]] = part
            done += part.shape[1]
            tick(stop / total)
        result /= scale
        return result

    return with_fallback(resolve_device(device), compute)


def _scale_to_full(samples: Samples) -> np.float32:
    """Return the power of two that brings the peak to between half and full scale, so that its level does not matter.

    Images record levels far below and above full scale.
    """
    peak = max(float(samples.max()), -float(samples.min()))
    return np.float32(2.0 ** -max(-_MAX_EXPONENT, min(math.frexp(peak)[1], _MAX_EXPONENT)))


def extend_period(period: Samples, extension: Extension, device: str = "auto") -> Samples:
    """Add the high frequencies to one period of a loop, whose end continues at its beginning.

    ::

        .... end | beginning ........ end | beginning ....      with the other end as context on both sides
             <---|                  <---|                       the last samples fade into those before the beginning

    Parameters
    ----------
    period : np.ndarray [shape=(C, S), float32]
        One period, at ``extension.sample_rate``.
    extension, device
        As for :func:`extend_waveform`.

    Returns
    -------
    np.ndarray [shape=(C, S * factor), float32]
        One period.
    """
    total = period.shape[1]
    if extension.cutoff is None or not total:
        return period
    context = round(_CONTEXT_S * extension.sample_rate)
    around = extend_waveform(period[:, np.arange(-context, total + context) % total], extension, device)
    begin, end = context * extension.factor, (context + total) * extension.factor
    loop = around[:, begin:end].copy()
    # The predicted noise depends on the position, so it is another one when the loop comes round.
    fade = min(round(_SEAM_S * extension.output_rate), loop.shape[1])
    share = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    loop[:, -fade:] += share * (around[:, begin - fade : begin] - loop[:, -fade:])
    return loop
