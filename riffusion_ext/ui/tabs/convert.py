"""The Riffusion tab: files in, files out, without generating anything.

The same pages stand in a webui's tab (registered by :mod:`riffusion_ext.host.webui`) and by themselves
(:mod:`riffusion_ext.ui.app`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from riffusion_ext.ui.tabs import audio_to_pictures, inspect, pictures_to_audio, training
from riffusion_ext.ui.tabs.place import Place, gradio_url

__all__ = ["add_pages", "build_tab"]


def build_tab(
    serve: Callable[[Path], str] | None = None,
    *,
    output_dir: Path | Callable[[], Path] = Path("riffusion-output"),
    device: Callable[[], str] | None = None,
    folders: bool = True,
) -> Any:
    """Build the tab.

    Parameters
    ----------
    serve
        Returns the URL under which the browser gets a file just written; None for gradio's own, which serves what lies
        below the folders it was told to allow.
    output_dir
        The folder for results, or a function that returns it.
    device
        Returns the torch device to use; None for the fastest there is.
    folders
        Whether users may name folders of the server's machine.

    Returns
    -------
    gr.Blocks
    """
    import gradio as gr

    place = Place(
        output_dir=output_dir if callable(output_dir) else lambda: output_dir,
        serve=serve or gradio_url,
        device=device or (lambda: "auto"),
        folders=folders,
    )
    with gr.Blocks(analytics_enabled=False) as blocks:
        add_pages(place)
    return blocks


def add_pages(place: Place) -> None:
    """Lay out the pages inside the gradio context that is open."""
    import gradio as gr

    with gr.Tabs(elem_id="riffusion_pages"):
        with gr.TabItem("Pictures to audio", elem_id="riffusion_page_pictures"):
            pictures_to_audio.build_page(place)
        with gr.TabItem("Audio to pictures", elem_id="riffusion_page_songs"):
            audio_to_pictures.build_page(place)
        if place.folders:
            with gr.TabItem("Training set", elem_id="riffusion_page_training"):
                training.build_page(place)
        with gr.TabItem("Inspect", elem_id="riffusion_page_inspect"):
            inspect.build_page()
