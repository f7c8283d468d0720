"""Ranges and choices of the spectrogram parameters."""

from __future__ import annotations

__all__ = ["BOUNDS", "CHOICES", "DEFAULT_MAX_VALUE", "LATER_FIELDS", "MIN_MAX_VALUE", "SWITCHES", "WHOLE"]

DEFAULT_MAX_VALUE = 30e6
"""Mel magnitude of the loudest pixel in images that do not record theirs (16-bit sample units)."""

MIN_MAX_VALUE = 1e-15
"""Smallest mel magnitude of the loudest pixel: some 360 dB below full scale."""

# name -> (min, max); metadata of images outside these ranges is taken for damaged.
BOUNDS: dict[str, tuple[float, float]] = {
    "sample_rate": (8000, 192000),
    "step_size_ms": (1, 100),
    "window_duration_ms": (2, 1000),
    "padded_duration_ms": (2, 2000),
    "num_frequencies": (16, 4096),
    "min_frequency": (0, 20000),
    "max_frequency": (100, 96000),
    "power_for_image": (0.05, 2.0),
    "pixel_min": (-300, 1e6),
    "pixel_max": (-300, 1e6),
    "padding": (0, 131072),
    "pre_emphasis": (0, 0.99),
}

CHOICES: dict[str, tuple[str, ...]] = {
    "mel_scale": ("htk", "slaney"),
    "mel_norm": ("none", "slaney"),
    "spectrum": ("magnitude", "power"),
    "pixel_law": ("power", "ln", "db"),
    "polarity": ("dark", "bright"),
    "pad_mode": ("reflect", "zeros"),
}
"""Values of the parameters that are words; the first is that of riffusion-model-v1."""

SWITCHES = ("stereo", "low_at_top", "centre")
"""Parameters that are true or false."""

WHOLE = ("sample_rate", "num_frequencies", "padding")
"""Parameters that are whole numbers."""

LATER_FIELDS = (
    "mel_scale",
    "mel_norm",
    "spectrum",
    "pixel_law",
    "pixel_min",
    "pixel_max",
    "polarity",
    "low_at_top",
    "centre",
    "padding",
    "pad_mode",
    "pre_emphasis",
)
"""Parameters that the original library does not have. They are recorded only where they differ from their defaults."""
