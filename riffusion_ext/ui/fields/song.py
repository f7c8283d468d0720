"""Controls of the page "Song", and the settings that they stand for."""

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
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.layout.page_context import Place, Styled, unstyled

if TYPE_CHECKING:
    from riffusion_ext.generate.song import SongSettings

__all__ = ["settings_of", "song_controls", "values_of"]

EXAMPLE = """8 bars | funky saxophone, upbeat -- vocals
8 bars | jazz piano trio | seed 42 | cfg 8
0:10 | slow solo piano"""


def settings_of(values: Mapping[str, Any], styled: Styled = unstyled) -> SongSettings:
    """Return the settings of the page's controls, by name; `styled` puts the chosen styles into the prompts.

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
        "", str(values["negative"]).strip(), denoise=float(values["denoise"]), cfg=float(values["cfg"]), seconds=1.0
    )
    score = parse_score(
        str(values["score"]),
        bpm=float(values["bpm"]),
        beats_per_bar=int(values["beats_per_bar"]),
        power=float(values["power"]),
        loop=bool(values["back"]),
        defaults=defaults,
    )
    first = score.keyframes[0]
    if first.seed == -1:  # lines that name a seed keep it
        score = replace(score, keyframes=(replace(first, seed=int(values["seed"])), *score.keyframes[1:]))
    score = replace(score, keyframes=tuple(with_styles(frame, values, styled) for frame in score.keyframes))
    return SongSettings(
        score,
        join=str(values["join"]),
        beat=str(values["beat"]),
        width=int(values["width"]),
        overlap=int(values["overlap"]),
        seeds=str(values["seeds"]),
        steps=int(values["steps"]),
        sampler=sampler_of(values),
        params=model_params(values),
        level=str(values["level"]),
    )


def values_of(settings: SongSettings) -> dict[str, Any]:
    """Return values of the page's controls, by name, that mean these settings; those that have no say are left out."""
    from riffusion_ext.generate.score.parser import format_score

    score = settings.score
    return {
        "score": format_score(score),
        "negative": "",
        "denoise": 0.75,
        "cfg": 7.0,
        "bpm": score.bpm or 120,
        "beats_per_bar": score.beats_per_bar,
        "power": score.power,
        "back": score.loop,
        "seed": -1,
        "join": settings.join,
        "beat": settings.beat,
        "width": settings.width,
        "overlap": settings.overlap,
        "seeds": settings.seeds,
        **values_of_common(settings),
    }


def song_controls(place: Place) -> dict[str, Any]:
    """Lay out the controls inside the gradio context that is open; returns them by name."""
    import gradio as gr

    from riffusion_ext.generate.song import JOINS
    from riffusion_ext.generate.windows.init_images import PATTERNS
    from riffusion_ext.generate.windows.plan import SEEDS

    made: dict[str, Any] = {}
    made["score"] = gr.Textbox(
        label="Score",
        value="",
        info="a line for each part: how long | prompt -- negative prompt | seed 42 | denoise 0.6 | cfg 7",
        placeholder=EXAMPLE,
        lines=5,
        max_lines=30,
        elem_id="riffusion_song_score",
    )
    made["negative"] = gr.Textbox(
        label="Negative prompt of lines without one", value="", max_lines=3, elem_id="riffusion_song_negative"
    )
    made |= styles_control(place, "song")
    with row():
        made["bpm"] = gr.Number(value=120, label="Beats per minute", elem_id="riffusion_song_bpm")
        made["beats_per_bar"] = gr.Number(value=4, precision=0, label="Beats per bar", elem_id="riffusion_song_beats")
        made["seed"] = gr.Number(value=-1, precision=0, label="Seed", elem_id="riffusion_song_seed")
    made["cfg"] = gr.Slider(1, 30, 7, step=0.5, label="CFG scale", elem_id="riffusion_song_cfg")
    with row():
        made["beat"] = gr.Dropdown(
            list(PATTERNS), value="none", label="Begin with a beat", elem_id="riffusion_song_beat"
        )
        made["denoise"] = gr.Slider(
            0, 1, 0.75, step=0.01, label="Denoising of beat or picture", elem_id="riffusion_song_denoise"
        )
    with gr.Accordion("From one part to the next", open=False):
        with row():
            made["power"] = gr.Slider(
                0.25,
                4,
                1,
                step=0.05,
                label="Power of the transitions",
                info="1: even; below 1 the middle passes fast, above 1 it lasts",
                elem_id="riffusion_song_power",
            )
            made["back"] = gr.Checkbox(
                value=False, label="The last part leads back to the first", elem_id="riffusion_song_back"
            )
        with row():
            made["join"] = gr.Dropdown(
                list(JOINS),
                value="outpaint",
                label="Joins of the windows",
                info="outpaint: every second one is painted between two; plain: side by side, the original's way",
                elem_id="riffusion_song_join",
            )
            made["seeds"] = gr.Dropdown(
                list(SEEDS),
                value="auto",
                label="Noise of the windows",
                info="auto: new where the music would repeat itself",
                elem_id="riffusion_song_seeds",
            )
        made |= window_controls("song")
    made |= common_controls(place, "song")
    for transient in ("score", "seed"):
        made[transient].do_not_save_to_config = True
    return made
