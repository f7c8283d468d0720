"""The Riffusion tab: conversions of files, training sets, and music from a model.

The same pages are shown in a webui's tab (registered by :mod:`riffusion_ext.host.webui`) and by the standalone server
(:mod:`riffusion_ext.ui.app`).
"""

from __future__ import annotations

from riffusion_ext.ui.gradio_types import Blocks
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.pages import audio_to_images, images_to_audio, inspect, live, loop, riff, song, training
from riffusion_ext.ui.players import message

__all__ = ["add_pages", "build_tab"]


def build_tab(context: PageContext) -> Blocks:
    """Return the ``gr.Blocks`` of the tab."""
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as blocks:
        add_pages(context)
    return blocks


def add_pages(context: PageContext) -> None:
    """Lay out the pages in the open gradio context."""
    import gradio as gr

    if context.notice:
        gr.HTML(value=message(context.notice, "warning"), elem_id="riffusion_notice")
    with gr.Tabs(elem_id="riffusion_pages"):
        with gr.TabItem("Images to audio", elem_id="riffusion_page_pictures"):
            images_to_audio.build_page(context)
        with gr.TabItem("Audio to images", elem_id="riffusion_page_songs"):
            audio_to_images.build_page(context)
        if context.folders:
            with gr.TabItem("Training set", elem_id="riffusion_page_training"):
                training.build_page(context)
        if not context.model.available:
            with gr.TabItem("Song", elem_id="riffusion_page_song"):
                gr.HTML(value=message(context.no_model()), elem_id="riffusion_song_why")
        else:
            with gr.TabItem("Song", elem_id="riffusion_page_song"):
                song.build_page(context)
            with gr.TabItem("Riff", elem_id="riffusion_page_riff"):
                riff.build_page(context)
            with gr.TabItem("Loop", elem_id="riffusion_page_loop"):
                loop.build_page(context)
            with gr.TabItem("Live", elem_id="riffusion_page_live"):
                live.build_page(context)
        with gr.TabItem("Inspect", elem_id="riffusion_page_inspect"):
            inspect.build_page()
