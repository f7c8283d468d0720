"""Page "Inspect": the metadata of a file."""

from __future__ import annotations

from html import escape

from riffusion_ext.convert import explain
from riffusion_ext.convert.describe import describe, rows
from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.gradio_compat import file_input, on_change
from riffusion_ext.ui.layout.page_context import named_error
from riffusion_ext.ui.players import message, panel
from riffusion_ext.ui.uploads import uploads_of

__all__ = ["build_page", "inspect"]

_EMPTY = "The file's metadata appears here."


def inspect(file: object) -> str:
    """Return the metadata of an image or sound file as an HTML table, or the error."""
    if file is None:
        return message(_EMPTY)
    try:
        (upload,) = uploads_of(file)
    except RiffusionError as error:
        return panel([], [message(str(error), "error")])
    try:
        facts = describe(upload.path)
    except Exception as error:
        return panel([], [message(named_error(upload.name, upload.path, explain(error)), "error")])
    cells = "".join(
        f'<tr><th scope="row">{escape(what)}</th><td>{escape(value)}</td></tr>' for what, value in rows(facts)
    )
    return f'<table class="riffusion-table"><caption>{escape(upload.name)}</caption><tbody>{cells}</tbody></table>'


def build_page() -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            file = file_input("Image or sound file", "riffusion_inspect_file")
        with gr.Column(scale=1, min_width=320):
            table = gr.HTML(value=message(_EMPTY), elem_id="riffusion_inspect_table")
    on_change(file, inspect, [file], [table])
