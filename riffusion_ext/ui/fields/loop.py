"""Components of the page "Loop"."""

from __future__ import annotations

from riffusion_ext.options.loop import LEVEL, LOOP
from riffusion_ext.ui.fields.common import common_controls, components, styles_control
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.gradio_types import Component
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["loop_controls"]


def loop_controls(context: PageContext) -> dict[str, Component]:
    """Lay out the components in the open gradio context; return them by id of the option."""

    def make(*ids: str) -> dict[str, Component]:
        return components(LOOP, "loop", ids)

    controls = make("prompt", "negative")
    controls |= styles_control(context, "loop")
    with row():
        controls |= make("bars", "bpm", "beats_per_bar")
    with row():
        controls |= make("seed", "cfg")
    with row():
        controls |= make("beat", "denoise")
    controls |= common_controls(context, "loop", LOOP, level=LEVEL)
    return controls
