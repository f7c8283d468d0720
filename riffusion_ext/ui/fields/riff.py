"""Components of the page "Riff"."""

from __future__ import annotations

from riffusion_ext.options.riff import LEVEL, RIFF
from riffusion_ext.ui.fields.common import common_controls, components, styles_control, window_controls
from riffusion_ext.ui.gradio_compat import keep_out_of_config, on_change, row
from riffusion_ext.ui.gradio_types import Component, Update
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.players import message

__all__ = ["riff_controls"]

_CUSTOM = "own numbers"
_OVER_TIME = "Denoising, CFG scale and share of the result can change over time: 0:00 0.2, 0:30 0.4, 1:00 0.2"


def riff_controls(context: PageContext) -> dict[str, Component]:
    """Lay out the components in the open gradio context; return them by id of the option."""
    import gradio as gr

    from riffusion_ext.generate.riff_settings import PRESETS_RIFF

    def make(*ids: str) -> dict[str, Component]:
        return components(RIFF, "riff", ids)

    controls = make("prompt", "negative")
    controls |= styles_control(context, "riff")
    with row():
        recipe = gr.Dropdown(
            [_CUSTOM, *PRESETS_RIFF],
            value=_CUSTOM,
            label="Recipe",
            info="fills in denoising, CFG scale and steps",
            elem_id="riffusion_riff_recipe",
        )
        controls |= make("seed")
    with row():
        controls |= make("denoise", "cfg")
    gr.HTML(value=message(_OVER_TIME))
    with gr.Accordion("More than one prompt", open=False):
        controls |= make("score", "stretch")
    with gr.Accordion("Part, channels and mix", open=False):
        with row():
            controls |= make("start", "duration")
        with row():
            controls |= make("channels", "spread")
        with row():
            controls |= make("wet", "law")
        controls |= window_controls("riff", RIFF)
    controls |= common_controls(context, "riff", RIFF, level=LEVEL)
    keep_out_of_config(recipe)

    def fill(name: str) -> tuple[Update, ...]:
        if name not in PRESETS_RIFF:
            return (gr.update(),) * 3
        numbers = PRESETS_RIFF[name]
        return f"{numbers['denoise']:g}", f"{numbers['cfg']:g}", numbers["steps"]

    on_change(recipe, fill, [recipe], [controls["denoise"], controls["cfg"], controls["steps"]])
    return controls
