"""Spectrogram images: their parameters, and the way from image to audio and back."""

from riffusion_ext.params import PRESETS, SpectrogramParams

__all__ = ["PRESETS", "SpectrogramParams"]
