"""Buttons, status and players of a page that generates music."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.gradio_compat import closed_accordion, file_input, private_event
from riffusion_ext.ui.gradio_types import Component, Update
from riffusion_ext.ui.layout.background_task import BackgroundTask
from riffusion_ext.ui.layout.generation_page import MAX_SEGMENTS, PageUpdate
from riffusion_ext.ui.players import message
from riffusion_ext.ui.uploads import uploads_of

__all__ = ["ResultPanel", "values_from_file"]


class ResultPanel:
    """Buttons, status, result and segments of a page, in the open gradio context; :meth:`finish_layout` comes last.

    Each segment has its own HTML component: when a part of one changes, gradio replaces its whole content, and playback
    would stop.

    Parameters
    ----------
    page
        Name of the page in element ids: "song".
    button_text
        Text of the button that starts.
    placeholder
        Message before the first result.
    segments
        Whether there are players for finished segments.
    extra_buttons
        Texts of further buttons by name.
    """

    def __init__(
        self,
        page: str,
        button_text: str,
        placeholder: str,
        *,
        segments: bool = True,
        extra_buttons: dict[str, str] | None = None,
    ) -> None:
        import gradio as gr

        self.extra_buttons: dict[str, Component] = {}
        self._page = page
        with gr.Row():
            self.start = gr.Button(button_text, variant="primary", elem_id=f"riffusion_{page}_go")
            self.stop = gr.Button("Stop", elem_id=f"riffusion_{page}_stop")
            self.resume = gr.Button("Resume", elem_id=f"riffusion_{page}_resume", visible=segments)
        for name, text in (extra_buttons or {}).items():
            self.extra_buttons[name] = gr.Button(text, elem_id=f"riffusion_{page}_{name}")
        count = MAX_SEGMENTS if segments else 0
        with gr.Column(elem_classes=["riffusion-calm"]):
            self.status = gr.HTML(value=message(placeholder), elem_id=f"riffusion_{page}_status")
            self.result = gr.HTML(value="", elem_id=f"riffusion_{page}_result")
            with gr.Column(elem_classes=["riffusion-stretches"], visible=bool(count)):
                self.segments = [gr.HTML(value="", elem_id=f"riffusion_{page}_part_{n + 1}") for n in range(count)]
        self.restore: Component = None
        self.outputs = [self.status, self.result, *self.segments]
        self.event_options: dict[str, object] = {"show_progress": "hidden", **private_event()}

    def finish_layout(
        self, task: BackgroundTask, restore: Callable[[object], list[Update]], controls: list[Component]
    ) -> None:
        """Lay out the last part, "Restore from a file", and connect it and Stop.

        Parameters
        ----------
        task
            Stopped by Stop.
        restore
            Takes the value of a File component; returns updates of the controls and the status.
        controls
            Components of the page.
        """
        import gradio as gr

        with closed_accordion("Restore from a file", f"riffusion_{self._page}_restoring"):
            self.restore = file_input(
                "Sound file or image made with Riffusion", f"riffusion_{self._page}_restore", file_count="single"
            )
        outputs = [*controls, self.status]
        self.restore.upload(fn=restore, inputs=[self.restore], outputs=outputs, queue=False, **self.event_options)
        self.stop.click(fn=lambda: task.stop() or gr.update(), outputs=[self.status], queue=False, **self.event_options)

    def updates(self, shown: PageUpdate) -> list[Update]:
        """Return updates of the outputs; without a value for those that stay."""
        import gradio as gr

        def update(html: str | None) -> Update:
            return gr.update() if html is None else gr.update(value=html)

        segments = (update(shown.segments.get(number)) for number in range(len(self.segments)))
        return [update(shown.status), update(shown.result), *segments]


def values_from_file(
    file: object, kind: str, values_of: Callable[[Any], dict[str, object]]
) -> tuple[dict[str, object], str]:
    """Read the values of a page's controls from a file that was made with the extension.

    Parameters
    ----------
    file
        Value of a File component.
    kind
        Kind of the page, one of :data:`~riffusion_ext.generate.restore.KINDS`.
    values_of
        Converts settings to values of the page's controls.

    Returns
    -------
    values
        By id of the control; empty after an error.
    note
        The error as HTML, or "".
    """
    from riffusion_ext.generate.restore import settings_in

    if file is None:
        return {}, ""
    try:
        (upload,) = uploads_of(file)
        found, settings = settings_in(upload.path, upload.name)
        if found != kind:
            raise RiffusionError(f"{upload.name} is a {found}: drop it on the page of that name")
        return values_of(settings), ""
    except RiffusionError as error:
        return {}, message(str(error), "error")
