"""The contact sheet on the page: look at windows, hear them, keep or drop them, and word their captions."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.players import message
from riffusion_ext.ui.tabs.place import Place

if TYPE_CHECKING:
    from riffusion_ext.dataset.manifest import Manifest, WindowEntry

__all__ = ["CELLS", "Opened", "build"]

CELLS = 12
"""Windows on a page."""

_KINDS = ("intro", "ending", "silence", "transition", "duplicate", "clipping", "broken", "surplus")


@dataclass(frozen=True)
class Opened:
    """The sheet's way to be filled: the folder's component, and an event's function, inputs and outputs."""

    folder: Any
    load: Any
    inputs: list[Any]
    outputs: list[Any]


def page_of(out: str, show: str, words: str, page: float) -> tuple[Manifest, list[WindowEntry], int, int]:
    """Return the manifest, the windows of a page, its number from 1, and how many pages there are.

    Raises
    ------
    RiffusionError
        There is no training set.
    """
    from riffusion_ext.dataset.review import chosen, open_set

    if not out.strip():
        raise RiffusionError("No training set yet: make one above, or name the folder of one made before.")
    _, manifest = open_set(Path(out.strip().strip('"')).expanduser())
    windows = chosen(manifest, show, words)
    pages = max(-(-len(windows) // CELLS), 1)
    number = min(max(int(page or 1), 1), pages)
    return manifest, windows[(number - 1) * CELLS : number * CELLS], number, pages


def cell_html(out: Path, window: WindowEntry) -> str:
    """Return the picture of a window, where it comes from, and what speaks against it."""
    from riffusion_ext.dataset.sheet import thumbnail
    from riffusion_ext.dataset.store import Store

    path = Store(out).find(window.file)
    try:
        picture = f'<img alt="" src="{thumbnail(path)}">' if path is not None else "<i>the picture is gone</i>"
    except RiffusionError as error:
        picture = f"<i>{escape(str(error))}</i>"
    badges = "".join(f'<b title="{escape(reason["text"])}">{escape(reason["kind"])}</b>' for reason in window.reasons)
    why = "" if window.kept else "; ".join(reason["text"] for reason in window.reasons)
    minutes, seconds = divmod(window.start, 60)
    state = "kept" if window.kept else "out"
    return (
        f'<div class="riffusion-window riffusion-{state}">{picture}<p>{badges}</p>'
        f'<p class="riffusion-song">{escape(window.song)} {int(minutes)}:{seconds:04.1f}</p>'
        f'<p class="riffusion-why">{escape(why)}</p></div>'
    )


def hear(place: Place, out: str, file: str) -> str:
    """Turn a window's picture into sound and return a player that begins by itself."""
    from riffusion_ext.audio import write_audio
    from riffusion_ext.dataset.store import Store
    from riffusion_ext.spectrogram.codec import DecodeSettings, open_picture, picture_to_audio

    try:
        path = Store(Path(out.strip()).expanduser()).find(file) if file else None
        if path is None:
            raise RiffusionError("the picture is gone")
        clip = picture_to_audio(open_picture(path), DecodeSettings(device=place.device())).clip
        folder = place.output_dir() / "datasets" / "listening"
        for old in sorted(folder.glob("*.wav"))[:-_KEPT_SOUNDS]:
            old.unlink(missing_ok=True)
        sound = write_audio(clip, folder / f"{path.stem}-{secrets.token_hex(3)}.wav")
    except (RiffusionError, OSError) as error:
        return message(str(error), "error")
    return f'<audio controls autoplay src="{escape(place.serve(sound))}"></audio>'


_KEPT_SOUNDS = 40


def build(place: Place) -> Opened:
    """Lay out the sheet inside the gradio context that is open."""
    import gradio as gr

    with gr.Accordion("Review", open=True, elem_id="riffusion_review"):
        with gr.Row():
            folder = gr.Textbox(label="Training set to review", max_lines=1, elem_id="riffusion_review_folder")
            show = gr.Dropdown(["all", "kept", "left out", *_KINDS], value="all", label="Show")
            words = gr.Textbox(label="With words of song or caption", max_lines=1)
            page = gr.Number(value=1, precision=0, label="Page")
        with gr.Row():
            back = gr.Button("Previous page")
            onward = gr.Button("Next page")
            look = gr.Button("Show", elem_id="riffusion_review_show")
            save = gr.Button("Save this page", variant="primary", elem_id="riffusion_review_save")
            gr.Button(  # javascript/riffusion.js does the rest
                "Send to Dreambooth", elem_id="riffusion_to_dreambooth", elem_classes=["riffusion-hand-over"]
            )
        note = gr.HTML(value=message("The windows of a training set appear here."), elem_id="riffusion_review_note")
        files = gr.State([])
        cells: list[tuple[Any, Any, Any, Any, Any, Any]] = []
        for start in range(0, CELLS, 4):
            with gr.Row(equal_height=False):
                for number in range(start, start + 4):
                    cells.append(_cell(number + 1))
        with gr.Row():
            find = gr.Textbox(label="Find in captions", max_lines=1)
            put = gr.Textbox(label="Replace with", max_lines=1)
            replace = gr.Button("Replace in all windows shown")
    for transient in (folder, page, words, find, put):
        transient.do_not_save_to_config = True

    def fill(out: str, show: str, words: str, page: float, said: str = "") -> list[Any]:
        try:
            manifest, windows, number, pages = page_of(out, show, words, page)
        except RiffusionError as error:
            return [message(str(error), "error" if out.strip() else "info"), 1, [], *_blank()]
        text = f"{len(manifest.kept)} of {len(manifest.windows)} windows kept. Page {number} of {pages}."
        updates: list[Any] = []
        base = Path(out.strip().strip('"')).expanduser()
        for window in windows:
            updates += [
                gr.update(visible=True),
                gr.update(value=cell_html(base, window)),
                gr.update(value=""),
                gr.update(value=window.kept),
                gr.update(value=window.caption),
            ]
        blank = _blank()[len(updates) :]
        shown = [(window.file, window.kept, window.caption) for window in windows]
        return [message(f"{said} {text}".strip()), number, shown, *updates, *blank]

    def _blank() -> list[Any]:
        one = [gr.update(visible=False), gr.update(value=""), gr.update(value=""), gr.update(), gr.update(value="")]
        return one * CELLS

    def keep(out: str, files: list[Any], values: tuple[Any, ...]) -> int:
        from riffusion_ext.dataset.review import Decision, decide

        changes = {}
        for (file, kept, caption), keep, text in zip(files, values[::2], values[1::2], strict=False):
            text = " ".join(str(text).split())
            decision = Decision(bool(keep) if bool(keep) != kept else None, text if text and text != caption else None)
            if decision != Decision():
                changes[file] = decision
        if changes:
            decide(Path(out.strip().strip('"')).expanduser(), changes)
        return len(changes)

    def turn(step: int) -> Any:
        def go(out: str, show: str, words: str, page: float, files: list[Any], *values: Any) -> list[Any]:
            try:
                saved = keep(out, files, values) if files else 0
            except RiffusionError as error:
                return [message(str(error), "error"), *[gr.update()] * (2 + 5 * CELLS)]
            said = f"{saved} changes saved." if saved else ""
            return fill(out, show, words, (page or 1) + step, said)

        return go

    def replace_all(out: str, show: str, words: str, page: float, find: str, put: str) -> list[Any]:
        from riffusion_ext.dataset.review import chosen, decide, open_set, replaced

        try:
            base = Path(out.strip().strip('"')).expanduser()
            changes = replaced(chosen(open_set(base)[1], show, words), find, put)
            if changes:
                decide(base, changes)
        except RiffusionError as error:
            return [message(str(error), "error"), *[gr.update()] * (2 + 5 * CELLS)]
        return fill(out, show, words, page, f"{len(changes)} captions changed.")

    where = [folder, show, words, page]
    outputs = [note, page, files, *(part for cell in cells for part in (cell[0], cell[1], cell[2], cell[4], cell[5]))]
    edited = [part for cell in cells for part in (cell[4], cell[5])]
    quiet: dict[str, Any] = {"api_name": False, "show_progress": "hidden"}
    for button, step in ((back, -1), (onward, 1), (save, 0)):
        button.click(fn=turn(step), inputs=[*where, files, *edited], outputs=outputs, **quiet)
    look.click(fn=fill, inputs=where, outputs=outputs, **quiet)
    replace.click(fn=replace_all, inputs=[*where, find, put], outputs=outputs, **quiet)
    for number, (_, _, sound, play, _, _) in enumerate(cells):

        def listen(out: str, files: list[Any], number: int = number) -> str:
            return hear(place, out, files[number][0] if number < len(files) else "")

        play.click(fn=listen, inputs=[folder, files], outputs=[sound], api_name=False)
    return Opened(folder, fill, where, outputs)


def _cell(number: int) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Column, picture, sound, play button, keep, caption of a window."""
    import gradio as gr

    with gr.Column(visible=False, min_width=180, elem_classes=["riffusion-cell"]) as column:
        picture = gr.HTML()
        sound = gr.HTML()
        play = gr.Button("Play", size="sm", elem_id=f"riffusion_review_play_{number}")
        keep = gr.Checkbox(label=f"Keep {number}", elem_id=f"riffusion_review_keep_{number}")
        caption = gr.Textbox(label=f"Caption {number}", lines=2, elem_id=f"riffusion_review_caption_{number}")
    for transient in (keep, caption):
        transient.do_not_save_to_config = True
    return column, picture, sound, play, keep, caption
