"""From the table of controls to gradio components, in gradio 3 and 4.

What differs between the versions stays in this file. gradio is imported by the functions, not by the module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from riffusion_ext.ui.controls import Control

__all__ = [
    "component",
    "fold",
    "live_html",
    "on_change",
    "open_queue",
    "picture",
    "radio_class",
    "row",
    "run_script",
    "small_buttons",
]


def component(item: Control, elem_id: str, value: object = None) -> Any:
    """Make the component of a control inside the gradio context that is open."""
    import gradio as gr

    common: dict[str, Any] = {
        "label": item.label,
        "value": item.default if value is None else value,
        "info": item.help,
        "elem_id": elem_id,
    }
    if item.kind == "radio":
        return gr.Radio(choices=list(item.offered()), **common)
    if item.kind == "dropdown":
        return gr.Dropdown(choices=list(item.offered()), **common)
    if item.kind == "checkbox":
        return gr.Checkbox(**common)
    if item.kind == "slider":
        return gr.Slider(minimum=item.minimum, maximum=item.maximum, step=item.step, **common)
    if item.kind == "text":
        return gr.Textbox(max_lines=1, **common)
    raise ValueError(f"control {item.id!r} is of kind {item.kind!r}; known are radio, dropdown, checkbox, slider, text")


def fold(label: str, elem_id: str) -> Any:
    """Return a closed accordion, for a ``with``."""
    import gradio as gr

    return gr.Accordion(label, open=False, elem_id=elem_id)


def row() -> Any:
    """Return a row whose controls stand on one line, for a ``with``."""
    import gradio as gr

    return gr.Row(elem_classes=["riffusion-row"])


def picture(label: str, elem_id: str, **more: Any) -> Any:
    """Return a picture that arrives as it was sent: newer gradios would make a lossy WebP of it, which can be heard."""
    import gradio as gr

    exact = {"format": "png"} if "format" in signature(gr.Image.__init__).parameters else {}
    return gr.Image(label=label, type="pil", elem_id=elem_id, **exact, **more)


def small_buttons(texts: Mapping[str, str]) -> dict[str, Any]:
    """Make a row of small buttons, from ids and texts, that is shown where there are players; returns them by id."""
    import gradio as gr

    with gr.Row(elem_classes=["riffusion-row", "riffusion-with-players"]):
        return {elem_id: gr.Button(text, size="sm", elem_id=elem_id) for elem_id, text in texts.items()}


def radio_class() -> Any:
    """Return the class of a choice, for hosts that make the component themselves."""
    import gradio as gr

    return gr.Radio


def live_html(value: Callable[[], str] | str, elem_id: str) -> Any:
    """HTML that a function fills each time a page is opened."""
    import gradio as gr

    return gr.HTML(value=value, elem_id=elem_id)


def open_queue(app: Any) -> None:
    """Let a page work on several things at once: gradio's own default is one, which a long run would keep to itself."""
    import gradio as gr

    name = "concurrency_count" if gr.__version__.startswith("3.") else "default_concurrency_limit"
    app.queue(**{name: _AT_ONCE})


_AT_ONCE = 8


def run_script(app: Any, script: str) -> None:
    """Run JavaScript in the browser each time the page, which must be open for a ``with``, is loaded."""
    import gradio as gr

    name = "_js" if gr.__version__.startswith("3.") else "js"
    app.load(fn=None, **{name: f"() => {{\n{script}\n}}"})


def on_change(source: Any, fn: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
    """Run ``fn`` when a component changes, beside the queue and without a progress mark.

    Never call this with an HTML component as ``source``: in gradio 4.40 its change event fires for ever.
    """
    options: Mapping[str, Any] = {"queue": False, "show_progress": "hidden", "api_name": False}
    source.change(fn=fn, inputs=inputs, outputs=outputs, **options)
