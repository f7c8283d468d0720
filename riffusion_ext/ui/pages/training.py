"""Page "Training set": a folder of songs in, curated images with captions out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.dataset import page_values, settings_of
from riffusion_ext.ui.fields.training import training_controls
from riffusion_ext.ui.gradio_compat import keep_out_of_config, private
from riffusion_ext.ui.layout.background_task import BackgroundTask, bar
from riffusion_ext.ui.layout.page_context import PageContext, named_error, named_folder
from riffusion_ext.ui.pages import review
from riffusion_ext.ui.players import message

if TYPE_CHECKING:
    from riffusion_ext.dataset.pipeline import Built, Progress
    from riffusion_ext.dataset.settings import DatasetSettings
    from riffusion_ext.progress import Stage

__all__ = ["build_page", "make", "new_runs", "own_folder"]

_MOST_FAILURES = 12
_CHECKED = 6  # images that are turned back into sound
_STOPPING = message("Stopping; what is done stays ...")


def new_runs() -> BackgroundTask:
    """Return the runs of this page."""
    return BackgroundTask("A training set is being made already; stop it first.", _STOPPING)


def make(
    runs: BackgroundTask, songs: str, out: str, place: PageContext, settings: DatasetSettings
) -> Iterator[tuple[str, str]]:
    """Make a training set; yields what the page shows, and the folder of the set once there is one."""
    from riffusion_ext.convert import explain
    from riffusion_ext.dataset.pipeline import Built, Progress, build
    from riffusion_ext.dataset.store import Store
    from riffusion_ext.dataset.verify import described, sample_of, verify
    from riffusion_ext.progress import Stage, Stages

    summary = made = stage = ""
    try:
        if not songs.strip():
            raise RiffusionError("Nothing to do yet: name a folder of songs first.")
        collection = named_folder(songs)
        folder = named_folder(out) if out.strip() else own_folder(place.output_dir() / "datasets", collection)

        def work(on_progress: Callable[[Any], None], cancelled: Callable[[], bool]) -> str:
            built = build(collection, folder, settings, progress=on_progress, stages=on_progress, cancelled=cancelled)
            on_progress(built)
            if not built.manifest.kept or cancelled():
                return ""
            sample, checks = sample_of(built.manifest, _CHECKED), []
            count = Stages(on_progress).begin("verifying", "images", len(sample))
            for check in verify(Store(folder), sample):
                checks.append(check)
                count(len(checks))
            return described(checks)

        failed: list[str] = []
        shown = bar(0.0, "Looking at the songs ...", "Songs")
        yield shown, ""
        for item in runs.follow(work):
            if isinstance(item, Progress):
                stage = ""
                if item.cut.error:
                    failed.append(_failure(item.cut.song.path, item.cut.error))
                shown = bar(item.done / item.total, _how_far(item), "Songs") + "".join(failed[-_MOST_FAILURES:])
            elif isinstance(item, Stage):
                stage = "" if item.done == item.total else message(_sentence(item))
            elif isinstance(item, Built):
                stage = ""
                summary, made = _summary(item, folder), str(folder)
            elif item:
                stage = ""
                summary += message(f"Turned back into sound and measured: {item}.")
            # Also where nothing moved: only in sending gradio notices that the page was closed.
            yield (summary or shown) + stage + (runs.stopping_html if runs.stopping else ""), made
    except Exception as error:
        text = explain(error)
        text = text if isinstance(error, RiffusionError) else f"This did not work: {text}"
        yield summary + message(text, "error"), made


def own_folder(parent: Path, collection: Path) -> Path:
    """Return the folder for the training set of a collection: its namesake, unless that is another collection's.

    Raises
    ------
    RiffusionError
        A folder of that name is damaged.
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


def _how_far(progress: Progress) -> str:
    return f"{progress.done} of {progress.total} songs, {progress.pace}. {progress.cut.song.name}"


def _summary(built: Built, out: Path) -> str:
    manifest = built.manifest
    left_out = ", ".join(f"{kind} {count}" for kind, count in manifest.counts().items())
    text = f"{len(manifest.kept)} of {len(manifest.windows)} windows kept, in {out / 'pictures'}."
    notes = [message(text + (f" Left out: {left_out}." if left_out else ""))]
    if built.stopped:
        notes.append(message("Stopped. Press the button again to go on from here.", "warning"))
    elif not manifest.kept:
        notes.append(message("Nothing was kept: loosen a check, or bring windows back below.", "warning"))
    notes += [_failure(path, why) for path, why in built.failed[:_MOST_FAILURES]]
    if len(built.failed) > _MOST_FAILURES:
        notes.append(message(f"... and {len(built.failed) - _MOST_FAILURES} more files that cannot be used.", "error"))
    notes += [message(why, "error") for why in built.exported.errors[:_MOST_FAILURES]]
    notes += [message(note) for note in built.notes[:_MOST_FAILURES]]
    return "".join(notes)


def _failure(path: Path, why: str) -> str:
    return message(named_error(path.name, path, why), "error")


def build_page(place: PageContext) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    runs = new_runs()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            songs = gr.Textbox(
                label="Folder of songs",
                value="",
                placeholder="/path/to/songs",
                info="with the folders in it",
                max_lines=1,
                elem_id="riffusion_training_songs",
            )
            out = gr.Textbox(
                label="Folder of the training set",
                value="",
                placeholder="empty: named after the songs, among the other results",
                max_lines=1,
                elem_id="riffusion_training_out",
            )
            controls = training_controls()
            with gr.Row():
                start = gr.Button("Make the training set", variant="primary", elem_id="riffusion_training_go")
                stop = gr.Button("Stop", elem_id="riffusion_training_stop")
        with gr.Column(scale=1, min_width=320):
            status = gr.HTML(value=message("What was kept and why appears here."), elem_id="riffusion_training_status")
    keep_out_of_config(songs, out)
    names = list(controls)
    opened = review.build(place)

    def press(songs: str, out: str, *values: Any) -> Iterator[Any]:
        try:
            settings = settings_of(page_values(dict(zip(names, values, strict=True))))
        except RiffusionError as error:
            yield message(str(error), "error"), gr.update()
            return
        for shown, made in make(runs, songs, out, place, settings):
            yield shown, made or gr.update()

    quiet: dict[str, Any] = {"show_progress": "hidden", **private()}
    running = start.click(
        fn=press,
        inputs=[songs, out, *controls.values()],
        outputs=[status, opened.folder],
        **quiet,
    )
    running.then(fn=opened.load, inputs=opened.inputs, outputs=opened.outputs, **quiet)
    stop.click(fn=lambda: runs.stop() or gr.update(), outputs=[status], queue=False, **quiet)
