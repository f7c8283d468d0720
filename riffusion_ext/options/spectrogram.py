"""Options of the spectrogram parameters. Their names are those of the original library."""

from __future__ import annotations

from riffusion_ext.options.option import Option, by_id
from riffusion_ext.params import BOUNDS, CHOICES, SpectrogramParams

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
    "mel_scale": "scale on which the bands are equidistant",
    "mel_norm": "slaney: bands are normalised to their width",
    "spectrum": "what the bands are sums of",
    "pixel_law": "power: see --power-for-image; ln and db: brightness is a logarithm",
    "pixel_min": "silent end of the range of pixels: with ln a value such as 0.00001, with db decibels such as -80",
    "pixel_max": "loud end of the range of pixels: with ln a value such as 200, with db decibels such as 0",
    "polarity": "which pixels are loud",
    "low_at_top": "whether the top row is the lowest band",
    "centre": "whether a column shows the window around its time; else see --padding",
    "padding": "samples reflected at each end, with --no-centre",
    "pad_mode": "what the windows at the ends see beyond them",
    "pre_emphasis": "coefficient of the filter before the analysis",
}


def _option(name: str, help_: str) -> Option:
    default = getattr(SpectrogramParams(), name)
    if name in CHOICES:
        return Option(name, "", "dropdown", default, help_, choices=CHOICES[name], interfaces=("command",))
    if isinstance(default, bool):
        return Option(name, "", "checkbox", default, help_, interfaces=("command",))
    whole = isinstance(default, int) and not name.endswith("_ms")  # a duration may be any number of samples
    step = 1 if whole else 0.01
    return Option(name, "", "number", default, help_, bounds=BOUNDS[name], step=step, interfaces=("command",))


OPTIONS: tuple[Option, ...] = tuple(_option(name, help_) for name, help_ in _HELP.items())
"""Parameters of a spectrogram but its channels, in the order of the command line."""

PARAMS = by_id(OPTIONS)
