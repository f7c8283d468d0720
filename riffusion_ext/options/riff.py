"""Options of riffs, and their conversion to settings and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from riffusion_ext.generate import bounds
from riffusion_ext.options import generation
from riffusion_ext.options.generation import (
    ApplyStyles,
    check_values,
    model_params,
    sampler_of,
    values_of_common,
    with_styles,
    without_styles,
)
from riffusion_ext.options.option import Option, by_id
from riffusion_ext.validation.values import number, whole

if TYPE_CHECKING:
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.automation import Curve
    from riffusion_ext.generate.score.keyframes import Keyframe

__all__ = ["LEVEL", "OPTIONS", "PART", "RIFF", "settings_of", "values_of"]

LEVEL = replace(
    generation.LEVEL,
    label="Level of the riff",
    default="recorded",
    hint="recorded: the level of the song; peak: as loud as possible; loudness: the same for all",
)

_MAX_CURVE_LENGTH = 500
_BPM = 120.0  # any value: bars in the score of a riff are only proportions

OPTIONS: tuple[Option, ...] = (
    replace(generation.PROMPT, api_default=None),  # or keyframes
    generation.NEGATIVE,
    Option(
        "score",
        "Prompts along the song",
        "text",
        "",
        "score as lines or a file, as for the command song; used in place of the prompt",
        hint="a line for each part, as on the page Song; it is used instead of the prompt above",
        interfaces=("page", "command"),
        placeholder="0:20 | jazz piano\n0:20 | heavy metal -- vocals | denoise 0.4",
        lines=(3, 20),
        transient=True,
    ),
    Option(
        "stretch",
        "Stretch the lines to the length of the song",
        "checkbox",
        True,
        "stretch the lines to the length of the song",
        hint="",
        interfaces=("page", "command"),
    ),
    Option(
        "denoise",
        "Denoising of the song",
        "text",
        "0.3",
        "0.2 to 0.4 keeps the song; may change over time: 0:00 0.2, 0:30 0.4",
        hint="0.2 to 0.4 keeps the song; above 0.5 it is lost.",
        max_length=_MAX_CURVE_LENGTH,
        lines=(1, 2),
    ),
    Option(
        "cfg",
        "CFG scale of the riff",
        "text",
        "6",
        "CFG scale, 4 to 8; may change over time",
        hint="4 to 8; above 12 the sound becomes harsh.",
        max_length=_MAX_CURVE_LENGTH,
        lines=(1, 2),
    ),
    Option(
        "start",
        "Start",
        "text",
        "0:00",
        "start of the part to use, such as 0:30",
        hint="",
        interfaces=("page", "command"),  # seconds in the API
        transient=True,
    ),
    Option(
        "duration",
        "Duration",
        "text",
        "",
        "length of the part to use, such as 0:30 (to the end)",
        hint="",
        interfaces=("page", "command"),
        placeholder="to the end",
        transient=True,
    ),
    Option(
        "channels",
        "Channels to generate",
        "dropdown",
        "mono",
        "stereo: each side separately; double: the song twice, panned left and right",
        choices=bounds.CHANNELS,
    ),
    Option(
        "spread",
        "Spread of a doubled song",
        "slider",
        1,
        "how far a doubled song is panned",
        hint="",
        bounds=bounds.SPREAD,
        step=0.05,
    ),
    Option(
        "wet",
        "Share of the result",
        "text",
        "1",
        "share of the result in the mix, 0 to 1; may change over time",
        hint="0: only the song, 1: only the result",
        max_length=_MAX_CURVE_LENGTH,
        lines=(1, 2),
    ),
    Option(
        "law",
        "Law of the mix",
        "dropdown",
        "equal-power",
        "law of the mix; equal-power: constant loudness; linear: for a result that is close to the song",
        hint="equal-power: constant loudness; linear: for a result that is close to the song",
        choices=("equal-power", "linear"),
    ),
    generation.WIDTH,
    replace(
        generation.OVERLAP,
        help="columns that neighbouring windows share, at most half the width",
        bounds=bounds.RIFF_OVERLAP,
    ),
    generation.SEED,
    replace(generation.STEPS, hint="25 to 50; more takes longer and changes little."),
    generation.SAMPLER,
    generation.BATCH,
    replace(generation.SEEDS, default="fixed", help="noise of the windows", interfaces=("command", "api")),
    replace(generation.POWER, help="power of the transitions between prompts", interfaces=("command",)),
)
"""Options of a riff, in the order of the command line."""

RIFF = by_id(OPTIONS)

_MAX_SONG_S = 86400

PART: dict[str, Option] = by_id(
    (
        Option("start", "", "number", 0.0, "start in seconds", bounds=(0, _MAX_SONG_S), step=0.01, interfaces=("api",)),
        Option(
            "duration",
            "",
            "number",
            None,
            "length in seconds; null: to the end",
            bounds=(0.001, _MAX_SONG_S),
            step=0.001,
            interfaces=("api",),
        ),
    )
)
"""Options of the part of the song in the API, in seconds."""


def settings_of(values: Mapping[str, object], apply_styles: ApplyStyles = without_styles) -> RiffSettings:
    """Convert values of the options to settings.

    The parameters are those of :func:`riffusion_ext.options.song.settings_of`.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.automation import parse_curve
    from riffusion_ext.generate.score.timecode import parse_time

    check_values(values)
    denoise = _curve("denoise", "the denoising strength", values)
    cfg = _curve("cfg", "the CFG scale", values)
    duration = str(values["duration"]).strip()
    return RiffSettings(
        tuple(with_styles(frame, values, apply_styles) for frame in _keyframes(values, denoise, cfg)),
        stretch=bool(values["stretch"]),
        denoise=None if denoise.fixed else denoise,
        cfg=None if cfg.fixed else cfg,
        start=parse_time(str(values["start"]) or "0"),
        duration=parse_time(duration) if duration else None,
        channels=str(values["channels"]),
        spread=number(values["spread"]),
        wet=parse_curve(str(values["wet"]), name="the share of the result", low=0.0, high=1.0),
        law=str(values["law"]),
        width=whole(values["width"]),
        overlap=whole(values["overlap"]),
        seeds=str(values.get("seeds", RIFF["seeds"].default)),
        steps=whole(values["steps"]),
        sampler=sampler_of(values),
        params=model_params(values),
        power=number(values.get("power", RIFF["power"].default)),
        level=str(values["level"]),
    )


def _curve(id_: str, name: str, values: Mapping[str, object]) -> Curve:
    from riffusion_ext.generate.score.automation import parse_curve

    low, high = {"denoise": bounds.DENOISE, "cfg": bounds.CFG}[id_]
    return parse_curve(str(values[id_]), name=name, low=low, high=high)


def _keyframes(values: Mapping[str, object], denoise: Curve, cfg: Curve) -> tuple[Keyframe, ...]:
    """Return the keyframes: those of the score, or one of the prompt. Values in a line take precedence."""
    from riffusion_ext.generate.score.keyframes import Keyframe
    from riffusion_ext.generate.score.parser import parse_score

    default = Keyframe(
        str(values["prompt"]).strip(),
        str(values["negative"]).strip(),
        seed=whole(values["seed"]),
        denoise=denoise.points[0][1],
        cfg=cfg.points[0][1],
        seconds=1.0,
    )
    if not str(values["score"]).strip():
        return (default,)
    score = parse_score(str(values["score"]), bpm=_BPM, defaults=replace(default, seed=-1))
    frames = [replace(frame, seconds=score.duration(frame), bars=None) for frame in score.keyframes]
    if frames[0].seed == -1:
        frames[0] = replace(frames[0], seed=default.seed)
    return tuple(frames)


def values_of(settings: RiffSettings) -> dict[str, object]:
    """Convert settings to values of the page's options by id."""
    from riffusion_ext.generate.score.keyframes import Score
    from riffusion_ext.generate.score.parser import format_score
    from riffusion_ext.generate.score.timecode import format_time, number_text

    first = settings.keyframes[0]
    alone = len(settings.keyframes) == 1
    score = "" if alone else format_score(Score(settings.keyframes, bpm=_BPM))
    # Lines of a score omit values that are the defaults of scores.
    denoise, cfg = (first.denoise, first.cfg) if alone else (generation.DENOISE.default, generation.CFG.default)
    return {
        "prompt": first.prompt if alone else "",
        "negative": first.negative if alone else "",
        "seed": first.seed,
        "score": score,
        "stretch": settings.stretch,
        "denoise": settings.denoise.text() if settings.denoise else number_text(denoise),
        "cfg": settings.cfg.text() if settings.cfg else number_text(cfg),
        "start": format_time(settings.start),
        "duration": "" if settings.duration is None else format_time(settings.duration),
        "channels": settings.channels,
        "spread": settings.spread,
        "wet": settings.wet.text(),
        "law": settings.law,
        "width": settings.width,
        "overlap": settings.overlap,
        **values_of_common(settings),
    }
