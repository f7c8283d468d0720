"""Page "Training set": a folder of songs in, curated pictures with captions out."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.players import message
from riffusion_ext.ui.render import row
from riffusion_ext.ui.tabs import review
from riffusion_ext.ui.tabs.place import Place, named_error

if TYPE_CHECKING:
    from riffusion_ext.dataset.build import Built, Progress
    from riffusion_ext.dataset.settings import DatasetSettings

__all__ = ["Runs", "build_page", "make"]

_LOOK_AGAIN = 0.4  # seconds between two looks at how far the work is
_MOST_FAILURES = 12
_OWN_RATE = "the song's own"
_CHECKED = 6  # pictures that are turned back into sound
_FORMATS = {  # as the page names them
    "Dreambooth extension": "dreambooth",
    "kohya (folder N_name)": "kohya",
    "diffusers (metadata.jsonl)": "diffusers",
    "sound chunks (WAV)": "audio",
}


class Runs:
    """The runs of this page, one at a time, and the way to stop them."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._busy = threading.Lock()

    def stop(self) -> str:
        """Ask the present run to end after the song it is at."""
        self._stop.set()
        return message("Stopping after the songs that are being worked on ...") if self._busy.locked() else ""

    def follow(self, work: Callable[[Callable[[Any], None], Callable[[], bool]], Any]) -> Iterator[Any]:
        """Do the work in a thread; yields what it reports, None where nothing moved, and last what came of it."""
        if not self._busy.acquire(blocking=False):
            raise RiffusionError("A training set is being made already; stop it first.")
        try:
            self._stop.clear()
            news: queue.Queue[Any] = queue.Queue()

            def run() -> None:
                try:
                    news.put(work(news.put, self._stop.is_set))
                except Exception as error:
                    news.put(error)

            thread = threading.Thread(target=run, daemon=True, name="riffusion-dataset")
            thread.start()
            while thread.is_alive() or not news.empty():
                try:
                    item = news.get(timeout=_LOOK_AGAIN)
                except queue.Empty:
                    item = None
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self._stop.set()  # the page was closed in the middle
            self._busy.release()


def make(runs: Runs, songs: str, out: Path, settings: DatasetSettings, options: dict[str, Any]) -> Iterator[str]:
    """Make a training set; yields what the page shows, last the summary."""
    from riffusion_ext.convert import explain
    from riffusion_ext.dataset.build import Built, Progress, build
    from riffusion_ext.dataset.store import Store
    from riffusion_ext.dataset.verify import described, sample_of, verify

    def work(tell: Callable[[Any], None], cancelled: Callable[[], bool]) -> str:
        built = build(collection, out, settings, progress=tell, cancelled=cancelled, **options)
        tell(built)
        return described(list(verify(Store(out), sample_of(built.manifest, _CHECKED)))) if built.manifest.kept else ""

    try:
        collection = Path(songs.strip().strip('"')).expanduser()
        if not songs.strip():
            raise RiffusionError("Nothing to do yet: name a folder of songs first.")
        failed: list[str] = []
        shown = _bar(0.0, "Looking at the songs ...")
        yield shown
        for item in runs.follow(work):
            if isinstance(item, Progress):
                if item.cut.error:
                    failed.append(_failure(item.cut.song.path, item.cut.error))
                shown = _bar(item.done / item.total, _how_far(item)) + "".join(failed[-_MOST_FAILURES:])
                yield shown
            elif isinstance(item, Built):
                shown = _summary(item, out)
                yield shown
            elif isinstance(item, str) and item:
                yield shown + message(f"Checked by ear: {item}.")
    except Exception as error:
        text = explain(error)
        yield message(text if isinstance(error, RiffusionError) else f"This did not work: {text}", "error")


def _bar(share: float, text: str) -> str:
    return (
        f'<div class="riffusion-progress"><div style="width:{100 * share:.1f}%"></div></div>'
        f'<p class="riffusion-message riffusion-info" role="status">{escape(text)}</p>'
    )


def _how_far(progress: Progress) -> str:
    minutes, seconds = divmod(round(progress.left), 60)
    rate = progress.done / max(progress.seconds, 1e-9)
    return (
        f"{progress.done} of {progress.total} songs, {rate:.2f} songs/s, {minutes}:{seconds:02d} min left. "
        f"{progress.cut.song.name}"
    )


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


def settings_of(values: dict[str, Any]) -> DatasetSettings:
    """Return the settings of the page's controls, by name.

    Raises
    ------
    RiffusionError
        A value is not allowed.
    """
    from riffusion_ext.dataset.settings import (
        CaptionSettings,
        CurateSettings,
        DatasetSettings,
        ExportSettings,
        SliceSettings,
    )
    from riffusion_ext.spectrogram.params import SpectrogramParams
    from riffusion_ext.ui.controls import chosen_params

    def when(name: str) -> float | None:
        return float(values[name]) if values[f"check_{name}"] else None

    return DatasetSettings(
        SliceSettings(
            params=chosen_params(values["preset"], values["custom"]) or SpectrogramParams(),
            columns=int(values["columns"]),
            overlap=float(values["overlap"]),
            align=values["align"],
            last=values["last"],
            scale=values["scale"],
            stems=tuple(values["stems"]),
        ),
        CurateSettings(
            first=int(values["first"]),
            last=int(values["final"]),
            silence_db=when("silence_db"),
            transition=when("transition"),
            duplicate=when("duplicate"),
            clipping=when("clipping"),
            broken=bool(values["broken"]),
            target=int(values["target"]) or None,
        ),
        CaptionSettings(str(values["template"]), str(values["trigger"]).strip()),
        ExportSettings(
            formats=tuple(_FORMATS[name] for name in values["formats"]),
            kohya_repeats=int(values["kohya_repeats"]),
            kohya_name=str(values["kohya_name"]).strip(),
            audio_rate=None if values["audio_rate"] == _OWN_RATE else int(values["audio_rate"]),
            audio_seconds=float(values["audio_seconds"]) or None,
        ),
    )


def build_page(place: Place) -> None:
    """Lay out the page inside the gradio context that is open."""
    import gradio as gr

    runs = Runs()
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            songs = gr.Textbox(
                label="Folder of songs",
                placeholder="/path/to/songs",
                info="with the folders in it",
                max_lines=1,
                elem_id="riffusion_training_songs",
            )
            out = gr.Textbox(
                label="Folder of the training set",
                placeholder="empty: named after the songs, among the webui's outputs",
                max_lines=1,
                elem_id="riffusion_training_out",
            )
            controls = _controls()
            with gr.Row():
                start = gr.Button("Make the training set", variant="primary", elem_id="riffusion_training_go")
                stop = gr.Button("Stop", elem_id="riffusion_training_stop")
        with gr.Column(scale=1, min_width=320):
            status = gr.HTML(value=message("What was kept and why appears here."), elem_id="riffusion_training_status")
    for transient in (songs, out):
        transient.do_not_save_to_config = True
    names = list(controls)
    opened = review.build(place)

    def folder_of(songs: str, out: str) -> Path:
        if out.strip():
            return Path(out.strip().strip('"')).expanduser()
        return place.output_dir() / "datasets" / (Path(songs.strip().strip('"')).name or "songs")

    def press(songs: str, out: str, *values: Any) -> Iterator[Any]:
        folder = folder_of(songs, out)
        try:
            settings = settings_of(dict(zip(names, values, strict=True)))
        except (RiffusionError, TypeError, ValueError) as error:
            yield message(str(error), "error"), ""
            return
        for shown in make(runs, songs, folder, settings, {}):
            yield shown, str(folder)

    running = start.click(
        fn=press,
        inputs=[songs, out, *controls.values()],
        outputs=[status, opened.folder],
        api_name=False,
        show_progress="hidden",
    )
    running.then(fn=opened.load, inputs=opened.inputs, outputs=opened.outputs, api_name=False, show_progress="hidden")
    stop.click(fn=runs.stop, outputs=[status], queue=False, api_name=False, show_progress="hidden")


def _controls() -> dict[str, Any]:
    import gradio as gr

    from riffusion_ext.dataset.settings import ALIGNMENTS, LASTS, SCALES, STEMS, CaptionSettings, CurateSettings
    from riffusion_ext.dataset.stems import can_separate
    from riffusion_ext.spectrogram.params import PRESETS
    from riffusion_ext.ui.controls import CUSTOM, control

    default = CurateSettings()
    made: dict[str, Any] = {}
    with gr.Accordion("Captions", open=True):
        made["trigger"] = gr.Textbox(label="Trigger word", info="calls up what is learnt", max_lines=1)
        made["template"] = gr.Textbox(
            label="Caption",
            value=CaptionSettings().template,
            info="also {album}, {year}, {bpm}, {key}, {folder}, {tempo}, {measured_key}; what a song lacks is left out",
            max_lines=2,
        )
    with gr.Accordion("Cutting", open=False):
        with row():
            made["columns"] = gr.Slider(128, 2048, 512, step=64, label="Width of a picture", info="512 are 5.11 s")
            made["overlap"] = gr.Slider(0.0, 0.9, 0.0, step=0.05, label="Overlap", info="share of a window in the next")
        with row():
            made["align"] = gr.Dropdown(list(ALIGNMENTS), value="none", label="Begin on", info="beats or bars")
            made["last"] = gr.Dropdown(list(LASTS), value="drop", label="End of a song", info="too short for a window")
        with row():
            made["scale"] = gr.Dropdown(list(SCALES), value="window", label="Black is the loudest of each")
            made["preset"] = gr.Dropdown([*PRESETS, CUSTOM], value="riffusion-v1", label="Spectrogram of the set")
        made["stems"] = gr.CheckboxGroup(
            list(STEMS),
            value=[],
            label="Stems instead of whole songs",
            info="taken out by the package demucs",
            visible=can_separate(),
        )
        made["custom"] = gr.Textbox(label="Custom parameters of the set", info=control("custom").help, max_lines=1)
    with gr.Accordion("Choosing", open=False):
        with row():
            made["first"] = gr.Slider(0, 20, default.first, step=1, label="Leave out at the beginning of each song")
            made["final"] = gr.Slider(0, 20, default.last, step=1, label="Leave out at the end of each song")
        for name, label, low, high, step in (
            ("silence_db", "Silence below (dBFS)", -90, -20, 1),
            ("transition", "Cut between two pieces of music from (0 to 1)", 0.0, 1.0, 0.01),
            ("duplicate", "The same music again from (likeness, 0 to 1)", 0.0, 1.0, 0.01),
            ("clipping", "Clipped from (share of samples)", 0.0, 0.2, 0.001),
        ):
            with row():
                made[f"check_{name}"] = gr.Checkbox(value=True, label=f"Check: {label.split(' (')[0].lower()}")
                made[name] = gr.Slider(low, high, getattr(default, name), step=step, label=label)
        made["broken"] = gr.Checkbox(value=True, label="Leave out windows with drop-outs or an offset")
        made["target"] = gr.Slider(0, 5000, 0, step=10, label="How many to keep", info="0 keeps all that are fit")
    with gr.Accordion("Writing", open=False):
        made["formats"] = gr.CheckboxGroup(
            list(_FORMATS), value=["Dreambooth extension"], label="For which trainer", elem_id="riffusion_training_for"
        )
        with row():
            made["kohya_repeats"] = gr.Slider(1, 100, 10, step=1, label="kohya: repeats in the folder's name")
            made["kohya_name"] = gr.Textbox(label="kohya: name in the folder's name", placeholder="music", max_lines=1)
        with row():
            made["audio_rate"] = gr.Dropdown(
                [_OWN_RATE, "16000", "22050", "32000", "44100", "48000"],
                value=_OWN_RATE,
                label="Sound chunks: sample rate",
            )
            made["audio_seconds"] = gr.Slider(
                0, 60, 0, step=0.5, label="Sound chunks: seconds", info="0: as long as the pictures"
            )
    return made
