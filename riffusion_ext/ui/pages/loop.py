"""Page "Loop": a few bars that go round without a seam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.loop import settings_of, values_of
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import Rendered, render_piece, sound_of_piece
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.fields.loop import loop_controls
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress
from riffusion_ext.ui.layout.generation_page import Made, Shown
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.layout.result_panel import ResultPanel, restored
from riffusion_ext.ui.players import message, player

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.loop import LoopSettings

__all__ = ["build_page", "make", "new_runs"]

KIND = "loops"


def new_runs() -> BackgroundTask:
    """Return the runs of this page."""
    return BackgroundTask("A loop is being made already; stop it first.", generation_page.STOPPING)


def make(
    runs: BackgroundTask,
    place: PageContext,
    settings: LoopSettings,
    options: Mapping[str, Any],
    image: Image.Image | None = None,
) -> Iterator[Shown]:
    """Make a loop.

    Parameters
    ----------
    runs, place
        Of the page.
    settings
        What it is.
    options
        ``engine`` and ``format``, as the controls of those names.
    image
        What it starts from.
    """
    settings = generation_page.with_sampler(settings, place)

    def work(on_progress: OnProgress, cancelled: Cancelled) -> Made:
        from riffusion_ext.generate.loop import Loop

        folder = place.output_dir() / KIND
        ending = f".{control('format').clean(options['format'])}"
        decode = generation_page.decode_settings(options, place)
        loop = Loop(settings, folder / "windows", seed_picture=image, decode=decode)
        rendered = render_piece(loop, place.model.backend(), on_progress=on_progress, cancelled=cancelled)
        if rendered.error is not None:
            raise rendered.error
        if rendered.stopped:
            return Made(Rendered(0, 1), notes=(message("Stopped before the loop was finished.", "warning"),))
        clip = sound_of_piece(loop, rendered)
        if clip is None:
            raise RiffusionError("the loop was not generated")
        title = settings.prompt.strip() or "loop"
        path = loop.write(
            generation_page.result_path(place, KIND, title, ending), clip, title=title, subtype=place.subtype()
        )
        bars = f"{settings.bars:g} {'bar' if settings.bars == 1 else 'bars'}"
        tempo = f"{bars} at {settings.bpm:g} BPM, {clip.samples.shape[1]} samples."
        shown = player(place.serve(path), title, clip.duration, path.name, seed=loop.seed, loop=True)
        return Made(rendered, (shown,), (message(tempo), *generation_page.told(path, loop.infotext())))

    return generation_page.show(runs, place, work)


def build_page(place: PageContext) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    runs = new_runs()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = loop_controls(place)
            with gr.Accordion("Init image", open=False):
                image = gradio_compat.image("Init image", "riffusion_loop_seed_picture")
        with gr.Column(scale=1, min_width=320) as right:
            screen = ResultPanel(
                "loop", "Make the loop", "The loop appears here, and plays round and round.", stretches=False
            )
    names = list(controls)

    def press(image: Any, *given: Any) -> Iterator[list[Any]]:
        values = dict(zip(names, given, strict=True))
        try:
            settings = settings_of(values, place.model.apply_styles)
        except RiffusionError as error:
            yield screen.updates(Shown(message(str(error), "error")))
            return
        for shown in make(runs, place, settings, values, image):
            yield screen.updates(shown)

    def restore(file: Any) -> list[Any]:
        values, note = restored(file, "loop", values_of)
        note = note or message("The settings are those of the file. An init image is not stored in it.")
        return [*(gr.update(value=values[name]) if name in values else gr.update() for name in names), note]

    screen.start.click(fn=press, inputs=[image, *controls.values()], outputs=screen.outputs, **screen.quiet)
    with right:
        screen.end(runs, restore, list(controls.values()))
