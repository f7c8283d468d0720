"""Page "Live": endless music that plays while it is generated.

Controls and buttons are gradio's. javascript/riffusion_live.js polls the routes of
:mod:`riffusion_ext.api.routes.live`, plays the chunks and shows the progress, because gradio cannot play without gaps.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.live import RECORDINGS, settings_of
from riffusion_ext.ui.fields.live import live_controls
from riffusion_ext.ui.gradio_compat import keep_out_of_config, private_event, row
from riffusion_ext.ui.gradio_types import Update
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.players import escape, message, panel, player
from riffusion_ext.validation.values import texts

if TYPE_CHECKING:
    from riffusion_ext.generate.live.session import Jam, Recording

__all__ = ["build_page", "queue", "record", "start", "stop"]

KIND = "jams"
_MAX_AGE_S = 24 * 3600.0  # since the last write
NO_JAM = "Start the jam first."
RECORD, RECORDING = "Record", "Stop recording"

_STAGE = (
    '<div class="riffusion-live-stage"><p class="riffusion-message riffusion-warning" role="status">'
    "The player needs JavaScript: allow scripts and reload the page."
    "</p></div>"
)


def start(context: PageContext, before: str, values: Mapping[str, object]) -> str:
    """Start a jam that replaces the previous one; return its id.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed, or too many jams are playing.
    """
    from riffusion_ext.generate.live.registry import JAMS
    from riffusion_ext.generate.live.session import Jam

    settings = generation_page.with_sampler(settings_of(values, context.model.apply_styles), context)
    if values["recordings"] not in RECORDINGS:
        raise RiffusionError(f"recordings are {' or '.join(RECORDINGS)} files, got {values['recordings']!r}")
    ending = f".{values['recordings']}"
    _remove_old(context.output_dir() / KIND / "playing")
    folder = context.new_folder(f"{KIND}/playing")

    def save(jam: Jam, recording: Recording) -> str:
        return generation_page.html_or_error(lambda: _save_recording(context, jam, recording, ending))

    try:
        jam = Jam(settings, context.model.backend(), folder, generation_page.decode_settings(values, context), save)
        stop(before)
        return JAMS.start(jam)
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def warnings_of(context: PageContext, id_: str) -> str:
    """Return what the user should know of a jam that has just started, as HTML; "" for nothing."""
    from riffusion_ext.generate.live.registry import JAMS

    jam = JAMS.get(id_)
    warnings = [context.model.checkpoint_warning()]
    warnings += [f"{note[0].upper()}{note[1:]}." for note in (jam.extension.notes if jam is not None else ())]
    return "".join(message(text, "warning") for text in warnings if text)


def _remove_old(folder: Path) -> None:
    """Delete folders of jams whose process was killed."""
    for path in folder.glob("[0-9]*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _MAX_AGE_S:
                shutil.rmtree(path, ignore_errors=True)


def _save_recording(context: PageContext, jam: Jam, recording: Recording, ending: str) -> str:
    from riffusion_ext.generate.live.recording import prompts_over_time, recording_infotext, write_recording

    rate = jam.store.sample_rate
    title = prompts_over_time(recording, rate)[0][1]
    path = write_recording(jam, recording, generation_page.result_path(context, KIND, title, ending), title=title)
    shown = player(context.url_of(path), title, (recording.stop - recording.first) / rate, path.name)
    return panel([shown]) + "".join(generation_page.result_notes(path, recording_infotext(jam, recording)))


def queue(context: PageContext, id_: str, prompt: str, values: Mapping[str, object]) -> None:
    """Add a prompt to the queue of a jam, with the page's negative prompt and styles.

    Raises
    ------
    RiffusionError
        There is no jam, or no prompt.
    """
    prompt, negative = str(prompt or "").strip(), str(values["negative"] or "").strip()
    jam = _jam(id_)
    names = list(texts(values.get("styles")))  # a list: SD.Next takes nothing else
    if names and prompt:
        prompt, negative = context.model.apply_styles(prompt, negative, names)
    jam.prompts.add(prompt, negative)


def record(id_: str) -> bool:
    """Start or finish a recording; return whether the jam is now recording.

    Raises
    ------
    RiffusionError
        There is no jam.
    """
    jam = _jam(id_)
    if jam.recording is None:
        jam.record()
        return True
    jam.stop_recording()
    return False


def stop(id_: str) -> None:
    """Stop a jam, if it is still running."""
    from riffusion_ext.generate.live.registry import JAMS

    jam = JAMS.get(id_) if id_ else None
    if jam is not None:
        jam.stop()


def _jam(id_: str) -> Jam:
    from riffusion_ext.generate.live.registry import JAMS

    jam = JAMS.get(id_) if id_ else None
    if jam is None or jam.ended or jam.should_end():
        raise RiffusionError(NO_JAM)
    return jam


def build_page(context: PageContext) -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    id_ = gr.State("")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = live_controls(context)
        with gr.Column(scale=1, min_width=320), gr.Column(elem_classes=["riffusion-calm"]):
            with gr.Row():
                start_button = gr.Button("Start the jam", variant="primary", elem_id="riffusion_live_go")
                record_button = gr.Button(RECORD, elem_id="riffusion_live_record")
                stop_button = gr.Button("Stop", elem_id="riffusion_live_stop")
            with row():
                prompt = gr.Textbox(
                    label="Next prompt",
                    value="",
                    max_lines=2,
                    info="Enter queues the prompt",
                    scale=4,
                    elem_id="riffusion_live_next",
                )
                add = gr.Button("Queue", scale=1, min_width=100, elem_id="riffusion_live_queue")
            status = gr.HTML(value="", elem_id="riffusion_live_status")
            gr.HTML(value=_STAGE, elem_id="riffusion_live_stage")
            mark = gr.HTML(value="", elem_id="riffusion_live_jam")
    keep_out_of_config(prompt)
    names = list(controls)
    event_options: dict[str, object] = {"queue": False, "show_progress": "hidden", **private_event()}

    def press(before: str, *field_values: object) -> list[Update]:
        try:
            started = start(context, before, dict(zip(names, field_values, strict=True)))
        except Exception as error:
            return [before, gr.update(), generation_page.error_html(error), gr.update()]
        shown = f'<span data-jam="riffusion/live/{escape(started)}"></span>'
        return [started, shown, warnings_of(context, started), RECORD]

    def add_prompt(started: str, text: str, *field_values: object) -> list[Update]:
        try:
            queue(context, started, text, dict(zip(names, field_values, strict=True)))
        except Exception as error:
            return [gr.update(), generation_page.error_html(error)]
        return ["", ""]

    def press_record(started: str) -> list[Update]:
        try:
            return [RECORDING if record(started) else RECORD, ""]
        except Exception as error:
            return [RECORD, generation_page.error_html(error)]

    def press_stop(started: str) -> str:
        stop(started)
        return RECORD

    start_button.click(
        fn=press, inputs=[id_, *controls.values()], outputs=[id_, mark, status, record_button], **event_options
    )
    for event in (prompt.submit, add.click):
        event(fn=add_prompt, inputs=[id_, prompt, *controls.values()], outputs=[prompt, status], **event_options)
    record_button.click(fn=press_record, inputs=[id_], outputs=[record_button, status], **event_options)
    stop_button.click(fn=press_stop, inputs=[id_], outputs=[record_button], **event_options)
