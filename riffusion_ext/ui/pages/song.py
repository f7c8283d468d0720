"""Page "Song": prompts over time in, minutes of music out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.options.song import settings_of, values_of
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import sound_of_piece
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.fields.song import song_controls
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress
from riffusion_ext.ui.layout.generation_page import Made, Shown
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.layout.result_panel import ResultPanel, restored
from riffusion_ext.ui.layout.resume_state import ResumeState
from riffusion_ext.ui.players import message, player
from riffusion_ext.ui.uploads import uploaded

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.song import Song, SongSettings

__all__ = [
    "build_page",
    "last_end",
    "make",
    "new_runs",
    "restored_images",
    "resume",
    "window_image",
]

KIND = "songs"
IMAGES = {"seed_picture": "init image", "mask": "mask", "before": "clip to continue"}
_OPTIONS = ("batch", "engine", "format")
_ENDS = "ends"
_NOTHING = "There is no song yet: make one first."


def new_runs() -> BackgroundTask:
    """Return the runs of this page."""
    return BackgroundTask("A song is being made already; stop it first.", generation_page.STOPPING)


def make(
    runs: BackgroundTask,
    place: PageContext,
    settings: SongSettings,
    options: Mapping[str, Any],
    images: Mapping[str, Image.Image | None],
) -> Iterator[Shown]:
    """Make a song, or go on with it where its windows are there already.

    Parameters
    ----------
    runs, place
        Of the page.
    settings
        What the song is.
    options
        ``batch``, ``engine`` and ``format``, as the controls of those names.
    images
        By the names in :data:`IMAGES`.
    """
    settings = generation_page.with_sampler(settings, place)

    def work(on_progress: OnProgress, cancelled: Cancelled) -> Made:
        from riffusion_ext.generate.checkpoint.recipe import to_record
        from riffusion_ext.generate.song import Song

        folder = place.output_dir() / KIND
        song = Song(
            settings,
            folder / "windows",
            decode=generation_page.decode_settings(options, place),
            **{name: images.get(name) for name in IMAGES},
        )
        ending = f".{control('format').clean(options['format'])}"
        unfinished = ResumeState(folder)
        backend = place.model.backend()
        unfinished.save({"settings": to_record(song.settings), "options": dict(options), "model": backend.name}, images)
        generated = generation_page.generate(
            song, backend, folder / "parts", on_progress, cancelled, batch=int(options["batch"])
        )
        clip = sound_of_piece(song, generated, on_progress)
        if clip is None:
            return Made(generated)
        title = song.settings.score.keyframes[0].prompt
        path = generation_page.result_path(place, KIND, title + ("" if generated.complete else " (unfinished)"), ending)
        song.write(path, clip, title=title, subtype=place.subtype())
        _keep_end(song, folder / _ENDS)
        if generated.complete:
            unfinished.forget()
        shown = player(place.serve(path), title or path.stem, clip.duration, path.name, seed=song.seed)
        extra = {"windows": str(song.windows_folder)}
        return Made(generated, (shown,), generation_page.told(path, song.infotext(), song.notes), extra)

    return generation_page.show(runs, place, work)


def _keep_end(song: Song, folder: Path) -> None:
    """Keep the end of a song as an image that another one can go on from."""
    end = song.image(columns=song.settings.width)
    if end is not None:
        path = folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.png"
        write_atomically(path, lambda file: end.save(file, format="PNG"))
        generation_page.keep_newest(folder)


def last_end(place: PageContext) -> tuple[Image.Image | None, str]:
    """Return the end of the song that was made last; else why not, as HTML."""
    from riffusion_ext.spectrogram.image import read_image

    try:
        paths = sorted((place.output_dir() / KIND / _ENDS).glob("*.png"))
        if not paths:
            raise RiffusionError(_NOTHING)
        return read_image(paths[-1]).convert("RGB"), ""
    except RiffusionError as error:
        return None, message(str(error), "error")


def restored_images(place: PageContext, path: Path) -> tuple[dict[str, Image.Image | None], str]:
    """Return the images that a song began with, all of :data:`IMAGES`, and what to say of them, as HTML."""
    from riffusion_ext.generate.restore import images_in

    kept, identities = ResumeState(place.output_dir() / KIND), images_in(path)
    found = {name: kept.image(identities[name]) if name in identities else None for name in IMAGES}
    gone = [IMAGES[name] for name in identities if name in found and found[name] is None]
    if not gone:
        return found, message("The settings are those of the file.")
    which = " and ".join(gone)
    return found, message(f"The settings are those of the file. Choose its {which}: that is not kept here.", "warning")


def resume(runs: BackgroundTask, place: PageContext) -> Iterator[Shown]:
    """Go on with the last song that was stopped before its end."""
    from riffusion_ext.generate.checkpoint.recipe import read_record
    from riffusion_ext.generate.song import SongSettings

    try:
        values, images = ResumeState(place.output_dir() / KIND).load(place.model_name())
        settings = read_record(SongSettings, values["settings"])
    except RiffusionError as error:
        yield Shown(message(str(error), "error"))
        return
    yield from make(runs, place, settings, values["options"], images)


def _images() -> tuple[dict[str, Any], dict[str, Any]]:
    """Lay out the images, and buttons that fill some of them from the last song; both by name of the image."""
    import gradio as gr

    made: dict[str, Any] = {}
    last: dict[str, Any] = {}
    with gr.Accordion("Init images", open=False, elem_id="riffusion_song_pictures"):
        with gr.Row():
            made["seed_picture"] = gradio_compat.image("Init image", "riffusion_song_seed_picture")
            made["mask"] = gradio_compat.image("Mask: white is regenerated", "riffusion_song_mask")
        made["before"] = gradio_compat.image("Continue this clip", "riffusion_song_before")
        with gr.Row():
            last["before"] = gr.Button("Continue the last song", elem_id="riffusion_song_last")
            last["seed_picture"] = gr.Button("Seed from the last song", elem_id="riffusion_song_last_seed")
    return made, last


def window_image(folder: str, number: float | None) -> tuple[Image.Image | None, str]:
    """Return the image of a window of the song on the page, by its number from 1; else why not, as HTML."""
    from riffusion_ext.spectrogram.image import read_image

    try:
        files = sorted(Path(folder).glob("*.png")) if folder else []
        if not files:
            raise RiffusionError(_NOTHING)
        path = Path(folder) / f"{int(number or 1) - 1:05d}.png"
        if path not in files:
            raise RiffusionError(f"Window {int(number or 1)} is not generated yet; there are {len(files)}.")
        return read_image(path).convert("RGB"), ""
    except RiffusionError as error:
        return None, message(str(error), "error")


def _hand_over(place: PageContext, windows: Any, screen: ResultPanel) -> None:
    """Lay out a way for windows to img2img, and for how they were made to txt2img."""
    import gradio as gr

    with gr.Accordion("Windows of the song", open=False, elem_id="riffusion_song_windows"):
        with gr.Row():
            number = gr.Number(value=1, precision=0, label="Number of the window", elem_id="riffusion_song_window")
            show = gr.Button("Show the window", elem_id="riffusion_song_show")
            button = gr.Button("Send to img2img", elem_id="riffusion_song_send")
            again = gr.Button(
                "Send to txt2img", elem_id="riffusion_song_send_text", visible=place.send_text is not None
            )
        image = gradio_compat.image("Window", "riffusion_song_picture", interactive=False)
        text = gr.Textbox(value="", visible=False, show_label=False, elem_id="riffusion_song_parameters")
    number.do_not_save_to_config = text.do_not_save_to_config = True
    if place.send is not None:
        place.send(button, image)
    if place.send_text is not None:
        place.send_text(again, text)

    def look(folder: str, number: float | None) -> tuple[Any, Any, Any]:
        image, why = window_image(folder, number)
        return image, str(image.info.get("parameters", "")) if image else "", why or gr.update()

    show.click(fn=look, inputs=[windows, number], outputs=[image, text, screen.status], **screen.quiet)


def build_page(place: PageContext) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    runs = new_runs()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = song_controls(place)
            images, last = _images()
        with gr.Column(scale=1, min_width=320) as right:
            screen = ResultPanel(
                "song", "Make the song", "The song appears here; finished parts can be played before the end."
            )
            windows = gr.State("")
            if place.send is not None:
                _hand_over(place, windows, screen)
    for name in ("seed_picture", "before"):
        place.receive(name, images[name])
    names, kinds = list(controls), list(images)
    outputs = [*screen.outputs, windows]

    def updates(shown: Shown) -> list[Any]:
        return [*screen.updates(shown), shown.extra.get("windows", gr.update())]

    def press(*given: Any) -> Iterator[list[Any]]:
        values = dict(zip(names, given, strict=False))
        try:
            settings = settings_of(values, place.model.apply_styles)
        except RiffusionError as error:
            yield updates(Shown(message(str(error), "error")))
            return
        options = {name: values[name] for name in _OPTIONS}
        for shown in make(runs, place, settings, options, dict(zip(kinds, given[len(names) :], strict=True))):
            yield updates(shown)

    def go_on() -> Iterator[list[Any]]:
        for shown in resume(runs, place):
            yield updates(shown)

    def restore(file: Any) -> list[Any]:
        values, note = restored(file, "song", values_of)
        begun: dict[str, Image.Image | None] = {}
        if values:
            begun, note = restored_images(place, uploaded(file)[0].path)
        found = values | begun
        return [*(gr.update(value=found[name]) if name in found else gr.update() for name in (*names, *kinds)), note]

    def take_last() -> tuple[Any, Any]:
        image, why = last_end(place)
        return image if image is not None else gr.update(), why or gr.update()

    for name, button in last.items():
        button.click(fn=take_last, outputs=[images[name], screen.status], **screen.quiet)
    screen.start.click(fn=press, inputs=[*controls.values(), *images.values()], outputs=outputs, **screen.quiet)
    screen.resume.click(fn=go_on, outputs=outputs, **screen.quiet)
    with right:
        screen.end(runs, restore, [*controls.values(), *images.values()])
