"""Components of the page "Loop"."""

from __future__ import annotations

from typing import Any

from riffusion_ext.options.loop import LEVEL, LOOP
from riffusion_ext.ui.fields.common import common_controls, components, styles_control
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["loop_controls"]


def loop_controls(place: PageContext) -> dict[str, Any]:
    """Lay out the components inside the gradio context that is open; returns them by id."""

    def some(*ids: str) -> dict[str, Any]:
        return components(LOOP, "loop", ids)

    made = some("prompt", "negative")
    made |= styles_control(place, "loop")
    with row():
        made |= some("bars", "bpm", "beats_per_bar")
    with row():
        made |= some("seed", "cfg")
    with row():
        made |= some("beat", "denoise")
    made |= common_controls(place, "loop", LOOP, level=LEVEL)
    return made
