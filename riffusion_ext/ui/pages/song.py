"""Page "Song": minutes of music from prompts over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.options.song import settings_of, values_of
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import sound_of_piece
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.fields.song import song_controls
from riffusion_ext.ui.gradio_types import Component, Update, Value
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress
from riffusion_ext.ui.layout.generation_page import Outcome, PageUpdate
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.layout.result_panel import ResultPanel, values_from_file
from riffusion_ext.ui.layout.resume_state import ResumeState, mapping_in
from riffusion_ext.ui.players import message, player
from riffusion_ext.ui.uploads import uploads_of
from riffusion_ext.validation.values import whole

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.song import Song, SongSettings

__all__ = [
    "build_page",
    "last_end",
    "make",
    "new_task",
    "restore_images",
    "resume",
    "window_image",
]

KIND = "songs"
IMAGES = {"seed_picture": "init image", "mask": "mask", "before": "clip to continue"}
_OPTIONS = ("batch", "engine", "format", "high_frequencies")
_ENDS = "ends"
_NO_SONG = "There is no song yet: make one first."


def new_task() -> BackgroundTask:
    """Return the background task of this page."""
    return BackgroundTask("A song is being made already; stop it first.", generation_page.STOPPING)


def make(
    task: BackgroundTask,
    context: PageContext,
    settings: SongSettings,
    options: Mapping[str, object],
    images: Mapping[str, Image.Image | None],
) -> Iterator[PageUpdate]:
    """Generate a song; windows that are finished already are reused.

    Parameters
    ----------
    task, context
        Task and context of the page.
    settings
        Settings of the song.
    options
        Values of the controls ``batch``, ``engine``, ``format`` and ``high_frequencies``.
    images
        Images by the names in :data:`IMAGES`.
    """
    settings = generation_page.with_sampler(settings, context)

    def work(on_progress: OnProgress, cancelled: Cancelled) -> Outcome:
        from riffusion_ext.generate.checkpoint.recipe import to_record
        from riffusion_ext.generate.song import Song

        folder = context.output_dir() / KIND
        song = Song(
            settings,
            folder / "windows",
            decode=generation_page.decode_settings(options, context),
            **{name: images.get(name) for name in IMAGES},
        )
        ending = f".{control('format').clean(options['format'])}"
        unfinished = ResumeState(folder)
        backend = context.model.backend()
        unfinished.save({"settings": to_record(song.settings), "options": dict(options), "model": backend.name}, images)
        generated = generation_page.generate(
            song, backend, folder / "parts", on_progress, cancelled, batch=whole(options["batch"])
        )
        clip = sound_of_piece(song, generated, on_progress)
        if clip is None:
            return Outcome(generated)
        title = song.settings.score.keyframes[0].prompt
        path = generation_page.result_path(
            context, KIND, title + ("" if generated.complete else " (unfinished)"), ending
        )
        song.write(path, clip, title=title, subtype=context.subtype())
        _save_end(song, folder / _ENDS)
        if generated.complete:
            unfinished.forget()
        shown = player(context.url_of(path), title or path.stem, clip.duration, path.name, seed=song.seed)
        extra = {"windows": str(song.windows_folder)}
        return Outcome(generated, (shown,), generation_page.result_notes(path, song.infotext(), song.notes), extra)

    return generation_page.run_and_show(task, context, work)


def _save_end(song: Song, folder: Path) -> None:
    """Save the end of a song as an image with which another song can begin."""
    end = song.image(columns=song.settings.width)
    if end is not None:
        path = folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.png"
        write_atomically(path, lambda file: end.save(file, format="PNG"))
        generation_page.keep_newest(folder)


def last_end(context: PageContext) -> tuple[Image.Image | None, str]:
    """Return the end of the last song, and "", or None and the error as HTML."""
    from riffusion_ext.spectrogram.image import read_image

    try:
        paths = sorted((context.output_dir() / KIND / _ENDS).glob("*.png"))
        if not paths:
            raise RiffusionError(_NO_SONG)
        return read_image(paths[-1]).convert("RGB"), ""
    except RiffusionError as error:
        return None, message(str(error), "error")


def restore_images(context: PageContext, path: Path) -> tuple[dict[str, Image.Image | None], str]:
    """Return the images that a song began with, by the names in :data:`IMAGES`, and a message as HTML."""
    from riffusion_ext.generate.restore import images_in

    state, identities = ResumeState(context.output_dir() / KIND), images_in(path)
    found = {name: state.image(identities[name]) if name in identities else None for name in IMAGES}
    missing = [IMAGES[name] for name in identities if name in found and found[name] is None]
    if not missing:
        return found, message("The settings are those of the file.")
    which = " and ".join(missing)
    return found, message(f"The settings are those of the file. Choose its {which}: that is not kept here.", "warning")


def resume(task: BackgroundTask, context: PageContext) -> Iterator[PageUpdate]:
    """Continue the last unfinished song."""
    from riffusion_ext.generate.checkpoint.recipe import read_record
    from riffusion_ext.generate.song import SongSettings

    try:
        values, images = ResumeState(context.output_dir() / KIND).load(context.model_name())
        options = mapping_in(values, "options")
        settings = read_record(SongSettings, mapping_in(values, "settings"))
    except RiffusionError as error:
        yield PageUpdate(message(str(error), "error"))
        return
    yield from make(task, context, settings, options, images)


def _layout_images() -> tuple[dict[str, Component], dict[str, Component]]:
    """Lay out Image components, and buttons that fill them from the last song; return both by name of the image."""
    import gradio as gr

    images: dict[str, Component] = {}
    last: dict[str, Component] = {}
    with gr.Accordion("Init images", open=False, elem_id="riffusion_song_pictures"):
        with gr.Row():
            images["seed_picture"] = gradio_compat.image("Init image", "riffusion_song_seed_picture")
            images["mask"] = gradio_compat.image("Mask: white is regenerated", "riffusion_song_mask")
        images["before"] = gradio_compat.image("Continue this clip", "riffusion_song_before")
        with gr.Row():
            last["before"] = gr.Button("Continue the last song", elem_id="riffusion_song_last")
            last["seed_picture"] = gr.Button("Seed from the last song", elem_id="riffusion_song_last_seed")
    return images, last


def window_image(folder: str, number: float | None) -> tuple[Image.Image | None, str]:
    """Return the image of a window by its number from 1, and "", or None and the error as HTML."""
    from riffusion_ext.spectrogram.image import read_image

    try:
        files = sorted(Path(folder).glob("*.png")) if folder else []
        if not files:
            raise RiffusionError(_NO_SONG)
        path = Path(folder) / f"{int(number or 1) - 1:05d}.png"
        if path not in files:
            raise RiffusionError(f"Window {int(number or 1)} is not generated yet; there are {len(files)}.")
        return read_image(path).convert("RGB"), ""
    except RiffusionError as error:
        return None, message(str(error), "error")


def _layout_windows(context: PageContext, windows: Component, results: ResultPanel) -> None:
    """Lay out the buttons that send windows to img2img, and their generation parameters to txt2img."""
    import gradio as gr

    with gr.Accordion("Windows of the song", open=False, elem_id="riffusion_song_windows"):
        with gr.Row():
            number = gr.Number(value=1, precision=0, label="Number of the window", elem_id="riffusion_song_window")
            show = gr.Button("Show the window", elem_id="riffusion_song_show")
            button = gr.Button("Send to img2img", elem_id="riffusion_song_send")
            text_button = gr.Button(
                "Send to txt2img", elem_id="riffusion_song_send_text", visible=context.send_text is not None
            )
        image = gradio_compat.image("Window", "riffusion_song_picture", interactive=False)
        text = gr.Textbox(value="", visible=False, show_label=False, elem_id="riffusion_song_parameters")
    gradio_compat.keep_out_of_config(number, text)
    if context.send is not None:
        context.send(button, image)
    if context.send_text is not None:
        context.send_text(text_button, text)

    def show_window(folder: str, number: float | None) -> tuple[Update, Update, Update]:
        image, why = window_image(folder, number)
        return image, str(image.info.get("parameters", "")) if image else "", why or gr.update()

    show.click(fn=show_window, inputs=[windows, number], outputs=[image, text, results.status], **results.event_options)


def build_page(context: PageContext) -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    task = new_task()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = song_controls(context)
            images, last = _layout_images()
        with gr.Column(scale=1, min_width=320) as right:
            results = ResultPanel(
                "song", "Make the song", "The song appears here; finished parts can be played before the end."
            )
            windows = gr.State("")
            if context.send is not None:
                _layout_windows(context, windows, results)
    for name in ("seed_picture", "before"):
        context.receive(name, images[name])
    names, kinds = list(controls), list(images)
    outputs = [*results.outputs, windows]

    def updates(shown: PageUpdate) -> list[Update]:
        return [*results.updates(shown), shown.extra.get("windows", gr.update())]

    def press(*field_values: Value) -> Iterator[list[Update]]:
        values = dict(zip(names, field_values, strict=False))
        try:
            settings = settings_of(values, context.model.apply_styles)
        except RiffusionError as error:
            yield updates(PageUpdate(message(str(error), "error")))
            return
        options = {name: values[name] for name in _OPTIONS}
        for shown in make(task, context, settings, options, dict(zip(kinds, field_values[len(names) :], strict=True))):
            yield updates(shown)

    def resume_last() -> Iterator[list[Update]]:
        for shown in resume(task, context):
            yield updates(shown)

    def restore(file: object) -> list[Update]:
        values, note = values_from_file(file, "song", values_of)
        start_images: dict[str, Image.Image | None] = {}
        if values:
            start_images, note = restore_images(context, uploads_of(file)[0].path)
        found = values | start_images
        return [*(gr.update(value=found[name]) if name in found else gr.update() for name in (*names, *kinds)), note]

    def use_last_end() -> tuple[Update, Update]:
        image, why = last_end(context)
        return image if image is not None else gr.update(), why or gr.update()

    for name, button in last.items():
        button.click(fn=use_last_end, outputs=[images[name], results.status], **results.event_options)
    results.start.click(
        fn=press, inputs=[*controls.values(), *images.values()], outputs=outputs, **results.event_options
    )
    results.resume.click(fn=resume_last, outputs=outputs, **results.event_options)
    with right:
        results.finish_layout(task, restore, [*controls.values(), *images.values()])
