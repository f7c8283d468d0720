"""Components of the page "Live"."""

from __future__ import annotations

from typing import Any

from riffusion_ext.options.live import LIVE
from riffusion_ext.ui.fields.common import common_controls, components, styles_control, window_controls
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["live_controls"]


def live_controls(place: PageContext) -> dict[str, Any]:
    """Lay out the components inside the gradio context that is open; returns them by id."""
    import gradio as gr

    def some(*ids: str) -> dict[str, Any]:
        return components(LIVE, "live", ids)

    made = some("prompt", "negative")
    made |= styles_control(place, "live")
    with row():
        made |= some("travel", "ahead")
    with row():
        made |= some("seed", "cfg")
    with gr.Accordion("Beat and windows", open=False):
        with row():
            made |= some("beat", "denoise")
        with row():
            made |= some("bpm", "beats_per_bar")
        made |= window_controls("live", LIVE)
    made |= common_controls(place, "live", LIVE)
    with row():
        made |= some("recordings")
    return made
