"""Page "Training set": curated images with captions from a folder of songs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.dataset import page_values, settings_of
from riffusion_ext.ui.fields.training import training_controls
from riffusion_ext.ui.gradio_compat import keep_out_of_config, private_event
from riffusion_ext.ui.gradio_types import Update
from riffusion_ext.ui.layout.background_task import BackgroundTask, progress_bar
from riffusion_ext.ui.layout.page_context import PageContext, named_error, parse_folder
from riffusion_ext.ui.pages import review
from riffusion_ext.ui.players import message

if TYPE_CHECKING:
    from riffusion_ext.dataset.pipeline import BuildResult, Progress
    from riffusion_ext.dataset.settings import DatasetSettings
    from riffusion_ext.progress import Stage

__all__ = ["build_page", "default_folder", "make", "new_task"]

_MAX_FAILURES = 12
_VERIFIED_IMAGES = 6  # converted back to sound, to measure the error
_STOPPING = message("Stopping; finished work is kept ...")


def new_task() -> BackgroundTask:
    """Return the background task of this page."""
    return BackgroundTask("A training set is being made already; stop it first.", _STOPPING)


def make(
    task: BackgroundTask, songs: str, out: str, context: PageContext, settings: DatasetSettings
) -> Iterator[tuple[str, str]]:
    """Build a training set; yield the status as HTML, and the folder of the set, "" before it exists."""
    from riffusion_ext.convert import explain
    from riffusion_ext.dataset.pipeline import BuildResult, Progress, build
    from riffusion_ext.dataset.store import Store
    from riffusion_ext.dataset.verify import sample_windows, summarize, verify
    from riffusion_ext.progress import Stage, Stages

    summary = set_folder = stage = ""
    try:
        if not songs.strip():
            raise RiffusionError("Nothing to do yet: name a folder of songs first.")
        collection = parse_folder(songs)
        folder = parse_folder(out) if out.strip() else default_folder(context.output_dir() / "datasets", collection)

        def work(on_progress: Callable[[object], None], cancelled: Callable[[], bool]) -> str:
            built = build(collection, folder, settings, progress=on_progress, stages=on_progress, cancelled=cancelled)
            on_progress(built)
            if not built.manifest.kept or cancelled():
                return ""
            sample, checks = sample_windows(built.manifest, _VERIFIED_IMAGES), []
            count = Stages(on_progress).begin("verifying", "images", len(sample))
            for check in verify(Store(folder), sample):
                checks.append(check)
                count(len(checks))
            return summarize(checks)

        failed: list[str] = []
        shown = progress_bar(0.0, "Looking at the songs ...", "Songs")
        yield shown, ""
        for item in task.follow(work):
            if isinstance(item, Progress):
                stage = ""
                if item.result.error:
                    failed.append(_failure(item.result.song.path, item.result.error))
                shown = progress_bar(item.done / item.total, _progress_text(item), "Songs") + "".join(
                    failed[-_MAX_FAILURES:]
                )
            elif isinstance(item, Stage):
                stage = "" if item.done == item.total else message(_sentence(item))
            elif isinstance(item, BuildResult):
                stage = ""
                summary, set_folder = _summary(item, folder), str(folder)
            elif item:
                stage = ""
                summary += message(f"Turned back into sound and measured: {item}.")
            # Also without news: gradio notices only while sending that the page was closed.
            yield (summary or shown) + stage + (task.stopping_html if task.stopping else ""), set_folder
    except Exception as error:
        text = explain(error)
        text = text if isinstance(error, RiffusionError) else f"This did not work: {text}"
        yield summary + message(text, "error"), set_folder


def default_folder(parent: Path, collection: Path) -> Path:
    """Return a folder for the training set of a collection: of the same name, with a number if that is taken.

    Raises
    ------
    RiffusionError
        A training set in a folder of that name is damaged.
    """
    from riffusion_ext.dataset.curation.apply import SOURCE
    from riffusion_ext.dataset.store import Store

    name = collection.resolve().name or "songs"
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        if Store(folder).read_json(SOURCE).get("collection", str(collection)) == str(collection):
            return folder
    raise AssertionError("there are always more numbers")


def _sentence(stage: Stage) -> str:
    return stage.text[:1].upper() + stage.text[1:]


def _progress_text(progress: Progress) -> str:
    return f"{progress.done} of {progress.total} songs, {progress.speed_text}. {progress.result.song.name}"


def _summary(built: BuildResult, out: Path) -> str:
    manifest = built.manifest
    left_out = ", ".join(f"{kind} {count}" for kind, count in manifest.counts().items())
    text = f"{len(manifest.kept)} of {len(manifest.windows)} windows kept, in {out / 'pictures'}."
    notes = [message(text + (f" Left out: {left_out}." if left_out else ""))]
    if built.stopped:
        notes.append(message("Stopped. Press the button again to go on from here.", "warning"))
    elif not manifest.kept:
        notes.append(message("Nothing was kept: loosen a check, or bring windows back below.", "warning"))
    notes += [_failure(path, why) for path, why in built.failed[:_MAX_FAILURES]]
    if len(built.failed) > _MAX_FAILURES:
        notes.append(message(f"... and {len(built.failed) - _MAX_FAILURES} more files that cannot be used.", "error"))
    notes += [message(why, "error") for why in built.exported.errors[:_MAX_FAILURES]]
    notes += [message(note) for note in built.notes[:_MAX_FAILURES]]
    return "".join(notes)


def _failure(path: Path, why: str) -> str:
    return message(named_error(path.name, path, why), "error")


def build_page(context: PageContext) -> None:
    """Lay out the page in the open gradio context."""
    import gradio as gr

    task = new_task()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            songs = gr.Textbox(
                label="Folder of songs",
                value="",
                placeholder="/path/to/songs",
                info="including subfolders",
                max_lines=1,
                elem_id="riffusion_training_songs",
            )
            out = gr.Textbox(
                label="Folder of the training set",
                value="",
                placeholder="empty: a folder named after that of the songs, beside the other results",
                max_lines=1,
                elem_id="riffusion_training_out",
            )
            controls = training_controls()
            with gr.Row():
                start = gr.Button("Make the training set", variant="primary", elem_id="riffusion_training_go")
                stop = gr.Button("Stop", elem_id="riffusion_training_stop")
        with gr.Column(scale=1, min_width=320):
            status = gr.HTML(value=message("Progress and results appear here."), elem_id="riffusion_training_status")
    keep_out_of_config(songs, out)
    names = list(controls)
    sheet = review.build(context)

    def press(songs: str, out: str, *values: object) -> Iterator[tuple[Update, Update]]:
        try:
            settings = settings_of(page_values(dict(zip(names, values, strict=True))))
        except RiffusionError as error:
            yield message(str(error), "error"), gr.update()
            return
        for shown, set_folder in make(task, songs, out, context, settings):
            yield shown, set_folder or gr.update()

    event_options: dict[str, object] = {"show_progress": "hidden", **private_event()}
    running = start.click(
        fn=press,
        inputs=[songs, out, *controls.values()],
        outputs=[status, sheet.folder],
        **event_options,
    )
    running.then(fn=sheet.load, inputs=sheet.inputs, outputs=sheet.outputs, **event_options)
    stop.click(fn=lambda: task.stop() or gr.update(), outputs=[status], queue=False, **event_options)
