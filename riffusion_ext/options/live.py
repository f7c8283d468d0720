"""Options of live sessions, and their conversion to settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from riffusion_ext.generate import bounds
from riffusion_ext.options import generation
from riffusion_ext.options.generation import (
    ApplyStyles,
    check_values,
    prompt_fields,
    with_styles,
    without_styles,
)
from riffusion_ext.options.option import Option, by_id
from riffusion_ext.validation.values import number, whole

if TYPE_CHECKING:
    from riffusion_ext.generate.live.settings import JamSettings

__all__ = ["LIVE", "OPTIONS", "RECORDINGS", "settings_of"]

RECORDINGS = ("wav", "flac")
"""Formats of recordings, all lossless."""

_PAGE = ("page",)

OPTIONS: tuple[Option, ...] = (
    *(
        replace(item, interfaces=_PAGE)
        for item in (
            generation.PROMPT,
            generation.NEGATIVE,
            generation.SEED,
            generation.CFG,
            generation.BEAT,
            generation.DENOISE,
            generation.BPM,
            generation.BEATS_PER_BAR,
            generation.WIDTH,
            generation.OVERLAP,
            generation.STEPS,
            generation.SAMPLER,
        )
    ),
    Option(
        "travel",
        "Windows from one prompt to the next",
        "slider",
        4,
        "windows from one prompt to the next; 1: at once",
        hint="1: at once",
        bounds=bounds.TRAVEL,
        page_bounds=(1, 16),
        step=1,
        interfaces=_PAGE,
    ),
    Option(
        "ahead",
        "Seconds generated ahead",
        "slider",
        20,
        "a queued prompt is heard after about this many seconds; a larger value bridges longer waits",
        bounds=bounds.AHEAD_S,
        page_bounds=(5, 120),
        step=1,
        whole=False,
        interfaces=_PAGE,
    ),
    Option(
        "recordings",
        "Recordings",
        "dropdown",
        RECORDINGS[0],
        "both formats are lossless; flac is half as large",
        choices=RECORDINGS,
        interfaces=_PAGE,
    ),
)
"""Options of a live session."""

LIVE = by_id(OPTIONS)


def settings_of(values: Mapping[str, object], apply_styles: ApplyStyles = without_styles) -> JamSettings:
    """Convert values of the options to settings.

    The parameters are those of :func:`riffusion_ext.options.song.settings_of`.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.live.settings import JamSettings

    check_values(values)
    settings = JamSettings(
        **prompt_fields(values),
        travel=whole(values["travel"]),
        ahead=number(values["ahead"]),
        width=whole(values["width"]),
        overlap=whole(values["overlap"]),
    )
    return with_styles(settings, values, apply_styles)
