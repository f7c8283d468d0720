"""Options of songs, and their conversion to settings and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from riffusion_ext.generate import bounds
from riffusion_ext.options import generation
from riffusion_ext.options.generation import (
    LEVEL,
    MAX_TEXT_LENGTH,
    ApplyStyles,
    check_values,
    model_params,
    sampler_of,
    values_of_common,
    with_styles,
    without_styles,
)
from riffusion_ext.options.option import REQUIRED, Option, by_id
from riffusion_ext.validation.values import number, whole

if TYPE_CHECKING:
    from riffusion_ext.generate.song import SongSettings

__all__ = ["KEYFRAME", "LEVEL", "OPTIONS", "SONG", "settings_of", "values_of"]

EXAMPLE = """8 bars | funky saxophone, upbeat -- vocals
8 bars | jazz piano trio | seed 42 | cfg 8
0:10 | slow solo piano"""

OPTIONS: tuple[Option, ...] = (
    Option(
        "score",
        "Score",
        "text",
        "",
        "a line for each part: how long | prompt -- negative prompt | seed 42 | denoise 0.6 | cfg 7",
        interfaces=("page", "api"),  # positional arguments on the command line
        max_length=MAX_TEXT_LENGTH,
        api_default=None,  # or keyframes
        placeholder=EXAMPLE,
        lines=(5, 30),
        transient=True,
    ),
    Option(
        "negative",
        "Negative prompt of lines without one",
        "text",
        "",
        "negative prompt, for lines that set none",
        hint="",
        interfaces=("page", "command"),
        lines=(1, 3),
    ),
    replace(
        generation.DENOISE,
        help="denoising strength of beat or init image, for lines that set none",
        interfaces=("page", "command"),
    ),
    replace(generation.CFG, help="CFG scale, for lines that set none", interfaces=("page", "command")),
    replace(generation.BPM, api_default=None),  # needed only for bars and beats
    generation.BEATS_PER_BAR,
    generation.BEAT,
    generation.POWER,
    Option(
        "back",
        "The last part leads back to the first",
        "checkbox",
        False,
        "the last part leads back to the first",
        hint="",
        api_name="loop",
    ),
    Option(
        "join",
        "Joins of the windows",
        "dropdown",
        "outpaint",
        "outpaint: every second window is inpainted between its two neighbours; plain: side by side",
        hint="outpaint: every second window is inpainted between its two finished neighbours; plain: side by side",
        choices=bounds.JOINS,
    ),
    generation.SEEDS,
    generation.WIDTH,
    generation.OVERLAP,
    generation.SEED,
    generation.STEPS,
    generation.SAMPLER,
    generation.BATCH,
    Option(
        "bridge_denoise",
        "",
        "slider",
        1.0,
        "denoising strength of windows inpainted between two others, if there is no init image",
        bounds=bounds.DENOISE,
        step=0.01,
        interfaces=("command", "api"),
    ),
)
"""Options of a song, in the order of the command line."""

SONG = by_id(OPTIONS)

_API = ("api",)

KEYFRAME: dict[str, Option] = by_id(
    (
        replace(generation.PROMPT, interfaces=_API, api_default=REQUIRED),
        replace(generation.NEGATIVE, interfaces=_API),
        replace(generation.SEED, help="seed of the noise; -1: the seed of the part before", interfaces=_API),
        replace(generation.DENOISE, interfaces=_API),
        replace(generation.CFG, interfaces=_API),
        Option(
            "seconds",
            "",
            "number",
            None,
            "length in seconds, in place of bars",
            bounds=bounds.PART_SECONDS,
            step=0.01,
            interfaces=_API,
        ),
        Option(
            "bars", "", "number", None, "length in bars; needs bpm", bounds=bounds.PART_BARS, step=0.01, interfaces=_API
        ),
        Option(
            "bars",
            "",
            "number",
            None,
            "length in bars, in place of seconds; needs bpm",
            bounds=bounds.PART_BARS,
            step=0.01,
            interfaces=_API,
        ),
    )
)
"""Options of a keyframe in the API; elsewhere keyframes are lines of the score."""


def settings_of(values: Mapping[str, object], apply_styles: ApplyStyles = without_styles) -> SongSettings:
    """Convert values of the options to settings.

    Parameters
    ----------
    values
        Values by id: those of :data:`OPTIONS`, ``level``, and ``params`` or ``preset`` and ``custom``.
    apply_styles
        Applies the chosen styles (``styles``) to the prompts.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.score.keyframes import Keyframe
    from riffusion_ext.generate.score.parser import parse_score
    from riffusion_ext.generate.song import SongSettings

    check_values(values)
    defaults = Keyframe(
        "", str(values["negative"]).strip(), denoise=number(values["denoise"]), cfg=number(values["cfg"]), seconds=1.0
    )
    score = parse_score(
        str(values["score"]),
        bpm=number(values["bpm"]),
        beats_per_bar=whole(values["beats_per_bar"]),
        power=number(values["power"]),
        loop=bool(values["back"]),
        defaults=defaults,
    )
    first = score.keyframes[0]
    if first.seed == -1:  # seeds in lines take precedence
        score = replace(score, keyframes=(replace(first, seed=whole(values["seed"])), *score.keyframes[1:]))
    score = replace(score, keyframes=tuple(with_styles(frame, values, apply_styles) for frame in score.keyframes))
    return SongSettings(
        score,
        join=str(values["join"]),
        beat=str(values["beat"]),
        bridge_denoise=number(values.get("bridge_denoise", SONG["bridge_denoise"].default)),
        width=whole(values["width"]),
        overlap=whole(values["overlap"]),
        seeds=str(values["seeds"]),
        steps=whole(values["steps"]),
        sampler=sampler_of(values),
        params=model_params(values),
        level=str(values["level"]),
    )


def values_of(settings: SongSettings) -> dict[str, object]:
    """Convert settings to values of the page's options by id; options without effect are left out."""
    from riffusion_ext.generate.score.parser import format_score

    score = settings.score
    return {
        "score": format_score(score),
        "negative": SONG["negative"].default,
        "denoise": SONG["denoise"].default,
        "cfg": SONG["cfg"].default,
        "bpm": score.bpm or SONG["bpm"].default,
        "beats_per_bar": score.beats_per_bar,
        "power": score.power,
        "back": score.loop,
        "seed": SONG["seed"].default,
        "join": settings.join,
        "beat": settings.beat,
        "width": settings.width,
        "overlap": settings.overlap,
        "seeds": settings.seeds,
        **values_of_common(settings),
    }
