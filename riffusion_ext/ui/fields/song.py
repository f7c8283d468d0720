"""Components of the page "Song"."""

from __future__ import annotations

from riffusion_ext.options.song import LEVEL, SONG
from riffusion_ext.ui.fields.common import common_controls, components, styles_control, window_controls
from riffusion_ext.ui.gradio_compat import row
from riffusion_ext.ui.gradio_types import Component
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["song_controls"]


def song_controls(context: PageContext) -> dict[str, Component]:
    """Lay out the components in the open gradio context; return them by id of the option."""
    import gradio as gr

    def make(*ids: str) -> dict[str, Component]:
        return components(SONG, "song", ids)

    controls = make("score", "negative")
    controls |= styles_control(context, "song")
    with row():
        controls |= make("bpm", "beats_per_bar", "seed")
    controls |= make("cfg")
    with row():
        controls |= make("beat", "denoise")
    with gr.Accordion("Transitions", open=False):
        with row():
            controls |= make("power", "back")
        with row():
            controls |= make("join", "seeds")
        controls |= window_controls("song", SONG)
    controls |= common_controls(context, "song", SONG, level=LEVEL)
    return controls
