"""Checks of spectrogram parameters: ranges, choices, and contradictions."""

from __future__ import annotations

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params.bounds import BOUNDS, CHOICES, SWITCHES, WHOLE
from riffusion_ext.params.fields import SpectrogramFields
from riffusion_ext.validation.numbers import in_range, is_finite, shown

__all__ = ["check"]

# In samples and in hops: they limit the memory that the metadata of an image can require.
_MAX_WINDOW, _MAX_FFT, _MAX_HOPS = 20000, 131072, 100


def check(params: SpectrogramFields) -> None:
    """Raise a RiffusionError if a value is invalid or contradicts another."""
    _check_values(params)
    _check_durations(params)
    _check_frequencies(params)
    _check_pixels(params)
    _check_edges(params)


def _check_values(params: SpectrogramFields) -> None:
    for name, (low, high) in BOUNDS.items():
        value = getattr(params, name)
        if not isinstance(value, (int, float)) or not is_finite(value):
            raise RiffusionError(f"{name} must be a number, got {shown(value)}")
        in_range(name, value, low, high)
        if name in WHOLE and not isinstance(value, int):
            raise RiffusionError(f"{name} must be a whole number, got {value:g}")
    for name in SWITCHES:
        if not isinstance(getattr(params, name), bool):
            raise RiffusionError(f"{name} must be true or false, got {shown(getattr(params, name))}")
    for name, choices in CHOICES.items():
        value = getattr(params, name)
        if value not in choices:
            raise RiffusionError(f"{name} must be {' or '.join(choices)}, got {shown(value)}")


def _check_durations(params: SpectrogramFields) -> None:
    if params.padded_duration_ms < params.window_duration_ms:
        raise RiffusionError(
            f"padded_duration_ms ({params.padded_duration_ms}) must not be shorter than "
            f"window_duration_ms ({params.window_duration_ms})"
        )
    if params.window_duration_ms < 2 * params.step_size_ms:
        raise RiffusionError(
            f"window_duration_ms ({params.window_duration_ms}) must be at least twice "
            f"step_size_ms ({params.step_size_ms})"
        )
    if params.window_duration_ms > _MAX_HOPS * params.step_size_ms:
        raise RiffusionError(
            f"window_duration_ms ({params.window_duration_ms:g}) must be at most {_MAX_HOPS} times "
            f"step_size_ms ({params.step_size_ms:g})"
        )
    for name, samples, limit in (
        ("window_duration_ms", params.win_length, _MAX_WINDOW),
        ("padded_duration_ms", params.n_fft, _MAX_FFT),
    ):
        if samples > limit:
            raise RiffusionError(
                f"{name} ({getattr(params, name):g}) must not exceed {limit} samples, "
                f"which are {1000 * limit / params.sample_rate:.0f} ms at {params.sample_rate} Hz"
            )


def _check_frequencies(params: SpectrogramFields) -> None:
    if params.max_frequency <= params.min_frequency:
        raise RiffusionError(
            f"max_frequency ({params.max_frequency}) must be above min_frequency ({params.min_frequency})"
        )
    if params.max_frequency > params.sample_rate / 2:
        raise RiffusionError(
            f"max_frequency ({params.max_frequency}) must not exceed half the sample rate ({params.sample_rate / 2:g})"
        )


def _check_pixels(params: SpectrogramFields) -> None:
    """Check the range of pixels, whose unit depends on the law."""
    low, high = params.pixel_min, params.pixel_max
    if params.pixel_law == "power":
        if (low, high) != (0, 1):
            raise RiffusionError(f"pixel_min and pixel_max are 0 and 1 with pixel_law=power, got {low:g} and {high:g}")
    elif not low < high:
        raise RiffusionError(f"pixel_min ({low:g}) must be below pixel_max ({high:g})")
    elif params.pixel_law == "ln" and low <= 0:
        raise RiffusionError(f"pixel_min must be above 0 with pixel_law=ln, such as 0.00001, got {low:g}")
    elif params.pixel_law == "db" and not (low < 0 and -100 <= high <= 100):
        raise RiffusionError(
            f"pixel_min and pixel_max are decibels with pixel_law=db, such as -80 and 0, got {low:g} and {high:g}"
        )


def _check_edges(params: SpectrogramFields) -> None:
    """Check the padding: the first window begins at the start of the sound or before, and its centre not before."""
    if params.centre and params.padding:
        raise RiffusionError(f"padding must be 0 with centre=true, got {params.padding}")
    if params.centre:
        return
    if params.n_fft % 2:
        raise RiffusionError(
            f"padded_duration_ms must be an even number of samples with centre=false, not {params.n_fft}"
        )
    low, high = (params.n_fft - params.win_length + 1) // 2, params.n_fft // 2
    if not low <= params.padding <= high:
        raise RiffusionError(f"padding must lie between {low} and {high} samples here, got {params.padding}")
