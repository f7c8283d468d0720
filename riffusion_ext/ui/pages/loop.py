"""Page "Loop": a few bars that repeat without a seam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.loop import settings_of, values_of
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import Rendered, render_piece, sound_of_piece
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.fields.loop import loop_controls
from riffusion_ext.ui.gradio_types import Update, Value
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress
from riffusion_ext.ui.layout.generation_page import Outcome, PageUpdate
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.layout.result_panel import ResultPanel, values_from_file
from riffusion_ext.ui.players import message, player

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.generate.loop import LoopSettings

__all__ = ["build_page", "make", "new_task"]

KIND = "loops"


def new_task() -> BackgroundTask:
    """Return the background task of this page."""
    return BackgroundTask("A loop is being made already; stop it first.", generation_page.STOPPING)


def make(
    task: BackgroundTask,
    context: PageContext,
    settings: LoopSettings,
    options: Mapping[str, object],
    image: Image.Image | None = None,
) -> Iterator[PageUpdate]:
    """Generate a loop.

    Parameters
    ----------
    task, context
        Task and context of the page.
    settings
        Settings of the loop.
    options
        Values of the controls ``engine``, ``format`` and ``high_frequencies``.
    image
        Init image.
    """
    settings = generation_page.with_sampler(settings, context)

    def work(on_progress: OnProgress, cancelled: Cancelled) -> Outcome:
        from riffusion_ext.generate.loop import Loop

        folder = context.output_dir() / KIND
        ending = f".{control('format').clean(options['format'])}"
        decode = generation_page.decode_settings(options, context)
        loop = Loop(settings, folder / "windows", seed_picture=image, decode=decode)
        rendered = render_piece(loop, context.model.backend(), on_progress=on_progress, cancelled=cancelled)
        if rendered.error is not None:
            raise rendered.error
        if rendered.stopped:
            return Outcome(Rendered(0, 1), notes=(message("Stopped before the loop was finished.", "warning"),))
        clip = sound_of_piece(loop, rendered)
        if clip is None:
            raise RiffusionError("the loop was not generated")
        title = settings.prompt.strip() or "loop"
        path = loop.write(
            generation_page.result_path(context, KIND, title, ending), clip, title=title, subtype=context.subtype()
        )
        bars = f"{settings.bars:g} {'bar' if settings.bars == 1 else 'bars'}"
        tempo = f"{bars} at {settings.bpm:g} BPM, {clip.samples.shape[1]} samples."
        shown = player(context.url_of(path), title, clip.duration, path.name, seed=loop.seed, loop=True)
        return Outcome(
            rendered, (shown,), (message(tempo), *generation_page.result_notes(path, loop.infotext(), loop.notes))
        )

    return generation_page.run_and_show(task, context, work)


def build_page(context: PageContext) -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    task = new_task()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            controls = loop_controls(context)
            with gr.Accordion("Init image", open=False):
                image = gradio_compat.image("Init image", "riffusion_loop_seed_picture")
        with gr.Column(scale=1, min_width=320) as right:
            results = ResultPanel("loop", "Make the loop", "The loop appears here and repeats.", segments=False)
    names = list(controls)

    def press(image: Value, *field_values: object) -> Iterator[list[Update]]:
        values = dict(zip(names, field_values, strict=True))
        try:
            settings = settings_of(values, context.model.apply_styles)
        except RiffusionError as error:
            yield results.updates(PageUpdate(message(str(error), "error")))
            return
        for shown in make(task, context, settings, values, image):
            yield results.updates(shown)

    def restore(file: object) -> list[Update]:
        values, note = values_from_file(file, "loop", values_of)
        note = note or message("The settings are those of the file. An init image is not stored in it.")
        return [*(gr.update(value=values[name]) if name in values else gr.update() for name in names), note]

    results.start.click(fn=press, inputs=[image, *controls.values()], outputs=results.outputs, **results.event_options)
    with right:
        results.finish_layout(task, restore, list(controls.values()))
