"""Components that the pages Song, Riff, Loop and Live have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from riffusion_ext.options import generation
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import control
from riffusion_ext.ui.gradio_compat import component, keep_out_of_config, row
from riffusion_ext.ui.gradio_types import Component
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["common_controls", "components", "styles_control", "window_controls"]

_SHORT = {"beats_per_bar": "beats"}
"""Options whose id is shortened in element ids."""


def components(options: Mapping[str, Option], page: str, ids: Iterable[str]) -> dict[str, Component]:
    """Create the components of options of a page in the open gradio context; return them by id."""
    return {id_: component(options[id_], f"riffusion_{page}_{_SHORT.get(id_, id_)}") for id_ in ids}


def common_controls(
    context: PageContext,
    page: str,
    options: Mapping[str, Option],
    *,
    level: Option | None = None,
) -> dict[str, Component]:
    """Lay out the components of all pages in the open gradio context; return them by id.

    A webui stores a user's defaults by label, and all pages are in one tab: components of the same label share them.

    Parameters
    ----------
    context
        Where the page runs.
    page
        Name of the page in element ids.
    options
        Options of the page by id; the batch size is shown if it is one of them.
    level
        Option of the level; None for a page without a result file, which shows no format, either.
    """
    import gradio as gr

    controls: dict[str, Component] = {}
    with row():
        controls |= components(options, page, ["steps"])
        sampler = options["sampler"]
        controls["sampler"] = gr.Dropdown(
            [sampler.on_page, *context.model.samplers()],
            value=sampler.on_page,
            label=sampler.label,
            info=sampler.page_hint,
            elem_id=f"riffusion_{page}_sampler",
        )
    with gr.Accordion("Sound and model", open=False):
        with row():
            controls["engine"] = component(control("engine"), f"riffusion_{page}_engine")
            if level is not None:
                controls["format"] = component(control("format"), f"riffusion_{page}_format")
            else:
                high = component(control("high_frequencies"), f"riffusion_{page}_high_frequencies")
        if level is not None:
            with row():
                controls["level"] = component(level, f"riffusion_{page}_level")
                high = component(control("high_frequencies"), f"riffusion_{page}_high_frequencies")
        if "batch" in options:
            with row():
                controls |= components(options, page, ["batch"])
        with row():
            controls["preset"] = component(generation.PRESET, f"riffusion_{page}_preset")
            controls["custom"] = component(generation.PRESET_CUSTOM, f"riffusion_{page}_custom")
    controls["high_frequencies"] = high  # last, as new controls are
    return controls


def styles_control(context: PageContext, page: str) -> dict[str, Component]:
    """Lay out the choice of prompt styles, if the webui has any."""
    import gradio as gr

    names = context.model.styles()
    if names is None:
        return {}
    styles = gr.Dropdown(list(names), value=[], multiselect=True, label="Styles", elem_id=f"riffusion_{page}_styles")
    keep_out_of_config(styles)
    return {"styles": styles}


def window_controls(page: str, options: Mapping[str, Option]) -> dict[str, Component]:
    """Lay out width and overlap of windows, for pages that generate more than one."""
    with row():
        return components(options, page, ["width", "overlap"])
