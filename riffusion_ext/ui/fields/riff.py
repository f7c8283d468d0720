"""Controls of the page "Riff", and the settings that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from riffusion_ext.ui.fields.common import (
    check_values,
    common_controls,
    model_params,
    sampler_of,
    styles_control,
    values_of_common,
    window_controls,
    with_styles,
)
from riffusion_ext.ui.gradio_compat import on_change, row
from riffusion_ext.ui.layout.page_context import Place, Styled, unstyled
from riffusion_ext.ui.players import message

if TYPE_CHECKING:
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.automation import Curve
    from riffusion_ext.generate.score.keyframes import Keyframe

__all__ = ["riff_controls", "settings_of", "values_of"]

_BPM = 120.0  # bars of a score for a riff count in proportion, so any tempo does


def settings_of(values: Mapping[str, Any], styled: Styled = unstyled) -> RiffSettings:
    """Return the settings of the page's controls, by name; `styled` puts the chosen styles into the prompts.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.automation import parse_curve
    from riffusion_ext.generate.score.timecode import parse_time

    check_values(values)
    denoise = parse_curve(str(values["denoise"]), name="the denoising strength", low=0.0, high=1.0)
    cfg = parse_curve(str(values["cfg"]), name="the CFG scale", low=1.0, high=30.0)
    duration = str(values["duration"]).strip()
    return RiffSettings(
        tuple(with_styles(frame, values, styled) for frame in _keyframes(values, denoise, cfg)),
        stretch=bool(values["stretch"]),
        denoise=None if denoise.fixed else denoise,
        cfg=None if cfg.fixed else cfg,
        start=parse_time(str(values["start"]) or "0"),
        duration=parse_time(duration) if duration else None,
        channels=str(values["channels"]),
        spread=float(values["spread"]),
        wet=parse_curve(str(values["wet"]), name="the share of the result", low=0.0, high=1.0),
        law=str(values["law"]),
        width=int(values["width"]),
        overlap=int(values["overlap"]),
        steps=int(values["steps"]),
        sampler=sampler_of(values),
        params=model_params(values),
        level=str(values["level"]),
    )


def _keyframes(values: Mapping[str, Any], denoise: Curve, cfg: Curve) -> tuple[Keyframe, ...]:
    """Return what the song becomes: the lines of the score, else the prompt; what a line says goes first."""
    from riffusion_ext.generate.score.keyframes import Keyframe
    from riffusion_ext.generate.score.parser import parse_score

    default = Keyframe(
        str(values["prompt"]).strip(),
        str(values["negative"]).strip(),
        seed=int(values["seed"]),
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


def values_of(settings: RiffSettings) -> dict[str, Any]:
    """Return values of the page's controls, by name, that mean these settings."""
    from riffusion_ext.generate.score.keyframes import Score
    from riffusion_ext.generate.score.parser import format_score
    from riffusion_ext.generate.score.timecode import format_time, number_text

    first = settings.keyframes[0]
    alone = len(settings.keyframes) == 1
    score = "" if alone else format_score(Score(settings.keyframes, bpm=_BPM))
    return {
        "prompt": first.prompt if alone else "",
        "negative": first.negative if alone else "",
        "seed": first.seed,
        "score": score,
        "stretch": settings.stretch,
        # A line of a score does not say what is usual in scores.
        "denoise": settings.denoise.text() if settings.denoise else number_text(first.denoise if alone else 0.75),
        "cfg": settings.cfg.text() if settings.cfg else number_text(first.cfg if alone else 7.0),
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


def riff_controls(place: Place) -> dict[str, Any]:
    """Lay out the controls inside the gradio context that is open; returns them by name."""
    import gradio as gr

    from riffusion_ext.audio.mix import LAWS
    from riffusion_ext.generate.riff_settings import CHANNELS, PRESETS_RIFF, WARNINGS

    made: dict[str, Any] = {}
    made["prompt"] = gr.Textbox(label="Prompt", value="", max_lines=4, elem_id="riffusion_riff_prompt")
    made["negative"] = gr.Textbox(label="Negative prompt", value="", max_lines=4, elem_id="riffusion_riff_negative")
    made |= styles_control(place, "riff")
    with row():
        recipe = gr.Dropdown(
            [_OWN, *PRESETS_RIFF],
            value=_OWN,
            label="Recipe",
            info="fills in denoising, CFG scale and steps",
            elem_id="riffusion_riff_recipe",
        )
        made["seed"] = gr.Number(value=-1, precision=0, label="Seed", elem_id="riffusion_riff_seed")
    with row():
        made["denoise"] = gr.Textbox(
            label="Denoising of the song",
            value="0.3",
            info=WARNINGS["denoise"],
            max_lines=2,
            elem_id="riffusion_riff_denoise",
        )
        made["cfg"] = gr.Textbox(
            label="CFG scale of the riff", value="6", info=WARNINGS["cfg"], max_lines=2, elem_id="riffusion_riff_cfg"
        )
    gr.HTML(value=message("Both, and the share of the result, can change over time: 0:00 0.2, 0:30 0.4, 1:00 0.2"))
    with gr.Accordion("More than one prompt", open=False):
        made["score"] = gr.Textbox(
            label="Prompts along the song",
            value="",
            info="a line for each part, as on the page Song; it is used instead of the prompt above",
            placeholder="0:20 | jazz piano\n0:20 | heavy metal -- vocals | denoise 0.4",
            lines=3,
            max_lines=20,
            elem_id="riffusion_riff_score",
        )
        made["stretch"] = gr.Checkbox(
            value=True, label="Stretch the lines to the length of the song", elem_id="riffusion_riff_stretch"
        )
    with gr.Accordion("Which part, and how it is heard", open=False):
        with row():
            made["start"] = gr.Textbox(value="0:00", label="Start", max_lines=1, elem_id="riffusion_riff_start")
            made["duration"] = gr.Textbox(
                value="", label="Duration", placeholder="to the end", max_lines=1, elem_id="riffusion_riff_duration"
            )
        with row():
            made["channels"] = gr.Dropdown(
                list(CHANNELS),
                value="mono",
                label="What is painted",
                info="stereo: each side; double: the song twice, panned",
                elem_id="riffusion_riff_channels",
            )
            made["spread"] = gr.Slider(
                0, 1, 1, step=0.05, label="Spread of a doubled song", elem_id="riffusion_riff_spread"
            )
        with row():
            made["wet"] = gr.Textbox(
                value="1",
                label="Share of the result",
                info="0: only the song, 1: only the result",
                max_lines=2,
                elem_id="riffusion_riff_wet",
            )
            made["law"] = gr.Dropdown(
                list(LAWS),
                value=LAWS[0],
                label="Law of the mix",
                info="equal-power: as loud in the middle; linear: for a result that is nearly the song",
                elem_id="riffusion_riff_law",
            )
        made |= window_controls("riff")
    made |= common_controls(place, "riff", level="recorded", steps_help=WARNINGS["steps"])
    for transient in ("prompt", "negative", "score", "seed", "start", "duration"):
        made[transient].do_not_save_to_config = True
    recipe.do_not_save_to_config = True

    def fill(name: str) -> tuple[Any, ...]:
        if name not in PRESETS_RIFF:
            return (gr.update(),) * 3
        numbers = PRESETS_RIFF[name]
        return f"{numbers['denoise']:g}", f"{numbers['cfg']:g}", numbers["steps"]

    on_change(recipe, fill, [recipe], [made["denoise"], made["cfg"], made["steps"]])
    return made


_OWN = "own numbers"
