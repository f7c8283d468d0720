"""Spectrogram parameters as text, such as ``max_frequency=16000, stereo=true``."""

from __future__ import annotations

import re

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params.bounds import BOUNDS, CHOICES, SWITCHES
from riffusion_ext.params.samples import milliseconds
from riffusion_ext.validation.numbers import read_float, shown

__all__ = ["parse"]

_IN_SAMPLES = {
    "hop_length": "step_size_ms",
    "win_length": "window_duration_ms",
    "n_fft": "padded_duration_ms",
}
"""Durations in samples, and the parameters that they set."""

_NAMES = ("stereo", *BOUNDS, *CHOICES, *(name for name in SWITCHES if name != "stereo"), *_IN_SAMPLES)
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_DEFAULT_RATE = 44100


def parse(text: str) -> dict[str, object]:
    """Parse a list of names with values, separated by commas, semicolons or line ends.

    Returns
    -------
    dict
        Arguments of :class:`~riffusion_ext.params.parameters.SpectrogramParams`, which checks them.

    Raises
    ------
    RiffusionError
        The text is not a list of known names with values.
    """
    values: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in re.split("[,;\\n]", text))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name not in _NAMES:
            raise RiffusionError(
                f"Spectrogram parameters: {shown(part)} is not understood; write name=value, separated by commas. "
                f"The names are {', '.join(_NAMES)}."
            )
        values[name] = _value_of(name, value)
    return _to_milliseconds(values)


def _value_of(name: str, text: str) -> object:
    """Parse a number, word or boolean; other texts are returned unchanged, and refused by the constructor."""
    if name in SWITCHES:
        return _TRUTH.get(text.lower(), text)
    if name in CHOICES:
        return text.lower()
    try:
        number = read_float(text)
    except RiffusionError:
        return text
    return int(number) if number.is_integer() else number


def _to_milliseconds(values: dict[str, object]) -> dict[str, object]:
    """Replace durations in samples by those in ms that stand for exactly that many."""
    rate = values.get("sample_rate", _DEFAULT_RATE)
    for name, parameter in _IN_SAMPLES.items():
        if name not in values:
            continue
        samples = values.pop(name)
        if parameter in values:
            raise RiffusionError(f"Spectrogram parameters: {name} and {parameter} are the same; write one of them.")
        if not isinstance(samples, int) or not 1 <= samples <= 1 << 20:
            raise RiffusionError(f"{name} must be a whole number of samples, got {shown(samples)}")
        if isinstance(rate, int) and rate > 0:  # the constructor refuses others
            values[parameter] = milliseconds(samples, rate)
    return values
