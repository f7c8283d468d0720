"""Input components for files."""

from __future__ import annotations

from riffusion_ext.ui.gradio_compat import file_input, transient_textbox
from riffusion_ext.ui.gradio_types import Component
from riffusion_ext.ui.layout.page_context import PageContext

__all__ = ["files_and_folder"]


def files_and_folder(
    context: PageContext, noun: str, elem_id: str, *, kind: str, example: str
) -> tuple[Component, Component]:
    """Lay out an upload of several files, and a text box for a folder or pattern on the server.

    Parameters
    ----------
    context
        Where the page runs; without folders, the text box is hidden.
    noun
        Plural of what the files are called: "songs".
    elem_id
        Element id of the upload; that of the text box is ``<elem_id>_folder``.
    kind
        Kind of files that the browser offers: "audio" or "image".
    example
        Pattern in the placeholder: "*.mp3".

    Returns
    -------
    files
        File component.
    folder
        Text box.
    """
    files = file_input(noun.capitalize(), elem_id, file_count="multiple", file_types=[kind])
    folder = transient_textbox(
        label=f"Or a folder of {noun} on this machine",
        placeholder=f"/path/to/{noun} or /path/to/{example}",
        visible=context.folders,
        elem_id=f"{elem_id}_folder",
    )
    return files, folder
