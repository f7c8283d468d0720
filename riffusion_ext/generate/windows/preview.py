"""Decode generated windows: blend them, decode once, and cut to the exact length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from riffusion_ext.audio import RAW, AudioClip
from riffusion_ext.generate.windows.blend import GAIN_PENALTY_SONG, BlendedSpectrogram, WindowMeasurements
from riffusion_ext.generate.windows.plan import Plan
from riffusion_ext.metadata import record_text, with_record_text
from riffusion_ext.spectrogram.codec import source_to_audio
from riffusion_ext.spectrogram.image import mel_to_image
from riffusion_ext.spectrogram.pixel_law import full_scale_of
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.source import Source

__all__ = ["cut_to", "image_of", "mel_difference", "sound_of"]


def sound_of(
    plan: Plan,
    read_image: Callable[[int], Image.Image],
    settings: DecodeSettings,
    *,
    gain_penalty: float = GAIN_PENALTY_SONG,
    measured: WindowMeasurements | None = None,
    first: int = 0,
    progress: Callable[[float], None] | None = None,
) -> AudioClip:
    """Decode generated windows at the level of their images, even beyond full scale.

    Parameters
    ----------
    plan
        Plan whose windows are all generated; :meth:`~riffusion_ext.generate.windows.plan.Plan.head` returns the plan
        of the first ones.
    read_image
        Opens the image of a window by number.
    settings
        Engine, seed and device; the plan determines the rest.
    hold, measured, first
        See :class:`~riffusion_ext.generate.windows.blend.BlendedSpectrogram`.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    AudioClip
        Clip of exactly ``plan.samples`` samples, times the factor by which added high frequencies raise the sample
        rate.
    """
    source = BlendedSpectrogram(plan, read_image, gain_penalty=gain_penalty, measured=measured, first=first).source()
    return _decode(source, plan, settings, progress)


def image_of(
    plan: Plan,
    read_image: Callable[[int], Image.Image],
    *,
    start: int = 0,
    stop: int | None = None,
    gain_penalty: float = GAIN_PENALTY_SONG,
    measured: WindowMeasurements | None = None,
) -> Image.Image:
    """Draw columns ``start <= c < stop`` of a blended song as one image; `stop` None: to its end.

    The image records its parameters, with its largest magnitude as that of black.
    """
    mel = BlendedSpectrogram(plan, read_image, gain_penalty=gain_penalty, measured=measured).mel(
        start, plan.columns if stop is None else stop
    )
    max_value = full_scale_of(plan.params, float(mel.max())) or plan.params.default_max_value
    image = mel_to_image(mel, plan.params, max_value)
    with_record_text(image, record_text(plan.params, max_value))
    return image


def mel_difference(
    plan: Plan,
    read_one: Callable[[int], Image.Image],
    read_other: Callable[[int], Image.Image],
    settings: DecodeSettings,
    *,
    gain_penalty: float,
    progress: Callable[[float], None] | None = None,
) -> AudioClip:
    """Decode what the first images have in excess of the second, in each band and column.

    Subtracting waveforms does not work: the phases of a decoded image are not those of its source, so two sounds with
    one spectrogram would leave both of them.
    """
    one, other = (BlendedSpectrogram(plan, read, gain_penalty=gain_penalty) for read in (read_one, read_other))
    source = replace(
        one.source(), mel=lambda start, stop: np.maximum(one.mel(start, stop) - other.mel(start, stop), 0.0)
    )
    return _decode(source, plan, settings, progress)


def _decode(
    source: Source, plan: Plan, settings: DecodeSettings, progress: Callable[[float], None] | None
) -> AudioClip:
    clip = source_to_audio(source, replace(settings, level=RAW, params=None), progress=progress).clip
    return cut_to(clip, plan.samples * (clip.sample_rate // plan.params.sample_rate))


def cut_to(clip: AudioClip, samples: int) -> AudioClip:
    """Cut a clip to a number of samples, or pad it with silence."""
    missing = samples - clip.samples.shape[1]
    if missing > 0:
        return AudioClip(np.pad(clip.samples, ((0, 0), (0, missing))), clip.sample_rate)
    return AudioClip(clip.samples[:, :samples], clip.sample_rate)
