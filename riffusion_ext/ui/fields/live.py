"""Components of the page "Live"."""

from __future__ import annotations

from riffusion_ext.options.live import LIVE
from riffusion_ext.ui.fields.common import common_controls, components, styles_control, window_controls
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.gradio_types import Component
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["live_controls"]


def live_controls(context: PageContext) -> dict[str, Component]:
    """Lay out the components in the open gradio context; return them by id of the option."""
    import gradio as gr

    def make(*ids: str) -> dict[str, Component]:
        return components(LIVE, "live", ids)

    controls = make("prompt", "negative")
    controls |= styles_control(context, "live")
    with row():
        controls |= make("travel", "ahead")
    with row():
        controls |= make("seed", "cfg")
    with gr.Accordion("Beat and windows", open=False):
        with row():
            controls |= make("beat", "denoise")
        with row():
            controls |= make("bpm", "beats_per_bar")
        controls |= window_controls("live", LIVE)
    controls |= common_controls(context, "live", LIVE)
    with row():
        controls |= make("recordings")
    return controls
