"""Options of loops, and their conversion to settings and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from riffusion_ext.options import generation
from riffusion_ext.options.generation import (
    LEVEL,
    ApplyStyles,
    check_values,
    prompt_fields,
    values_of_common,
    with_styles,
    without_styles,
)
from riffusion_ext.options.option import REQUIRED, Option, by_id
from riffusion_ext.validation.values import number

if TYPE_CHECKING:
    from riffusion_ext.generate.loop import LoopSettings

__all__ = ["LEVEL", "LOOP", "OPTIONS", "settings_of", "values_of"]

OPTIONS: tuple[Option, ...] = (
    replace(generation.PROMPT, api_default=REQUIRED),
    generation.NEGATIVE,
    Option(
        "bars",
        "Bars",
        "number",
        2,
        "length in bars",
        hint="",
        bounds=(0.01, 256),  # narrower than the core's: no loop of more bars fits on an image
        step=0.01,
    ),
    generation.BPM,
    generation.BEATS_PER_BAR,
    generation.BEAT,
    generation.CFG,
    generation.DENOISE,
    generation.SEED,
    generation.STEPS,
    generation.SAMPLER,
)
"""Options of a loop, in the order of the command line."""

LOOP = by_id(OPTIONS)


def settings_of(values: Mapping[str, object], apply_styles: ApplyStyles = without_styles) -> LoopSettings:
    """Convert values of the options to settings.

    The parameters are those of :func:`riffusion_ext.options.song.settings_of`.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.loop import LoopSettings

    check_values(values)
    settings = LoopSettings(**prompt_fields(values), bars=number(values["bars"]), level=str(values["level"]))
    return with_styles(settings, values, apply_styles)


def values_of(settings: LoopSettings) -> dict[str, object]:
    """Convert settings to values of the page's options by id."""
    names = ("prompt", "negative", "seed", "cfg", "denoise", "bars", "bpm", "beats_per_bar", "beat")
    return {name: getattr(settings, name) for name in names} | values_of_common(settings)
