"""Parameters of the conversion between audio and spectrogram images, and the presets of published models."""

from riffusion_ext.params.bounds import BOUNDS, CHOICES, DEFAULT_MAX_VALUE, MIN_MAX_VALUE
from riffusion_ext.params.parameters import SpectrogramParams
from riffusion_ext.params.presets import PRESET_COLUMNS, PRESETS, size_note

__all__ = [
    "BOUNDS",
    "CHOICES",
    "DEFAULT_MAX_VALUE",
    "MIN_MAX_VALUE",
    "PRESETS",
    "PRESET_COLUMNS",
    "SpectrogramParams",
    "size_note",
]
