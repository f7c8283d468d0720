"""gradio components of options, and the differences among gradio 3, 4 and 6.

Only this module depends on the version of gradio. The functions import gradio, not the module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature

from riffusion_ext.options.option import Option
from riffusion_ext.ui.gradio_types import Blocks, Component
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


def component(item: Option, elem_id: str | None = None, value: object = None, **more: object) -> Component:
    """Create the component of an option in the open gradio context.

    Parameters
    ----------
    item
        The option.
    elem_id
        Element id.
    value
        Initial value; None for the option's default on the page.
    **more
        Further arguments of the gradio component.

    Raises
    ------
    ValueError
        There is no component for the option's kind.
    """
    common: dict[str, object] = {
        "label": item.label,
        "value": item.on_page if value is None else value,
        "info": item.page_hint,
        "elem_id": elem_id,
        **more,
    }
    created = _of_kind(item, common)
    if item.transient:
        keep_out_of_config(created)
    return created


def _of_kind(item: Option, common: dict[str, object]) -> Component:
    """Create the component of the option's kind."""
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
    if item.kind == "number":  # the core checks the bounds, with a message
        return gr.Number(precision=0 if item.is_whole else None, **common)
    if item.kind == "text":
        min_lines, max_lines = item.lines
        return gr.Textbox(lines=min_lines, max_lines=max_lines, placeholder=item.placeholder, **common)
    raise ValueError(
        f"option {item.id!r} is of kind {item.kind!r}; known are "
        "radio, dropdown, multiple, checkbox, slider, number, text"
    )


def keep_out_of_config(*components: Component) -> None:
    """Exclude components from ``ui-config.json``, in which webuis store the user's defaults."""
    for created in components:
        created.do_not_save_to_config = True


def closed_accordion(label: str, elem_id: str) -> Component:
    """Return a closed accordion, as a context manager."""
    import gradio as gr

    return gr.Accordion(label, open=False, elem_id=elem_id)


def row() -> Component:
    """Return a row that aligns its components at the bottom, as a context manager."""
    import gradio as gr

    return gr.Row(elem_classes=["riffusion-row"])


def image(label: str, elem_id: str, **more: object) -> Component:
    """Create an Image component without lossy compression: later gradios convert to WebP, which is audible."""
    import gradio as gr

    exact = {"format": "png"} if "format" in signature(gr.Image.__init__).parameters else {}
    return restrict_to_uploads(gr.Image)(label=label, type="pil", elem_id=elem_id, **exact, **more)


def file_input(label: str, elem_id: str, **more: object) -> Component:
    """Create a File component that accepts uploads only; its value is not stored in ``ui-config.json``."""
    import gradio as gr

    created = restrict_to_uploads(gr.File)(label=label, elem_id=elem_id, **more)
    keep_out_of_config(created)
    return created


def transient_textbox(label: str, elem_id: str, **more: object) -> Component:
    """Create a text box of one line; its value is not stored in ``ui-config.json``."""
    import gradio as gr

    created = gr.Textbox(label=label, max_lines=1, elem_id=elem_id, **more)
    keep_out_of_config(created)
    return created


def small_buttons(texts: Mapping[str, str]) -> dict[str, Component]:
    """Create a row of small buttons, shown only when there are players.

    Parameters
    ----------
    texts
        Text of each button by element id.

    Returns
    -------
    dict
        Buttons by element id.
    """
    import gradio as gr

    with gr.Row(elem_classes=["riffusion-row", "riffusion-with-players"]):
        return {elem_id: gr.Button(text, size="sm", elem_id=elem_id) for elem_id, text in texts.items()}


def radio_class() -> Component:
    """Return gradio's class of radio buttons, for the webui's settings, which create the component themselves."""
    import gradio as gr

    return gr.Radio


def dynamic_html(value: Callable[[], str] | str, elem_id: str) -> Component:
    """Create an HTML component. A function as its value is called each time the page is opened."""
    import gradio as gr

    return gr.HTML(value=value, elem_id=elem_id)


def open_queue(app: Blocks) -> None:
    """Let events of a page run concurrently. gradio's default is one at a time, which a long run would block."""
    name = "concurrency_count" if _gradio_major() == 3 else "default_concurrency_limit"
    app.queue(**{name: _MAX_CONCURRENT})


_MAX_CONCURRENT = 8


def _gradio_major() -> int:
    """Return gradio's major version."""
    import gradio as gr

    return int(gr.__version__.split(".")[0])


def private_event() -> dict[str, object]:
    """Return the argument of an event listener that hides it from gradio's own API."""
    return {"api_name": False} if _gradio_major() < 6 else {"api_visibility": "private"}


def page(title: str, css: str) -> Blocks:
    """Return the ``gr.Blocks`` of a standalone page, as a context manager; :func:`mount_options` completes it."""
    import gradio as gr

    fonts = ["system-ui", "sans-serif"]  # of the system: gradio's are loaded from the internet
    theme = gr.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])
    # gradio's grey of hints has a contrast of only 2:1 on white.
    style = {
        "css": css,
        "theme": theme.set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500"),
    }
    if _gradio_major() < 6:
        return gr.Blocks(title=title, analytics_enabled=False, **style)
    blocks = gr.Blocks(title=title, analytics_enabled=False)
    blocks.riffusion_style = style
    return blocks


def mount_options(app: Blocks) -> dict[str, object]:
    """Return the arguments of ``gr.mount_gradio_app`` for a page of :func:`page`.

    Login, limits of uploads and the path of a proxy are left to the server.
    """
    import gradio as gr

    app.show_api = False  # in gradio 3 and 4, mounting has no such argument
    app.show_error = False  # exceptions go to the log only; gr.Error is shown anyway
    # gradio 6 checks that files were uploaded only if this is set, and mounting does not set it.
    app.has_launched = True
    arguments = {
        **getattr(app, "riffusion_style", {}),
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
    return {name: value for name, value in arguments.items() if name in accepted}


def queue_token(app: Blocks, url: str) -> str:
    """Return the token with which gradio 3's queue calls the functions of a mounted page; "" in later versions.

    Parameters
    ----------
    app
        The page.
    url
        Address at which the queue calls them.
    """
    queue = getattr(app, "_queue", None)
    token = str(getattr(queue, "access_token", None) or "")
    if queue is not None and token:
        queue.set_url(url)
    return token


def run_script(app: Blocks, script: str) -> None:
    """Run JavaScript in the browser each time the page is loaded. The page must be the open gradio context."""
    name = "_js" if _gradio_major() == 3 else "js"
    app.load(fn=None, **{name: f"() => {{\n{script}\n}}"})


def on_change(source: Component, fn: Callable[..., object], inputs: list[Component], outputs: list[Component]) -> None:
    """Call ``fn`` when a component changes, outside the queue and without a progress indicator.

    Do not pass an HTML component as ``source``: in gradio 4.40 its change event fires endlessly.
    """
    options: Mapping[str, object] = {"queue": False, "show_progress": "hidden", **private_event()}
    source.change(fn=fn, inputs=inputs, outputs=outputs, **options)
