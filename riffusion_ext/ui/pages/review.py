"""Contact sheet of the page "Training set": view and play windows, keep or drop them, and edit captions."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.gradio_compat import keep_out_of_config, private_event, row
from riffusion_ext.ui.gradio_types import Component, Update, Value
from riffusion_ext.ui.layout.contact_sheet import CELLS, Sheet, load_page, replace_words, save
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.players import escape, message

if TYPE_CHECKING:
    from riffusion_ext.dataset.manifest import Manifest, WindowEntry

__all__ = ["ReviewPanel", "build", "cell_html", "play_window"]

_MAX_CLIPS = 40
_PAUSE_OTHERS = (
    "for (const other of document.querySelectorAll('.riffusion-cell audio')) if (other !== this) other.pause()"
)


@dataclass(frozen=True)
class ReviewPanel:
    """Component of the folder, and the event that loads the sheet: function, inputs and outputs."""

    folder: Component
    load: Callable[..., list[Update]]
    inputs: list[Component]
    outputs: list[Component]


@dataclass(frozen=True)
class _Cell:
    """Components of a window on the sheet."""

    column: Component
    image: Component
    sound: Component
    play: Component
    keep: Component
    caption: Component

    @property
    def shown(self) -> tuple[Component, ...]:
        """Components that are filled when the window is shown."""
        return self.column, self.image, self.sound, self.keep, self.caption


def cell_html(out: Path, window: WindowEntry) -> str:
    """Return the HTML of a window: image, position in its song, and reasons to leave it out."""
    from riffusion_ext.dataset.contact_sheet import thumbnail
    from riffusion_ext.dataset.manifest import reason_text
    from riffusion_ext.dataset.store import Store

    store = Store(out)
    path = store.find(window.file)
    try:
        image = f'<img alt="" src="{thumbnail(store, path)}">' if path is not None else "<i>the image is gone</i>"
    except RiffusionError as error:
        image = f"<i>{escape(str(error))}</i>"
    badges = "".join(
        f'<b title="{escape(reason_text(reason))}">{escape(reason["kind"])}</b>' for reason in window.reasons
    )
    why = "" if window.kept else "; ".join(map(reason_text, window.reasons))
    minutes, seconds = divmod(round(window.start, 1), 60)
    state = "kept" if window.kept else "out"
    return (
        f'<div class="riffusion-window riffusion-{state}">{image}<p>{badges}</p>'
        f'<p class="riffusion-song">{escape(window.song)} {int(minutes)}:{seconds:04.1f}</p>'
        f'<p class="riffusion-why">{escape(why)}</p></div>'
    )


def play_window(context: PageContext, sheet: Sheet, number: int) -> str:
    """Convert a window of the page to sound; return a player that starts by itself, or the error, as HTML."""
    from riffusion_ext.audio import write_audio
    from riffusion_ext.convert import explain
    from riffusion_ext.dataset.store import Store
    from riffusion_ext.spectrogram.codec import DecodeSettings, image_to_audio, read_image

    try:
        exists = sheet.out is not None and number < len(sheet.windows)
        path = Store(sheet.out).find(sheet.windows[number].file) if sheet.out is not None and exists else None
        if path is None:
            raise RiffusionError("the image is gone")
        clip = image_to_audio(read_image(path), DecodeSettings(device=context.device(), high_frequencies="auto")).clip
        folder = context.output_dir() / "listening"
        for old in sorted(folder.glob("*.wav"), key=lambda file: file.stat().st_mtime_ns)[:-_MAX_CLIPS]:
            old.unlink(missing_ok=True)
        sound = write_audio(clip, folder / f"{path.stem}-{secrets.token_hex(3)}.wav")
    except Exception as error:
        return message(explain(error), "error")
    return f'<audio controls autoplay onplay="{_PAUSE_OTHERS}" src="{escape(context.url_of(sound))}"></audio>'


def build(context: PageContext) -> ReviewPanel:
    """Lay out the sheet in the open gradio context."""
    import gradio as gr

    from riffusion_ext.convert import explain
    from riffusion_ext.dataset.export.images import CONCEPTS_FILE
    from riffusion_ext.dataset.settings import REASONS

    with gr.Accordion("Review", open=True, elem_id="riffusion_review"):
        with row():
            folder = gr.Textbox(
                label="Training set to review", value="", max_lines=1, elem_id="riffusion_review_folder"
            )
            show = gr.Dropdown(
                ["all", "kept", "left out", *REASONS], value="all", label="Show", elem_id="riffusion_review_filter"
            )
            words = gr.Textbox(
                label="Filter by song or caption", value="", max_lines=1, elem_id="riffusion_review_words"
            )
            page = gr.Number(value=1, precision=0, label="Page", elem_id="riffusion_review_page")
        with gr.Row():
            previous_button = gr.Button("Previous page", elem_id="riffusion_review_back")
            next_button = gr.Button("Next page", elem_id="riffusion_review_onward")
            show_button = gr.Button("Show", elem_id="riffusion_review_show")
            keep = gr.Button("Save this page", variant="primary", elem_id="riffusion_review_save")
            send = gr.Button(  # javascript/riffusion.js does the rest
                "Send to Dreambooth", elem_id="riffusion_to_dreambooth", elem_classes=["riffusion-hand-over"]
            )
        note = gr.HTML(value=message("The windows of a training set appear here."), elem_id="riffusion_review_note")
        shown = gr.State(Sheet())
        cells: list[_Cell] = []
        for start in range(0, CELLS, 4):
            with gr.Row(equal_height=False):
                for number in range(start, start + 4):
                    cells.append(_cell(number + 1))
        with row():
            find = gr.Textbox(label="Find in captions", value="", max_lines=1, elem_id="riffusion_review_find")
            replacement = gr.Textbox(label="Replace with", value="", max_lines=1, elem_id="riffusion_review_put")
            change = gr.Button("Replace on all pages", elem_id="riffusion_review_replace")
    keep_out_of_config(folder, page, words, find, replacement)

    def fill(manifest: Manifest, sheet: Sheet, saved: str) -> list[Update]:
        text = f"{len(manifest.kept)} of {len(manifest.windows)} windows kept. Page {sheet.page} of {sheet.pages}."
        if not sheet.files:
            text += " None fits the filter."
        base = sheet.out or Path()
        updates: list[Update] = []
        for window in sheet.windows:
            updates += [
                gr.update(visible=True),
                cell_html(base, window),
                "",
                window.kept,
                window.caption,
            ]
        hidden = [gr.update(visible=False), "", "", False, ""] * (CELLS - len(sheet.windows))
        sendable = gr.update(interactive=(base / CONCEPTS_FILE).is_file())
        return [message(f"{saved} {text}".strip()), str(base), sheet.page, sheet, sendable, *updates, *hidden]

    def action(step: int = 0, *, refresh: bool = False, replace: bool = False) -> Callable[..., list[Update]]:
        """Return the function of a button. Each saves first, so that no edit is lost."""

        def update_sheet(
            sheet: Sheet, out: str, show: str, words: str, page: float | None, *values: Value
        ) -> list[Update]:
            text = ""
            try:
                text = save(sheet, values)
                if replace:
                    text = f"{text} {replace_words(sheet, *values[-2:])}".strip()
                return fill(*load_page(sheet, out, show, words, (page or 1) + step, refresh=refresh), text)
            except Exception as error:
                kind = "error" if text or out.strip() or sheet.out else "info"
                return [message(f"{text} {explain(error)}".strip(), kind), *[gr.update()] * (len(outputs) - 1)]

        return update_sheet

    edits = [part for cell in cells for part in (cell.keep, cell.caption)]
    inputs = [shown, folder, show, words, page, *edits]
    outputs = [note, folder, page, shown, send, *(part for cell in cells for part in cell.shown)]
    event_options: dict[str, object] = {"outputs": outputs, "show_progress": "hidden", **private_event()}
    load = action(refresh=True)
    previous_button.click(fn=action(-1), inputs=inputs, **event_options)
    next_button.click(fn=action(1), inputs=inputs, **event_options)
    keep.click(fn=action(), inputs=inputs, **event_options)
    change.click(fn=action(replace=True), inputs=[*inputs, find, replacement], **event_options)
    for event in (show_button.click, folder.submit, words.submit, page.submit, show.input):
        event(fn=load, inputs=inputs, **event_options)
    for number, cell in enumerate(cells):

        def play_cell(sheet: Sheet, number: int = number) -> str:
            return play_window(context, sheet, number)

        cell.play.click(fn=play_cell, inputs=[shown], outputs=[cell.sound], **private_event())
    return ReviewPanel(folder, load, inputs, outputs)


def _cell(number: int) -> _Cell:
    """Lay out the components of a window in a hidden column."""
    import gradio as gr

    with gr.Column(visible=False, min_width=180, elem_classes=["riffusion-cell"]) as column:
        image = gr.HTML()
        sound = gr.HTML()
        play = gr.Button("Play", size="sm", elem_id=f"riffusion_review_play_{number}")
        keep = gr.Checkbox(label="Keep", elem_id=f"riffusion_review_keep_{number}")
        caption = gr.Textbox(
            label="Caption of the window", value="", lines=2, max_lines=5, elem_id=f"riffusion_review_caption_{number}"
        )
    keep_out_of_config(keep, caption)
    return _Cell(column, image, sound, play, keep, caption)
