"""Components of the page "Training set"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from riffusion_ext.options.dataset import DATASET, FORMAT_LABELS, PAGE_RATES
from riffusion_ext.ui.gradio_compat import component, row
from riffusion_ext.ui.gradio_types import Component

__all__ = ["training_controls"]


def training_controls() -> dict[str, Component]:
    """Lay out the components in the open gradio context; return them by id of the option."""
    import gradio as gr

    from riffusion_ext.dataset.stems import can_separate

    controls: dict[str, Component] = {}

    def add(*ids: str, visible: bool = True) -> None:
        controls.update({id_: component(DATASET[id_], visible=visible) for id_ in ids})

    def add_with(id_: str, choices: Sequence[str], kind: str, elem_id: str | None = None) -> None:
        controls[id_] = component(replace(DATASET[id_], choices=tuple(choices), kind=kind), elem_id)

    with gr.Accordion("Captions", open=True):
        add("trigger", "template")
    with gr.Accordion("Cutting", open=False):
        with row():
            add("columns", "overlap")
        with row():
            add("align", "last")
        with row():
            add("scale", "preset")
        add("stems", visible=can_separate())
        add("custom")
    with gr.Accordion("Choosing", open=False):
        with row():
            add("first", "final")
        for id_ in ("silence_db", "transition", "duplicate", "clipping"):
            with row():
                add(f"check_{id_}", id_)
        add("broken", "target")
    with gr.Accordion("Writing", open=False):
        add_with("formats", list(FORMAT_LABELS), "multiple", elem_id="riffusion_training_for")
        with row():
            add("kohya_repeats", "kohya_name")
        with row():
            add_with("audio_rate", PAGE_RATES, "dropdown")
            add("audio_seconds")
    return controls
