"""From declared options to gradio components, in gradio 3, 4 and 6.

What differs between the versions stays in this file. gradio is imported by the functions, not by the module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from riffusion_ext.options.option import Option
from riffusion_ext.ui.uploads import restrict_to_uploads

__all__ = [
    "closed_accordion",
    "component",
    "dynamic_html",
    "file_input",
    "image",
    "keep_out_of_config",
    "mount_options",
    "on_change",
    "open_queue",
    "page",
    "private_event",
    "queue_token",
    "radio_class",
    "row",
    "run_script",
    "small_buttons",
    "transient_textbox",
]


def component(item: Option, elem_id: str | None = None, value: object = None, **more: Any) -> Any:
    """Make the component of an option inside the gradio context that is open; `more` is for gradio."""
    common: dict[str, Any] = {
        "label": item.label,
        "value": item.on_page if value is None else value,
        "info": item.page_hint,
        "elem_id": elem_id,
        **more,
    }
    made = _of_kind(item, common)
    if item.transient:
        keep_out_of_config(made)
    return made


def _of_kind(item: Option, common: dict[str, Any]) -> Any:
    """Make the component of the option's kind."""
    import gradio as gr

    if item.kind == "radio":
        return gr.Radio(choices=list(item.offered()), **common)
    if item.kind == "dropdown":
        return gr.Dropdown(choices=list(item.offered()), **common)
    if item.kind == "multiple":
        return gr.CheckboxGroup(choices=list(item.choices), **common)
    if item.kind == "checkbox":
        return gr.Checkbox(**common)
    if item.kind == "slider":
        low, high = item.page_range
        return gr.Slider(minimum=low, maximum=high, step=item.step, **common)
    if item.kind == "number":  # its bounds are checked later, by the core, which says what is wrong
        return gr.Number(precision=0 if item.is_whole else None, **common)
    if item.kind == "text":
        min_lines, max_lines = item.lines
        return gr.Textbox(lines=min_lines, max_lines=max_lines, placeholder=item.placeholder, **common)
    raise ValueError(
        f"option {item.id!r} is of kind {item.kind!r}; known are "
        "radio, dropdown, multiple, checkbox, slider, number, text"
    )


def keep_out_of_config(*components: Any) -> None:
    """Let webuis keep no default of the user's own for components in ``ui-config.json``."""
    for made in components:
        made.do_not_save_to_config = True


def closed_accordion(label: str, elem_id: str) -> Any:
    """Return a closed accordion, for a ``with``."""
    import gradio as gr

    return gr.Accordion(label, open=False, elem_id=elem_id)


def row() -> Any:
    """Return a row whose controls stand on one line, for a ``with``."""
    import gradio as gr

    return gr.Row(elem_classes=["riffusion-row"])


def image(label: str, elem_id: str, **more: Any) -> Any:
    """Return an image that arrives as it was sent: newer gradios would make a lossy WebP of it, which can be heard."""
    import gradio as gr

    exact = {"format": "png"} if "format" in signature(gr.Image.__init__).parameters else {}
    return restrict_to_uploads(gr.Image)(label=label, type="pil", elem_id=elem_id, **exact, **more)


def file_input(label: str, elem_id: str, **more: Any) -> Any:
    """Return a place to upload files; webuis do not keep its value."""
    import gradio as gr

    made = restrict_to_uploads(gr.File)(label=label, elem_id=elem_id, **more)
    keep_out_of_config(made)
    return made


def transient_textbox(label: str, elem_id: str, **more: Any) -> Any:
    """Return a text box of one line; webuis do not keep its value."""
    import gradio as gr

    made = gr.Textbox(label=label, max_lines=1, elem_id=elem_id, **more)
    keep_out_of_config(made)
    return made


def small_buttons(texts: Mapping[str, str]) -> dict[str, Any]:
    """Make a row of small buttons, from ids and texts, that is shown where there are players; returns them by id."""
    import gradio as gr

    with gr.Row(elem_classes=["riffusion-row", "riffusion-with-players"]):
        return {elem_id: gr.Button(text, size="sm", elem_id=elem_id) for elem_id, text in texts.items()}


def radio_class() -> Any:
    """Return the class of a choice, for hosts that make the component themselves."""
    import gradio as gr

    return gr.Radio


def dynamic_html(value: Callable[[], str] | str, elem_id: str) -> Any:
    """HTML that a function fills each time a page is opened."""
    import gradio as gr

    return gr.HTML(value=value, elem_id=elem_id)


def open_queue(app: Any) -> None:
    """Let a page work on several things at once: gradio's own default is one, which a long run would keep to itself."""
    name = "concurrency_count" if _gradio_major() == 3 else "default_concurrency_limit"
    app.queue(**{name: _MAX_CONCURRENT})


_MAX_CONCURRENT = 8


def _gradio_major() -> int:
    """Return the first number of gradio's version."""
    import gradio as gr

    return int(gr.__version__.split(".")[0])


def private_event() -> dict[str, Any]:
    """Return the option of an event that keeps it out of gradio's own API for other programs."""
    return {"api_name": False} if _gradio_major() < 6 else {"api_visibility": "private"}


def page(title: str, css: str) -> Any:
    """Return the ``gr.Blocks`` of a page of its own, for a ``with``; :func:`mount_options` completes it."""
    import gradio as gr

    fonts = ["system-ui", "sans-serif"]  # the user's own: the themes' would be fetched from the internet
    theme = gr.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])
    # gradio's own grey for hints has a contrast of 2:1 on white, which many cannot read.
    style = {
        "css": css,
        "theme": theme.set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500"),
    }
    if _gradio_major() < 6:
        return gr.Blocks(title=title, analytics_enabled=False, **style)
    blocks = gr.Blocks(title=title, analytics_enabled=False)
    blocks.riffusion_style = style
    return blocks


def mount_options(app: Any) -> dict[str, Any]:
    """Return what ``gr.mount_gradio_app(fastapi, app, path, ...)`` has to be given for a page of :func:`page`.

    Its other parameters are the server's own affair: login, sizes of uploads, the path of a proxy.
    """
    import gradio as gr

    app.show_api = False  # of gradio 3 and 4, where mounting knows no such option
    app.show_error = False  # what a function says is for the log; gr.Error is shown all the same
    # gradio 6 asks whether a file was uploaded only where a page was launched, which mounting forgets to note.
    app.has_launched = True
    wanted = {
        **getattr(app, "riffusion_look", {}),
        "allowed_paths": [],
        "show_error": False,
        "show_api": False,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "mcp_server": False,
        "pwa": False,
        "ssr_mode": False,
    }
    accepted = signature(gr.mount_gradio_app).parameters
    return {name: value for name, value in wanted.items() if name in accepted}


def queue_token(app: Any, url: str) -> str:
    """Return the token by which gradio 3's queue calls the functions of a page that was mounted; "" in later ones.

    Parameters
    ----------
    app
        The page.
    url
        Where it shall call them.
    """
    queue: Any = getattr(app, "_queue", None)
    token = str(getattr(queue, "access_token", None) or "")
    if token:
        queue.set_url(url)
    return token


def run_script(app: Any, script: str) -> None:
    """Run JavaScript in the browser each time the page, which must be open for a ``with``, is loaded."""
    name = "_js" if _gradio_major() == 3 else "js"
    app.load(fn=None, **{name: f"() => {{\n{script}\n}}"})


def on_change(source: Any, fn: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
    """Run ``fn`` when a component changes, beside the queue and without a progress mark.

    Never call this with an HTML component as ``source``: in gradio 4.40 its change event fires for ever.
    """
    options: Mapping[str, Any] = {"queue": False, "show_progress": "hidden", **private_event()}
    source.change(fn=fn, inputs=inputs, outputs=outputs, **options)
