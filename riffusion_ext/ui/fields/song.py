"""Components of the page "Song"."""

from __future__ import annotations

from typing import Any

from riffusion_ext.options.song import LEVEL, SONG
from riffusion_ext.ui.fields.common import common_controls, components, styles_control, window_controls
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["song_controls"]


def song_controls(place: PageContext) -> dict[str, Any]:
    """Lay out the components inside the gradio context that is open; returns them by id."""
    import gradio as gr

    def some(*ids: str) -> dict[str, Any]:
        return components(SONG, "song", ids)

    made = some("score", "negative")
    made |= styles_control(place, "song")
    with row():
        made |= some("bpm", "beats_per_bar", "seed")
    made |= some("cfg")
    with row():
        made |= some("beat", "denoise")
    with gr.Accordion("From one part to the next", open=False):
        with row():
            made |= some("power", "back")
        with row():
            made |= some("join", "seeds")
        made |= window_controls("song", SONG)
    made |= common_controls(place, "song", SONG, level=LEVEL)
    return made
