"""Options of the spectrogram parameters. Their names are those of the original library."""

from __future__ import annotations

from riffusion_ext.options.option import Option, by_id
from riffusion_ext.params import BOUNDS, SpectrogramParams

__all__ = ["OPTIONS", "PARAMS"]

_HELP = {
    "sample_rate": "samples per second, in Hz",
    "step_size_ms": "time between two columns, in ms",
    "num_frequencies": "mel bands: the height of the image",
    "min_frequency": "lowest frequency, in Hz",
    "max_frequency": "highest frequency, in Hz",
    "window_duration_ms": "length of the analysis window, in ms",
    "padded_duration_ms": "length of the FFT, in ms",
    "power_for_image": "exponent from magnitude to brightness",
}


def _option(name: str, help_: str) -> Option:
    default = getattr(SpectrogramParams(), name)
    step = 1 if isinstance(default, int) else 0.01
    return Option(name, "", "number", default, help_, bounds=BOUNDS[name], step=step, interfaces=("command",))


OPTIONS: tuple[Option, ...] = tuple(_option(name, help_) for name, help_ in _HELP.items())
"""Numeric parameters of a spectrogram, in the order of the command line."""

PARAMS = by_id(OPTIONS)
