"""Loops of whole bars, seamless in time, exact to the sample.

::

    N bars at BPM --> samples S --> width W, a multiple of 64 --> hop = S / W, a whole number --> W * hop ~ S
    image --circular decoding--> W * hop samples --circular resampling, by less than 0.2 %--> S samples
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from riffusion_ext.audio import AudioClip, apply_level
from riffusion_ext.audio.workload import check
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.generate.bounds import BEATS_PER_BAR, GRAIN, LARGEST_SIDE, PATTERNS, STEPS
from riffusion_ext.generate.checkpoint.recipe import image_id
from riffusion_ext.generate.checkpoint.runner import ReadImage, RenderFolder
from riffusion_ext.generate.piece import WindowedPiece
from riffusion_ext.generate.score.keyframes import RANDOM_SEED, TEMPI, Keyframe, Moment, check_tempo, choose_seed
from riffusion_ext.generate.windows.init_images import beat_clip, tile_columns
from riffusion_ext.generate.windows.plan import Plan, Window
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.device import resolve_device, with_fallback
from riffusion_ext.spectrogram.emphasis import Deemphasis
from riffusion_ext.spectrogram.high_frequencies import extend_period, plan_extension
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS
from riffusion_ext.spectrogram.inversion.loop import reconstruct_loop
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.source import source_from_image
from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup, run_on
from riffusion_ext.spectrogram.workload import decode_workload
from riffusion_ext.validation.numbers import in_range, is_finite, shown

__all__ = ["INFOTEXT_KEY", "Loop", "LoopFit", "LoopSettings", "decode_loop", "fit_loop"]

INFOTEXT_KEY = "Riffusion loop"

_MIN_COLUMNS = 32
_FULL_SCALE = 32768.0


@dataclass(frozen=True)
class LoopFit:
    """Fit of a loop to the width of an image.

    Attributes
    ----------
    samples
        Length of the loop.
    width
        Columns of its image.
    params
        Spectrogram parameters with a fitted hop: `width` hops are the length of the loop, to less than 0.2 % or the
        rounding of a hop.
    """

    samples: int
    width: int
    params: SpectrogramParams

    @property
    def stretch(self) -> float:
        """Relative stretch of the sound of the image: samples of the loop over those of the image, minus 1."""
        return self.samples / (self.width * self.params.hop_length) - 1.0


def fit_loop(
    bars: float,
    bpm: float,
    *,
    beats_per_bar: int = 4,
    params: SpectrogramParams = PRESETS["riffusion-v1"],
) -> LoopFit:
    """Choose the width of the image of a loop: a multiple of 64, as a model wraps around seamlessly only at those.

    Parameters
    ----------
    bars, bpm, beats_per_bar
        The loop is ``round(bars * beats_per_bar * 60 / bpm * sample_rate)`` samples long.
    params
        Spectrogram parameters of the images.

    Raises
    ------
    RiffusionError
        The loop is too short or too long for one image.
    """
    check_tempo(bpm)
    low, high = BEATS_PER_BAR
    if not (is_finite(bars) and 0 < bars <= 10000 and is_finite(beats_per_bar) and low <= beats_per_bar <= high):
        raise RiffusionError(
            f"a loop has more than 0 bars (at most 10000) of 1 to 16 beats, got {shown(bars)} of {shown(beats_per_bar)}"
        )
    samples = round(bars * beats_per_bar * 60.0 / bpm * params.sample_rate)
    columns = samples / params.hop_length
    if not _MIN_COLUMNS <= columns <= LARGEST_SIDE + GRAIN / 2:
        shortest, longest = (n * params.hop_length / params.sample_rate for n in (_MIN_COLUMNS, LARGEST_SIDE))
        raise RiffusionError(
            f"a loop must be {shortest:.2f} to {longest:.2f} s long, {bars:g} bars at {bpm:g} BPM are "
            f"{samples / params.sample_rate:.2f} s"
        )
    width = max(GRAIN, round(columns / GRAIN) * GRAIN)
    hop = round(samples / width)
    # Half a sample more, so that the conversion to milliseconds cannot round the hop down.
    step_ms = 1000.0 * (hop + 0.5) / params.sample_rate
    return LoopFit(samples, width, params.replace(step_size_ms=step_ms))


@torch.no_grad()
def decode_loop(image: Image.Image, fit: LoopFit, settings: DecodeSettings) -> AudioClip:
    """Decode an image that wraps around into exactly ``fit.samples`` samples, times the factor of the extension.

    The level is that of the image.

    Parameters
    ----------
    image
        Image of the width of the fit.
    fit
        Result of :func:`fit_loop`.
    settings
        Engine, device and high frequencies; the reference engine is not circular, so "best" replaces it.

    Raises
    ------
    RiffusionError
        The image has another width.
    """
    if image.width != fit.width:
        raise RiffusionError(f"the image of this loop must be {fit.width} columns wide, got {image.width}")
    channels = "stereo" if fit.params.stereo else "mono"
    source = source_from_image(image, replace(settings, channels=channels, params=fit.params))
    program = PROGRAMS.get(settings.engine, PROGRAMS["best"])

    def compute(device: torch.device) -> np.ndarray:
        mel = torch.from_numpy(source.mel(0, fit.width)).to(device)

        def work(threads: ThreadGroup) -> np.ndarray:
            return reconstruct_loop(mel, source.params, program, threads=threads if device.type == "cpu" else SERIAL)

        return run_on(device, work)

    params = source.params
    waveform = with_fallback(resolve_device(settings.device), compute)
    # Column 0 is centred at the first sample, or `lead` samples behind it: one period, so it turns.
    waveform = np.roll(waveform, round(params.lead / params.hop_length * waveform.shape[1] / fit.width), axis=1)
    period = _resample_period(waveform * (source.unit / _FULL_SCALE), fit.samples)
    period = Deemphasis(params.pre_emphasis).filter_loop(period)
    extension = plan_extension(source.params, settings.high_frequencies)
    return AudioClip(extend_period(period, extension, settings.device), extension.output_rate)


def _resample_period(loop: npt.NDArray[np.floating], samples: int) -> npt.NDArray[np.float32]:
    """Resample one period [C, n] of a periodic signal to a number of samples: exact, without edge effects."""
    if loop.shape[1] == samples:
        return np.ascontiguousarray(loop, np.float32)
    from scipy.signal import resample

    return np.ascontiguousarray(resample(loop, samples, axis=1), np.float32)


@dataclass(frozen=True)
class LoopSettings:
    """Settings of a loop.

    Parameters
    ----------
    prompt, negative, seed, cfg, denoise
        As in a keyframe; `denoise` is ignored without an init image.
    bars, bpm, beats_per_bar
        See :func:`fit_loop`.
    beat
        Pattern of the beat in the init image.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    params
        Spectrogram parameters of the images.
    level
        See :func:`~riffusion_ext.audio.level.apply_level`.

    Raises
    ------
    RiffusionError
        The beat is unknown, or the number of steps out of range.
    """

    prompt: str
    negative: str = ""
    seed: int = RANDOM_SEED
    cfg: float = 7.0
    denoise: float = 0.75
    bars: float = 2.0
    bpm: float = 120.0
    beats_per_bar: int = 4
    beat: str = "none"
    steps: int = 30
    sampler: str = ""
    params: SpectrogramParams = PRESETS["riffusion-v1"]
    level: str = "peak"

    def __post_init__(self) -> None:
        if self.beat not in PATTERNS:
            raise RiffusionError(f"beat must be one of {', '.join(PATTERNS)}, got {shown(self.beat)}")
        in_range("the number of steps", self.steps, *STEPS)

    def resolve_seeds(self) -> LoopSettings:
        """Return the settings with a seed of -1 replaced by a random one."""
        return replace(self, seed=choose_seed(self.seed))


class Loop(WindowedPiece):
    """A loop and the folder where it is generated.

    Parameters
    ----------
    settings
        A seed of -1 is resolved: see :attr:`settings`.
    folder
        Folder for images; old ones are removed, see :mod:`riffusion_ext.generate.checkpoint.retention`.
    seed_picture
        Init image; its first columns, repeated if it is narrower than the loop.
    decode
        Engine, device and high frequencies of the sound.

    Raises
    ------
    RiffusionError
        The loop does not fit in an image, or needs more memory than is allowed.
    """

    kind = "loop"
    infotext_key = INFOTEXT_KEY
    reports_progress = False
    settings: LoopSettings

    def __init__(
        self,
        settings: LoopSettings,
        folder: Path,
        *,
        seed_picture: Image.Image | None = None,
        decode: DecodeSettings | None = None,
    ) -> None:
        settings = settings.resolve_seeds()
        super().__init__(settings, folder, decode)
        self.fit = fit_loop(
            settings.bars,
            settings.bpm,
            beats_per_bar=settings.beats_per_bar,
            params=settings.params,
        )
        check(decode_workload(self.fit.params, self.fit.width, factor=self.extension.factor))
        self._init_image = seed_picture
        if seed_picture is not None:
            self._images = {"seed_picture": image_id(seed_picture)}
        keyframe = Keyframe(
            settings.prompt, settings.negative, settings.seed, settings.denoise, settings.cfg, bars=settings.bars
        )
        moment = Moment(keyframe, keyframe, 0.0, settings.denoise, settings.cfg)
        width = self.fit.width
        window = Window(0, 0, width, 0, width, 0, 0, moment, 0, (settings.seed, settings.seed))
        self.plan = Plan("loop", self.fit.params, self.fit.samples, 0, 0, (window,))

    def _layers(self) -> Iterator[RenderFolder]:
        init = self._start_image()
        start = "" if init is None else hashlib.sha256(init.tobytes()).hexdigest()
        record = {
            "model": self._model,
            "steps": self.settings.steps,
            "sampler": self.settings.sampler,
            "picture": start,
            "bpm": self.settings.bpm,
        }

        def request(window: Window, _read_image: ReadImage) -> Request:
            settings = self.settings
            return Request(
                prompts=(settings.prompt, settings.prompt),
                negatives=(settings.negative, settings.negative),
                seeds=window.seeds,
                cfg=settings.cfg,
                denoise=None if init is None else settings.denoise,
                steps=settings.steps,
                sampler=settings.sampler,
                width=window.width,
                height=settings.params.num_frequencies,
                init=init,
                loop=True,
            )

        yield self._render_folder(self.plan, record, request)

    def _start_image(self) -> Image.Image | None:
        height = self.settings.params.num_frequencies
        if self._init_image is not None:
            return tile_columns(self._init_image, 0, self.fit.width, height)
        if self.settings.beat == "none":
            return None
        from riffusion_ext.spectrogram.codec import audio_to_image

        # At the tempo at which the hops of the image make up the loop, from a bar line on, so that the last hits ring
        # into the first; three periods, as the middle one has no edges.
        params, width = self.fit.params, self.fit.width
        length = width * params.hop_length
        bpm = min(max(self.settings.bpm * self.fit.samples / length, TEMPI[0]), TEMPI[1])
        loops = Fraction(self.settings.bars).limit_denominator(64).denominator  # this many are whole bars
        period = beat_clip(
            bpm,
            self.settings.beat,
            params.sample_rate,
            first=loops * length,
            count=length,
            beats_per_bar=self.settings.beats_per_bar,
        )
        around = AudioClip(np.tile(period.samples, 3), params.sample_rate)
        return audio_to_image(around, params).image.crop((width, 0, 2 * width, height))

    def image(self) -> Image.Image | None:
        """Return the image; None if it is not generated yet."""
        return self._works[0].image(0) if self.playable() else None

    def _decode(
        self, plan: Plan, first: int, decode: DecodeSettings, progress: Callable[[float], None] | None
    ) -> AudioClip:
        assert len(plan.windows) == 1
        assert progress is None
        image = self._works[0].image(first)
        return apply_level(decode_loop(image, self.fit, decode), self.settings.level)

    @property
    def seed(self) -> int:
        """Seed of the settings."""
        return self.settings.seed

    def _sound_params(self) -> SpectrogramParams:
        return self.fit.params

    def _loop_points(self, path: Path, clip: AudioClip) -> tuple[int, int] | None:
        """Return the whole loop for WAV files, which can hold loop points."""
        return (0, clip.samples.shape[1]) if path.suffix.lower() == ".wav" else None
