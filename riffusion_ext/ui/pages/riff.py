"""Page "Riff": a whole song is regenerated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.riff import settings_of, values_of
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import sound_progress
from riffusion_ext.ui.fields.riff import riff_controls
from riffusion_ext.ui.gradio_compat import file_input, private
from riffusion_ext.ui.layout import generation_page
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress
from riffusion_ext.ui.layout.generation_page import Made, Shown
from riffusion_ext.ui.layout.page_context import PageContext, Upload, chosen_files
from riffusion_ext.ui.layout.result_panel import ResultPanel, restored
from riffusion_ext.ui.layout.resume_state import ResumeState
from riffusion_ext.ui.players import message, panel, player

if TYPE_CHECKING:
    from riffusion_ext.generate.riff import Riff, RiffSettings

__all__ = ["build_page", "difference", "make", "mixed", "new_runs", "resume"]

KIND = "riffs"
_OPTIONS = ("batch", "engine", "format")
_KEPT = 4  # results to mix anew: 20 MB for each minute in stereo
_NOTHING = "There is no riff yet: make one first."


def new_runs() -> BackgroundTask:
    """Return the runs of this page."""
    return BackgroundTask("A riff is being made already; stop it first.", generation_page.STOPPING)


def make(
    runs: BackgroundTask,
    place: PageContext,
    song: Upload,
    settings: RiffSettings,
    options: Mapping[str, Any],
    *,
    limit: int | None = None,
) -> Iterator[Shown]:
    """Generate a song over, or go on with it where its windows are there already.

    Parameters
    ----------
    runs, place
        Of the page.
    song
        A sound file.
    settings
        What becomes of it.
    options
        ``batch``, ``engine`` and ``format``, as the controls of those names.
    limit
        Only the first so many windows, to listen.

    Yields
    ------
    Shown
        The last one's ``extra`` has ``seed``, and ``done``: what :func:`mixed` and :func:`difference` take.
    """
    settings = generation_page.with_sampler(settings, place)

    def work(on_progress: OnProgress, cancelled: Cancelled) -> Made:
        from riffusion_ext.audio import write_audio
        from riffusion_ext.generate.checkpoint.recipe import to_record

        folder = place.output_dir() / KIND
        ending = f".{control('format').clean(options['format'])}"
        riff = _riff(place, song, settings, options)
        record = to_record(riff.settings)
        backend = place.model.backend()
        kept = {
            "settings": record,
            "options": dict(options),
            "song": str(song.path),
            "name": song.name,
            "model": backend.name,
        }
        unfinished = ResumeState(folder)
        if limit is None:
            unfinished.save(kept, {})
        generated = generation_page.generate(
            riff, backend, folder / "parts", on_progress, cancelled, batch=int(options["batch"]), limit=limit
        )
        wet = riff.wet(progress=sound_progress(generated, on_progress))
        if wet is None:
            return Made(generated)
        wet_path = folder / "wet" / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.wav"
        write_audio(wet, wet_path, subtype="float")
        generation_page.keep_newest(wet_path.parent, _KEPT)
        clip = riff.mix(wet)
        part = " (first window)" if limit else "" if generated.complete else " (unfinished)"
        title = Path(song.name).stem + part
        path = riff.write(
            generation_page.result_path(place, KIND, title, ending), clip, title=title, subtype=place.subtype()
        )
        if generated.complete and limit is None:
            unfinished.forget()
        seed = riff.seed
        done = kept | {"wet": str(wet_path)}
        shown = player(place.serve(path), title, clip.duration, path.name, seed=seed)
        return Made(
            generated, (shown,), generation_page.told(path, riff.infotext(), riff.notes), {"seed": seed, "done": done}
        )

    return generation_page.show(runs, place, work)


def _riff(place: PageContext, song: Upload, settings: RiffSettings, options: Mapping[str, Any]) -> Riff:
    from riffusion_ext.audio import read_audio
    from riffusion_ext.generate.riff import Riff

    decode = generation_page.decode_settings(options, place)
    return Riff(read_audio(song.path), settings, place.output_dir() / KIND / "windows", decode=decode)


def resume(runs: BackgroundTask, place: PageContext) -> Iterator[Shown]:
    """Go on with the last riff that was stopped before its end."""
    from riffusion_ext.generate.checkpoint.recipe import read_record
    from riffusion_ext.generate.riff_settings import RiffSettings

    try:
        values, _ = ResumeState(place.output_dir() / KIND).load(place.model_name())
        settings = read_record(RiffSettings, values["settings"])
        song = Upload(Path(str(values["song"])), str(values["name"]))
        if not song.path.is_file():
            raise RiffusionError(
                f"The song {song.name} is gone: choose it again, restore the settings from the sound file of the "
                "finished part, and press Riff."
            )
    except RiffusionError as error:
        yield Shown(message(str(error), "error"))
        return
    yield from make(runs, place, song, settings, values["options"])


def _again(place: PageContext, done: Mapping[str, Any], values: Mapping[str, Any]) -> Riff:
    """Return the riff that was made, with the mix of now."""
    from riffusion_ext.generate.checkpoint.recipe import read_record
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.score.automation import parse_curve

    if not done:
        raise RiffusionError(_NOTHING)
    settings: RiffSettings = read_record(RiffSettings, done["settings"])
    wet = parse_curve(str(values["wet"]), name="the share of the result", low=0.0, high=1.0)
    settings = replace(settings, wet=wet, law=str(values["law"]), level=str(values["level"]))
    return _riff(place, Upload(Path(done["song"]), done["name"]), settings, done["options"])


def mixed(place: PageContext, done: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Mix what was generated with the song anew.

    Parameters
    ----------
    place
        Of the page.
    done
        From :func:`make`.
    values
        ``wet``, ``law``, ``level`` and ``format``, as the controls of those names.

    Returns
    -------
    str
        A player or a message, as HTML.
    """
    from riffusion_ext.audio import read_audio

    def work() -> str:
        riff = _again(place, done, values)
        riff.open(done["model"])
        clip = riff.mix(read_audio(done["wet"]))
        title = f"{Path(done['name']).stem} (mix {values['wet']})"
        ending = f".{control('format').clean(values['format'])}"
        path = riff.write(
            generation_page.result_path(place, KIND, title, ending), clip, title=title, subtype=place.subtype()
        )
        return panel([player(place.serve(path), title, clip.duration, path.name)], [message(f"Saved as {path}")])

    return generation_page.attempt(work)


def difference(place: PageContext, done: Mapping[str, Any], values: Mapping[str, Any], *, lost: bool) -> str:
    """Make heard what the result has more than the song, or less where `lost`. Parameters as :func:`mixed`."""

    def work() -> str:
        riff = _again(place, done, values)
        riff.open(done["model"])
        clip = riff.difference(lost=lost)
        if clip is None:
            raise RiffusionError(_NOTHING)
        title = f"{Path(done['name']).stem} ({'lost' if lost else 'gained'})"
        path = riff.write(
            generation_page.result_path(place, KIND, title, ".wav"), clip, title=title, subtype=place.subtype()
        )
        return panel([player(place.serve(path), title, clip.duration, path.name)])

    return generation_page.attempt(work)


def build_page(place: PageContext) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    runs = new_runs()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            file = file_input("Input song", "riffusion_riff_file", file_types=["audio"])
            controls = riff_controls(place)
        with gr.Column(scale=1, min_width=320) as right:
            screen = ResultPanel(
                "riff",
                "Riff",
                "The result appears here.",
                more={"preview": "Preview the first window"},
            )
            with gr.Row():
                mix = gr.Button("Remix without generating", elem_id="riffusion_riff_mix")
                gained = gr.Button("Hear what was gained", elem_id="riffusion_riff_gained")
                lost = gr.Button("Hear what was lost", elem_id="riffusion_riff_lost")
            listening = gr.HTML(value="", elem_id="riffusion_riff_listening")
            done = gr.State({})
    names = list(controls)
    seed = controls["seed"]

    def run(given: tuple[Any, ...], limit: int | None) -> Iterator[list[Any]]:
        file, *rest = given
        values = dict(zip(names, rest, strict=True))
        try:
            uploads, _ = chosen_files(file, None, ())
            settings = settings_of(values, place.model.apply_styles)
        except RiffusionError as error:
            yield [*screen.updates(Shown(message(str(error), "error"))), gr.update(), gr.update()]
            return
        options = {name: values[name] for name in _OPTIONS}
        for shown in make(runs, place, uploads[0], settings, options, limit=limit):
            # The seed that was chosen for the preview is that of the whole, so that it begins with what was heard.
            chosen = gr.update(value=shown.extra["seed"]) if limit and "seed" in shown.extra else gr.update()
            yield [*screen.updates(shown), shown.extra.get("done", gr.update()), chosen]

    def press(*given: Any) -> Iterator[list[Any]]:
        yield from run(given, None)

    def listen(*given: Any) -> Iterator[list[Any]]:
        yield from run(given, 1)

    def go_on() -> Iterator[list[Any]]:
        for shown in resume(runs, place):
            yield [*screen.updates(shown), shown.extra.get("done", gr.update()), gr.update()]

    def restore(file: Any) -> list[Any]:
        values, note = restored(file, "riff", values_of)
        note = note or message("The settings are those of the file; choose its song above.")
        return [*(gr.update(value=values[name]) if name in values else gr.update() for name in names), note]

    def after(fn: Any, **options: Any) -> Any:
        def go(done: dict[str, Any], *given: Any) -> str:
            return str(fn(place, done, dict(zip(("wet", "law", "level", "format"), given, strict=True)), **options))

        return go

    inputs, outputs = [file, *controls.values()], [*screen.outputs, done, seed]
    screen.start.click(fn=press, inputs=inputs, outputs=outputs, **screen.quiet)
    screen.more["preview"].click(fn=listen, inputs=inputs, outputs=outputs, **screen.quiet)
    screen.resume.click(fn=go_on, outputs=outputs, **screen.quiet)
    with right:
        screen.end(runs, restore, list(controls.values()))
    mixing = [done, *(controls[name] for name in ("wet", "law", "level", "format"))]
    for button, fn in (
        (mix, after(mixed)),
        (gained, after(difference, lost=False)),
        (lost, after(difference, lost=True)),
    ):
        button.click(fn=fn, inputs=mixing, outputs=[listening], **private())
