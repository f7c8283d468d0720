"""Page "Live": an endless jam, played while it is generated.

gradio has the controls and buttons; javascript/riffusion_live.js plays, shows how far the generation is, and asks the
routes of :mod:`riffusion_ext.api.routes.live` for what is new. gradio itself cannot hand over sound without a gap.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.live import RECORDINGS, settings_of
from riffusion_ext.ui.fields.live import live_controls
from riffusion_ext.ui.gradio_compat import private, row
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.players import escape, message, panel, player

if TYPE_CHECKING:
    from riffusion_ext.generate.live.session import Jam, Recording

__all__ = ["build_page", "queue", "record", "start", "stop"]

KIND = "jams"
_OLD = 24 * 3600.0  # seconds since anything was written
NO_JAM = "Start the jam first."
RECORD, RECORDING = "Record", "Stop recording"

_STAGE = (
    '<div class="riffusion-live-stage"><p class="riffusion-message riffusion-warning" role="status">'
    "The player needs JavaScript: allow scripts and reload the page."
    "</p></div>"
)


def start(place: PageContext, before: str, values: Mapping[str, Any]) -> str:
    """Start a jam in the place of the one before; returns its id.

    Raises
    ------
    RiffusionError
        A value is missing or not allowed, or too many jams play already.
    """
    from riffusion_ext.generate.live.registry import JAMS
    from riffusion_ext.generate.live.session import Jam

    settings = generation_page.with_sampler(settings_of(values, place.model.apply_styles), place)
    if values["recordings"] not in RECORDINGS:
        raise RiffusionError(f"recordings are {' or '.join(RECORDINGS)} files, got {values['recordings']!r}")
    ending = f".{values['recordings']}"
    _remove_old(place.output_dir() / KIND / "playing")
    folder = place.new_folder(f"{KIND}/playing")

    def save(jam: Jam, take: Recording) -> str:
        return generation_page.attempt(lambda: _kept(place, jam, take, ending))

    try:
        jam = Jam(settings, place.model.backend(), folder, generation_page.decode_settings(values, place), save)
        stop(before)
        return JAMS.start(jam)
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def _remove_old(folder: Path) -> None:
    """Remove what jams have left whose program was ended from outside."""
    for path in folder.glob("[0-9]*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD:
                shutil.rmtree(path, ignore_errors=True)


def _kept(place: PageContext, jam: Jam, take: Recording, ending: str) -> str:
    from riffusion_ext.generate.live.recording import heard_prompts, recording_infotext, write_recording

    rate = jam.settings.params.sample_rate
    title = heard_prompts(take, rate)[0][1]
    path = write_recording(jam, take, generation_page.result_path(place, KIND, title, ending), title=title)
    shown = player(place.serve(path), title, (take.stop - take.first) / rate, path.name)
    return panel([shown]) + "".join(generation_page.told(path, recording_infotext(jam, take)))


def queue(place: PageContext, id_: str, prompt: str, values: Mapping[str, Any]) -> None:
    """Queue a prompt of a jam, with the page's negative prompt and styles.

    Raises
    ------
    RiffusionError
        There is no jam, or no prompt.
    """
    prompt, negative = str(prompt or "").strip(), str(values["negative"] or "").strip()
    jam = _jam(id_)
    names = list(values.get("styles") or ())
    if names and prompt:
        prompt, negative = place.model.apply_styles(prompt, negative, names)
    jam.journey.add(prompt, negative)


def record(id_: str) -> bool:
    """Begin or finish a recording; returns whether the jam records now.

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
    """Stop a jam; one that is over is none."""
    from riffusion_ext.generate.live.registry import JAMS

    jam = JAMS.get(id_) if id_ else None
    if jam is not None:
        jam.stop()


def _jam(id_: str) -> Jam:
    from riffusion_ext.generate.live.registry import JAMS

    jam = JAMS.get(id_) if id_ else None
    if jam is None or jam.ended or jam.stopped_or_left():
        raise RiffusionError(NO_JAM)
    return jam


def build_page(place: PageContext) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    id_ = gr.State("")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = live_controls(place)
        with gr.Column(scale=1, min_width=320), gr.Column(elem_classes=["riffusion-calm"]):
            with gr.Row():
                go = gr.Button("Start the jam", variant="primary", elem_id="riffusion_live_go")
                record_it = gr.Button(RECORD, elem_id="riffusion_live_record")
                halt = gr.Button("Stop", elem_id="riffusion_live_stop")
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
    prompt.do_not_save_to_config = True
    names = list(controls)
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", **private()}

    def press(before: str, *given: Any) -> list[Any]:
        try:
            started = start(place, before, dict(zip(names, given, strict=True)))
        except Exception as error:
            return [before, gr.update(), generation_page.sorry(error), gr.update()]
        doubt = place.model.checkpoint_warning()
        shown = f'<span data-jam="riffusion/live/{escape(started)}"></span>'
        return [started, shown, message(doubt, "warning") if doubt else "", RECORD]

    def add_prompt(started: str, text: str, *given: Any) -> list[Any]:
        try:
            queue(place, started, text, dict(zip(names, given, strict=True)))
        except Exception as error:
            return [gr.update(), generation_page.sorry(error)]
        return ["", ""]

    def press_record(started: str) -> list[Any]:
        try:
            return [RECORDING if record(started) else RECORD, ""]
        except Exception as error:
            return [RECORD, generation_page.sorry(error)]

    def press_stop(started: str) -> str:
        stop(started)
        return RECORD

    go.click(fn=press, inputs=[id_, *controls.values()], outputs=[id_, mark, status, record_it], **quiet)
    for event in (prompt.submit, add.click):
        event(fn=add_prompt, inputs=[id_, prompt, *controls.values()], outputs=[prompt, status], **quiet)
    record_it.click(fn=press_record, inputs=[id_], outputs=[record_it, status], **quiet)
    halt.click(fn=press_stop, inputs=[id_], outputs=[record_it], **quiet)
