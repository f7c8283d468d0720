"""Components of the page "Training set"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from riffusion_ext.options.dataset import DATASET, FORMAT_LABELS, PAGE_RATES
from riffusion_ext.ui.gradio_compat import component, row

__all__ = ["training_controls"]


def training_controls() -> dict[str, Any]:
    """Lay out the components in the open gradio context; return them by id of the option."""
    import gradio as gr

    from riffusion_ext.dataset.stems import can_separate

    controls: dict[str, Any] = {}

    def add(*ids: str, **more: Any) -> None:
        controls.update({id_: component(DATASET[id_], **more) for id_ in ids})

    def renamed(id_: str, choices: Sequence[str], kind: str, **more: Any) -> None:
        controls[id_] = component(replace(DATASET[id_], choices=tuple(choices), kind=kind), **more)

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
        renamed("formats", list(FORMAT_LABELS), "multiple", elem_id="riffusion_training_for")
        with row():
            add("kohya_repeats", "kohya_name")
        with row():
            renamed("audio_rate", PAGE_RATES, "dropdown")
            add("audio_seconds")
    return controls
