"""Conversion between audio and spectrogram images."""

from riffusion_ext.params import PRESETS, SpectrogramParams

__all__ = ["PRESETS", "SpectrogramParams"]
