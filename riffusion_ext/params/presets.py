"""Parameters of published models, and the sizes of their images.

=====================  ==========================================================================================
riffusion-v1           riffusion/riffusion-model-v1: ``spectrogram_params.py`` of the original library
20khz-stereo           stereo models of the community
sd-audio-10s           codingperks/sd-audio, a dissertation: 512 columns are 10 s, a hop of 861 samples, 20 to 20000 Hz
auffusion              happylittlecat2333/Auffusion, ``converter.py`` (arXiv 2401.01044): ln of magnitudes, 16 kHz
audio-diffusion-256    teticio/audio-diffusion, ``mel.py``: decibels of power, 22.05 kHz
minimidi               puckowski/sd-spectrograms (MiniMIDI), ``norm_spec.py``: the same at 16 kHz, pre-emphasis 0.97
=====================  ==========================================================================================
"""

from __future__ import annotations

from riffusion_ext.params.parameters import SpectrogramParams
from riffusion_ext.params.samples import milliseconds

__all__ = ["PRESETS", "PRESET_COLUMNS", "size_note"]


def _of_librosa(sample_rate: int, hop_length: int, win_length: int, **more: object) -> SpectrogramParams:
    """Return parameters with librosa's filters: 256 Slaney bands up to half the sample rate, an FFT of 2048 samples."""
    return SpectrogramParams(
        sample_rate=sample_rate,
        step_size_ms=milliseconds(hop_length, sample_rate),  # type: ignore[arg-type]
        window_duration_ms=milliseconds(win_length, sample_rate),  # type: ignore[arg-type]
        padded_duration_ms=milliseconds(2048, sample_rate),  # type: ignore[arg-type]
        num_frequencies=256,
        max_frequency=sample_rate // 2,
        mel_scale="slaney",
        mel_norm="slaney",
        polarity="bright",
        **more,  # type: ignore[arg-type]
    )


_DECIBELS: dict[str, object] = {
    "spectrum": "power",
    "pixel_law": "db",
    "pixel_min": -80.0,
    "pixel_max": 0.0,
    "low_at_top": True,
    "pad_mode": "zeros",
}

PRESETS: dict[str, SpectrogramParams] = {
    "riffusion-v1": SpectrogramParams(),
    "20khz-stereo": SpectrogramParams(min_frequency=10, max_frequency=20000, stereo=True),
    "sd-audio-10s": SpectrogramParams(
        step_size_ms=10000 / 512,  # type: ignore[arg-type]
        min_frequency=20,
        max_frequency=20000,
    ),
    "auffusion": _of_librosa(
        16000, 160, 1024, pixel_law="ln", pixel_min=1e-5, pixel_max=200.0, centre=False, padding=944
    ),
    "audio-diffusion-256": _of_librosa(22050, 512, 2048, **_DECIBELS),
    "minimidi": _of_librosa(16000, 512, 2048, pre_emphasis=0.97, **_DECIBELS),
}
"""Parameters of published models. ``riffusion-v1`` is the default everywhere."""

PRESET_COLUMNS: dict[str, int] = {
    "riffusion-v1": 512,
    "20khz-stereo": 512,
    "sd-audio-10s": 512,
    "auffusion": 1024,
    "audio-diffusion-256": 256,
    "minimidi": 472,
}
"""Width of the images that each model was trained on, in columns: 5.11, 5.11, 9.98, 10.24, 5.92 and 15.07 s."""


def size_note(width: int, height: int) -> str:
    """Return a note that names the preset whose images have this size; "" if it is that of riffusion-v1, or none's.

    A size proves nothing, and sd-audio-10s has that of riffusion-v1: a preset is suggested, never chosen.
    """
    usual = SpectrogramParams().num_frequencies
    for name, columns in PRESET_COLUMNS.items():
        if height == PRESETS[name].num_frequencies != usual and width == columns:
            return (
                f"{width} x {height} is the size of the images of {name}; if this is one, choose the preset {name}: "
                f"until then it is decoded as riffusion-v1"
            )
    return ""
