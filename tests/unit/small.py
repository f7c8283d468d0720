"""Parameters of small spectrograms, which are quick to compute, and the same as text and as command-line options."""

from __future__ import annotations

from typing import Any

from riffusion_ext.params import SpectrogramParams

_SMALL: dict[str, Any] = {
    "sample_rate": 8000,
    "window_duration_ms": 50,
    "padded_duration_ms": 100,
    "num_frequencies": 64,
    "max_frequency": 4000,
}
_LOW: dict[str, Any] = {
    "sample_rate": 8000,
    "padded_duration_ms": 100,
    "num_frequencies": 64,
    "max_frequency": 2000,
}


def _text(values: dict[str, Any]) -> str:
    """Write parameters as the API and the pages take them."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


SMALL = SpectrogramParams(**_SMALL)  # 64 bands up to 4 kHz
SMALL_TEXT = _text(_SMALL)
SMALL_OPTIONS = [word for name, value in _SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]

LOW = SpectrogramParams(**_LOW)  # 64 bands up to 2 kHz, of longer windows
LOW_TEXT = _text(_LOW)

TINY = LOW.replace(num_frequencies=24)
