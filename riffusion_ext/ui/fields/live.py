"""Controls of the page "Live", and the settings that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from riffusion_ext.ui.fields.common import (
    check_values,
    common_controls,
    model_params,
    sampler_of,
    styles_control,
    window_controls,
    with_styles,
)
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.layout.page_context import Place, Styled, unstyled

if TYPE_CHECKING:
    from riffusion_ext.generate.live.settings import JamSettings

__all__ = ["RECORDINGS", "live_controls", "settings_of"]

RECORDINGS = ("wav", "flac")
"""Formats of recordings: those that lose nothing."""


def settings_of(values: Mapping[str, Any], styled: Styled = unstyled) -> JamSettings:
    """Return the settings of the page's controls, by name; `styled` puts the chosen styles into the prompts.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.live.settings import JamSettings

    check_values(values)
    settings = JamSettings(
        str(values["prompt"]).strip(),
        str(values["negative"]).strip(),
        seed=int(values["seed"]),
        cfg=float(values["cfg"]),
        denoise=float(values["denoise"]),
        travel=int(values["travel"]),
        ahead=float(values["ahead"]),
        bpm=float(values["bpm"]),
        beats_per_bar=int(values["beats_per_bar"]),
        beat=str(values["beat"]),
        width=int(values["width"]),
        overlap=int(values["overlap"]),
        steps=int(values["steps"]),
        sampler=sampler_of(values),
        params=model_params(values),
    )
    return with_styles(settings, values, styled)


def live_controls(place: Place) -> dict[str, Any]:
    """Lay out the controls inside the gradio context that is open; returns them by name."""
    import gradio as gr

    from riffusion_ext.generate.windows.init_images import PATTERNS

    made: dict[str, Any] = {}
    made["prompt"] = gr.Textbox(label="Prompt", value="", max_lines=4, elem_id="riffusion_live_prompt")
    made["negative"] = gr.Textbox(label="Negative prompt", value="", max_lines=4, elem_id="riffusion_live_negative")
    made |= styles_control(place, "live")
    with row():
        made["travel"] = gr.Slider(
            1,
            16,
            4,
            step=1,
            label="Windows from one prompt to the next",
            info="1: at once",
            elem_id="riffusion_live_travel",
        )
        made["ahead"] = gr.Slider(
            5,
            120,
            20,
            step=1,
            label="Seconds painted ahead",
            info="a queued prompt is heard after about as many; more bridge longer waits",
            elem_id="riffusion_live_ahead",
        )
    with row():
        made["seed"] = gr.Number(value=-1, precision=0, label="Seed", elem_id="riffusion_live_seed")
        made["cfg"] = gr.Slider(1, 30, 7, step=0.5, label="CFG scale", elem_id="riffusion_live_cfg")
    with gr.Accordion("Beat and windows", open=False):
        with row():
            made["beat"] = gr.Dropdown(
                list(PATTERNS), value="none", label="Begin with a beat", elem_id="riffusion_live_beat"
            )
            made["denoise"] = gr.Slider(
                0, 1, 0.75, step=0.01, label="Denoising of beat or picture", elem_id="riffusion_live_denoise"
            )
        with row():
            made["bpm"] = gr.Number(value=120, label="Beats per minute", elem_id="riffusion_live_bpm")
            made["beats_per_bar"] = gr.Number(
                value=4, precision=0, label="Beats per bar", elem_id="riffusion_live_beats"
            )
        made |= window_controls("live")
    made |= common_controls(place, "live", batch=False, file=False)
    with row():
        made["recordings"] = gr.Dropdown(
            list(RECORDINGS),
            value=RECORDINGS[0],
            label="Recordings",
            info="both keep the very samples that were played; flac is half as large",
            elem_id="riffusion_live_recordings",
        )
    for transient in ("prompt", "negative", "seed"):
        made[transient].do_not_save_to_config = True
    return made
