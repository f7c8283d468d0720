"""Parameters of small spectrograms, which are quick to make: 64 bands up to 4 kHz."""

from __future__ import annotations

from riffusion_ext.params import SpectrogramParams

SMALL = SpectrogramParams(
    sample_rate=8000, window_duration_ms=50, padded_duration_ms=100, num_frequencies=64, max_frequency=4000
)
SMALL_TEXT = "sample_rate=8000, window_duration_ms=50, padded_duration_ms=100, num_frequencies=64, max_frequency=4000"
