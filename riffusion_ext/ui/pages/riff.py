"""Page "Riff": regenerate a whole song."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.riff import settings_of, values_of
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import sound_progress
from riffusion_ext.ui.fields.riff import riff_controls
from riffusion_ext.ui.gradio_compat import file_input, private_event
from riffusion_ext.ui.gradio_types import Update
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress
from riffusion_ext.ui.layout.generation_page import Outcome, PageUpdate
from riffusion_ext.ui.layout.page_context import PageContext, Upload, chosen_files
from riffusion_ext.ui.layout.result_panel import ResultPanel, values_from_file
from riffusion_ext.ui.layout.resume_state import ResumeState, mapping_in
from riffusion_ext.ui.players import message, panel, player
from riffusion_ext.validation.values import whole

if TYPE_CHECKING:
    from riffusion_ext.generate.riff import Riff, RiffSettings

__all__ = ["build_page", "make", "new_task", "play_difference", "remix", "resume"]

KIND = "riffs"
_OPTIONS = ("batch", "engine", "format", "high_frequencies")
_MAX_WET_FILES = 4  # results that can be remixed; 20 MB per minute in stereo
_NO_RIFF = "There is no riff yet: make one first."


class RiffRun(TypedDict):
    """A run of the page: settings as a record, values of controls, path and name of the song, and the model."""

    settings: Mapping[str, object]
    options: Mapping[str, object]
    song: str
    name: str
    model: str


class RiffResult(RiffRun):
    """A run with a result: also the path of the generated sound, before the mix."""

    wet: str


def new_task() -> BackgroundTask:
    """Return the background task of this page."""
    return BackgroundTask("A riff is being made already; stop it first.", generation_page.STOPPING)


def make(
    task: BackgroundTask,
    context: PageContext,
    song: Upload,
    settings: RiffSettings,
    options: Mapping[str, object],
    *,
    limit: int | None = None,
) -> Iterator[PageUpdate]:
    """Regenerate a song; windows that are finished already are reused.

    Parameters
    ----------
    task, context
        Task and context of the page.
    song
        A sound file.
    settings
        Settings of the riff.
    options
        Values of the controls ``batch``, ``engine``, ``format`` and ``high_frequencies``.
    limit
        Number of windows, for a preview; None for all.

    Yields
    ------
    PageUpdate
        The last one's ``extra`` has ``seed``, and ``done``, the argument of :func:`remix` and :func:`play_difference`.
    """
    settings = generation_page.with_sampler(settings, context)

    def work(on_progress: OnProgress, cancelled: Cancelled) -> Outcome:
        from riffusion_ext.audio import write_audio
        from riffusion_ext.generate.checkpoint.recipe import to_record

        folder = context.output_dir() / KIND
        ending = f".{control('format').clean(options['format'])}"
        riff = _riff(context, song, settings, options)
        record = to_record(riff.settings)
        backend = context.model.backend()
        run: RiffRun = {
            "settings": record,
            "options": dict(options),
            "song": str(song.path),
            "name": song.name,
            "model": backend.name,
        }
        unfinished = ResumeState(folder)
        if limit is None:
            unfinished.save(run, {})
        generated = generation_page.generate(
            riff, backend, folder / "parts", on_progress, cancelled, batch=whole(options["batch"]), limit=limit
        )
        wet = riff.wet(progress=sound_progress(generated, on_progress))
        if wet is None:
            return Outcome(generated)
        wet_path = folder / "wet" / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.wav"
        write_audio(wet, wet_path, subtype="float")
        generation_page.keep_newest(wet_path.parent, _MAX_WET_FILES)
        clip = riff.mix(wet)
        part = " (first window)" if limit else "" if generated.complete else " (unfinished)"
        title = Path(song.name).stem + part
        path = riff.write(
            generation_page.result_path(context, KIND, title, ending), clip, title=title, subtype=context.subtype()
        )
        if generated.complete and limit is None:
            unfinished.forget()
        seed = riff.seed
        result: RiffResult = {**run, "wet": str(wet_path)}
        shown = player(context.url_of(path), title, clip.duration, path.name, seed=seed)
        return Outcome(
            generated,
            (shown,),
            generation_page.result_notes(path, riff.infotext(), riff.notes),
            {"seed": seed, "done": result},
        )

    return generation_page.run_and_show(task, context, work)


def _riff(context: PageContext, song: Upload, settings: RiffSettings, options: Mapping[str, object]) -> Riff:
    from riffusion_ext.audio import read_audio
    from riffusion_ext.generate.riff import Riff

    decode = generation_page.decode_settings(options, context)
    return Riff(read_audio(song.path), settings, context.output_dir() / KIND / "windows", decode=decode)


def resume(task: BackgroundTask, context: PageContext) -> Iterator[PageUpdate]:
    """Continue the last unfinished riff."""
    from riffusion_ext.generate.checkpoint.recipe import read_record
    from riffusion_ext.generate.riff_settings import RiffSettings

    try:
        values, _ = ResumeState(context.output_dir() / KIND).load(context.model_name())
        options = mapping_in(values, "options")
        settings = read_record(RiffSettings, mapping_in(values, "settings"))
        song = Upload(Path(str(values["song"])), str(values["name"]))
        if not song.path.is_file():
            raise RiffusionError(
                f"The song {song.name} is gone: choose it again, restore the settings from the sound file of the "
                "finished part, and press Riff."
            )
    except RiffusionError as error:
        yield PageUpdate(message(str(error), "error"))
        return
    yield from make(task, context, song, settings, options)


def _remixed_riff(context: PageContext, result: RiffResult, values: Mapping[str, object], **changed: object) -> Riff:
    """Return the finished riff with the present values of the mix, and with changed options."""
    from riffusion_ext.generate.checkpoint.recipe import read_record
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.automation import parse_curve

    if not result:
        raise RiffusionError(_NO_RIFF)
    settings: RiffSettings = read_record(RiffSettings, result["settings"])
    wet = parse_curve(str(values["wet"]), name="the share of the result", low=0.0, high=1.0)
    settings = replace(settings, wet=wet, law=str(values["law"]), level=str(values["level"]))
    options = {**result["options"], **changed}
    return _riff(context, Upload(Path(result["song"]), result["name"]), settings, options)


def remix(context: PageContext, result: RiffResult, values: Mapping[str, object]) -> str:
    """Mix the generated sound with the song again.

    Parameters
    ----------
    context
        Context of the page.
    result
        Value ``done`` of :func:`make`.
    values
        Values of the controls ``wet``, ``law``, ``level`` and ``format``.

    Returns
    -------
    str
        A player or a message, as HTML.
    """
    from riffusion_ext.audio import read_audio

    def work() -> str:
        riff = _remixed_riff(context, result, values)
        riff.open(result["model"])
        clip = riff.mix(read_audio(result["wet"]))
        title = f"{Path(result['name']).stem} (mix {values['wet']})"
        ending = f".{control('format').clean(values['format'])}"
        path = riff.write(
            generation_page.result_path(context, KIND, title, ending), clip, title=title, subtype=context.subtype()
        )
        return panel([player(context.url_of(path), title, clip.duration, path.name)], [message(f"Saved as {path}")])

    return generation_page.html_or_error(work)


def play_difference(context: PageContext, result: RiffResult, values: Mapping[str, object], *, lost: bool) -> str:
    """Return a player of what the result adds to the song, or lacks if `lost`. Parameters as :func:`remix`.

    Nothing is predicted above the images: the difference of two images is not music of its own.
    """

    def work() -> str:
        riff = _remixed_riff(context, result, values, high_frequencies="off")
        riff.open(result["model"])
        clip = riff.difference(lost=lost)
        if clip is None:
            raise RiffusionError(_NO_RIFF)
        title = f"{Path(result['name']).stem} ({'lost' if lost else 'gained'})"
        path = riff.write(
            generation_page.result_path(context, KIND, title, ".wav"), clip, title=title, subtype=context.subtype()
        )
        return panel([player(context.url_of(path), title, clip.duration, path.name)])

    return generation_page.html_or_error(work)


def build_page(context: PageContext) -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    task = new_task()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            file = file_input("Input song", "riffusion_riff_file", file_types=["audio"])
            controls = riff_controls(context)
        with gr.Column(scale=1, min_width=320) as right:
            results = ResultPanel(
                "riff",
                "Riff",
                "The result appears here.",
                extra_buttons={"preview": "Preview the first window"},
            )
            with gr.Row():
                mix = gr.Button("Remix without generating", elem_id="riffusion_riff_mix")
                gained = gr.Button("Hear what was gained", elem_id="riffusion_riff_gained")
                lost = gr.Button("Hear what was lost", elem_id="riffusion_riff_lost")
            comparison = gr.HTML(value="", elem_id="riffusion_riff_listening")
            result = gr.State({})
    names = list(controls)
    seed = controls["seed"]

    def run(field_values: tuple[object, ...], limit: int | None) -> Iterator[list[Update]]:
        file, *rest = field_values
        values = dict(zip(names, rest, strict=True))
        try:
            uploads, _ = chosen_files(file, None, ())
            settings = settings_of(values, context.model.apply_styles)
        except RiffusionError as error:
            yield [*results.updates(PageUpdate(message(str(error), "error"))), gr.update(), gr.update()]
            return
        options = {name: values[name] for name in _OPTIONS}
        for shown in make(task, context, uploads[0], settings, options, limit=limit):
            # The seed of the preview goes into its field, so that the whole riff begins like the preview.
            chosen = gr.update(value=shown.extra["seed"]) if limit and "seed" in shown.extra else gr.update()
            yield [*results.updates(shown), shown.extra.get("done", gr.update()), chosen]

    def press(*field_values: object) -> Iterator[list[Update]]:
        yield from run(field_values, None)

    def listen(*field_values: object) -> Iterator[list[Update]]:
        yield from run(field_values, 1)

    def resume_last() -> Iterator[list[Update]]:
        for shown in resume(task, context):
            yield [*results.updates(shown), shown.extra.get("done", gr.update()), gr.update()]

    def restore(file: object) -> list[Update]:
        values, note = values_from_file(file, "riff", values_of)
        note = note or message("The settings are those of the file; choose its song above.")
        return [*(gr.update(value=values[name]) if name in values else gr.update() for name in names), note]

    def after_result(fn: Callable[..., str], **options: bool) -> Callable[..., str]:
        def go(result: RiffResult, *field_values: object) -> str:
            return fn(
                context, result, dict(zip(("wet", "law", "level", "format"), field_values, strict=True)), **options
            )

        return go

    inputs, outputs = [file, *controls.values()], [*results.outputs, result, seed]
    results.start.click(fn=press, inputs=inputs, outputs=outputs, **results.event_options)
    results.extra_buttons["preview"].click(fn=listen, inputs=inputs, outputs=outputs, **results.event_options)
    results.resume.click(fn=resume_last, outputs=outputs, **results.event_options)
    with right:
        results.finish_layout(task, restore, list(controls.values()))
    mixing = [result, *(controls[name] for name in ("wet", "law", "level", "format"))]
    for button, fn in (
        (mix, after_result(remix)),
        (gained, after_result(play_difference, lost=False)),
        (lost, after_result(play_difference, lost=True)),
    ):
        button.click(fn=fn, inputs=mixing, outputs=[comparison], **private_event())
