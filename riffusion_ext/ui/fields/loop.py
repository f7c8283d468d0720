"""Controls of the page "Loop", and the settings that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.fields.common import (
    check_values,
    common_controls,
    model_params,
    sampler_of,
    styles_control,
    values_of_common,
    with_styles,
)
from riffusion_ext.ui.layout.page_context import Place, Styled, unstyled

if TYPE_CHECKING:
    from riffusion_ext.generate.loop import LoopSettings

__all__ = ["loop_controls", "settings_of", "values_of"]


def settings_of(values: Mapping[str, Any], styled: Styled = unstyled) -> LoopSettings:
    """Return the settings of the page's controls, by name; `styled` puts the chosen styles into the prompts.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed.
    """
    from riffusion_ext.generate.loop import LoopSettings

    check_values(values)
    settings = LoopSettings(
        str(values["prompt"]).strip(),
        str(values["negative"]).strip(),
        seed=int(values["seed"]),
        cfg=float(values["cfg"]),
        denoise=float(values["denoise"]),
        bars=float(values["bars"]),
        bpm=float(values["bpm"]),
        beats_per_bar=int(values["beats_per_bar"]),
        beat=str(values["beat"]),
        steps=int(values["steps"]),
        sampler=sampler_of(values),
        params=model_params(values),
        level=str(values["level"]),
    )
    return with_styles(settings, values, styled)


def values_of(settings: LoopSettings) -> dict[str, Any]:
    """Return values of the page's controls, by name, that mean these settings."""
    names = ("prompt", "negative", "seed", "cfg", "denoise", "bars", "bpm", "beats_per_bar", "beat")
    return {name: getattr(settings, name) for name in names} | values_of_common(settings)


def loop_controls(place: Place) -> dict[str, Any]:
    """Lay out the controls inside the gradio context that is open; returns them by name."""
    import gradio as gr

    from riffusion_ext.generate.windows.init_images import PATTERNS

    made: dict[str, Any] = {}
    made["prompt"] = gr.Textbox(label="Prompt", value="", max_lines=4, elem_id="riffusion_loop_prompt")
    made["negative"] = gr.Textbox(label="Negative prompt", value="", max_lines=4, elem_id="riffusion_loop_negative")
    made |= styles_control(place, "loop")
    with gradio_compat.row():
        made["bars"] = gr.Number(value=2, label="Bars", elem_id="riffusion_loop_bars")
        made["bpm"] = gr.Number(value=120, label="Beats per minute", elem_id="riffusion_loop_bpm")
        made["beats_per_bar"] = gr.Number(value=4, precision=0, label="Beats per bar", elem_id="riffusion_loop_beats")
    with gradio_compat.row():
        made["seed"] = gr.Number(value=-1, precision=0, label="Seed", elem_id="riffusion_loop_seed")
        made["cfg"] = gr.Slider(1, 30, 7, step=0.5, label="CFG scale", elem_id="riffusion_loop_cfg")
    with gradio_compat.row():
        made["beat"] = gr.Dropdown(
            list(PATTERNS), value="none", label="Begin with a beat", elem_id="riffusion_loop_beat"
        )
        made["denoise"] = gr.Slider(
            0, 1, 0.75, step=0.01, label="Denoising of beat or picture", elem_id="riffusion_loop_denoise"
        )
    made |= common_controls(place, "loop", batch=False)
    for transient in ("prompt", "negative", "seed"):
        made[transient].do_not_save_to_config = True
    return made
