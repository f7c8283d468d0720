"""What the pages Song, Riff, Loop and Live have in common: generation in the background, and its display.

Finished parts can be played before the end. A player restarts whenever its file is replaced, so a song is divided into
a few segments, each with its own player that does not change any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import dated_path
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import Rendered, render_piece
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress, format_minutes, progress_bar
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.players import details, message, panel, player

if TYPE_CHECKING:
    from riffusion_ext.generate.backends.base import Activity, Backend
    from riffusion_ext.generate.checkpoint.runner import Progress
    from riffusion_ext.generate.live.settings import JamSettings
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.piece import WindowedPiece
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.song import SongSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

Settings = TypeVar("Settings", bound="SongSettings | RiffSettings | LoopSettings | JamSettings")

__all__ = [
    "MAX_SEGMENTS",
    "Outcome",
    "PageUpdate",
    "Segment",
    "decode_settings",
    "error_html",
    "generate",
    "html_or_error",
    "keep_newest",
    "result_notes",
    "result_path",
    "run_and_show",
    "with_sampler",
]

MAX_SEGMENTS = 8
"""Maximum number of segments, and of their players."""

_MAX_FILES = 40
_PROGRESS_LABEL = "Windows"
STOPPING = message("Stopping; finished windows are kept ...")


def decode_settings(values: Mapping[str, object], context: PageContext) -> DecodeSettings:
    """Return the settings with which images are decoded, by the options ``engine`` and ``high_frequencies``.

    An unfinished piece of an earlier version has no value of the latter. It is finished as it began: without.
    """
    from riffusion_ext.spectrogram.settings import DecodeSettings

    return DecodeSettings(
        engine=str(control("engine").clean(values["engine"])),
        device=context.device(),
        high_frequencies=str(control("high_frequencies").clean(values.get("high_frequencies", "off"))),
    )


def with_sampler(settings: Settings, context: PageContext) -> Settings:
    """Return settings that name their sampler, so that the result can be reproduced."""
    return settings if settings.sampler else replace(settings, sampler=context.model.usual_sampler())


@dataclass(frozen=True)
class Segment:
    """A finished segment of a piece: number, sound file, and position and duration in seconds."""

    number: int
    path: Path
    start: float
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """Result of a run: what was rendered, HTML of players and messages, and values for the page."""

    rendered: Rendered
    players: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class PageUpdate:
    """Changes of the page: HTML, None where it stays as it is; and values for the page itself."""

    status: str | None = None
    result: str | None = None
    segments: Mapping[int, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)


def generate(
    piece: WindowedPiece,
    backend: Backend,
    folder: Path,
    on_progress: OnProgress,
    cancelled: Cancelled,
    *,
    batch: int = 1,
    limit: int | None = None,
) -> Rendered:
    """Render a piece, and write each segment as soon as its windows are finished.

    Parameters
    ----------
    piece
        Song or riff.
    backend
        Generates the images.
    folder
        Folder for the sound files of segments.
    on_progress
        Called with the events of the generation, and with each :class:`Segment`.
    cancelled
        Called after each batch; True stops.
    batch
        Maximum number of images in a batch.
    limit
        As of :func:`~riffusion_ext.generate.checkpoint.runner.run`; then no segments are written.
    """
    from riffusion_ext.generate.windows.segments import segments_of

    windows = len(piece.plan.windows)
    pending = [] if limit else list(enumerate(segments_of(windows, MAX_SEGMENTS)))

    def write_ready_segments() -> None:
        ready = _windows_ready(piece)
        while pending and pending[0][1][1] <= ready < windows and not cancelled():
            on_progress(_write_segment(piece, *pending.pop(0), folder))

    return render_piece(
        piece,
        backend,
        batch=batch,
        limit=limit,
        on_progress=on_progress,
        cancelled=cancelled,
        after_batch=write_ready_segments,
    )


def _windows_ready(piece: WindowedPiece) -> int:
    plan = piece.playable()
    return len(plan.windows) if plan else 0


def _write_segment(piece: WindowedPiece, number: int, windows: tuple[int, int], folder: Path) -> Segment:
    params = piece.plan.params
    clip = piece.part(*windows)
    path = piece.write(folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.wav", clip)
    keep_newest(folder)
    start = piece.plan.windows[windows[0]].first * params.hop_length / params.sample_rate
    return Segment(number, path, start, clip.duration)


def result_notes(path: Path, infotext: str, notes: Sequence[str] = ()) -> tuple[str, ...]:
    """Return messages on a result as HTML: its path, warnings, and the generation parameters."""
    warnings = (message(f"{note[0].upper()}{note[1:]}.", "warning") for note in notes)
    return message(f"Saved as {path}"), *warnings, details("Generation parameters", infotext)


def keep_newest(folder: Path, count: int = _MAX_FILES) -> None:
    """Delete all but the newest files of a folder, whose names begin with the time."""
    for path in sorted(folder.glob("[0-9]*"))[:-count]:
        with suppress(OSError):  # in use: deleted by a later call
            path.unlink()


def html_or_error(work: Callable[[], str]) -> str:
    """Return the HTML that a function makes, or its error as HTML."""
    try:
        return work()
    except Exception as error:
        return error_html(error)


def error_html(error: Exception) -> str:
    """Return the HTML of an error message."""
    from riffusion_ext.convert import explain

    return message(_sentence(error, explain(error)), "error")


def _sentence(error: Exception, text: str) -> str:
    return text if isinstance(error, RiffusionError) else f"This did not work: {text}"


def run_and_show(
    task: BackgroundTask, context: PageContext, work: Callable[[OnProgress, Cancelled], Outcome]
) -> Iterator[PageUpdate]:
    """Run the work in the background; yield the changes of the page, last the outcome."""
    from riffusion_ext.generate.backends.base import Activity
    from riffusion_ext.generate.checkpoint.runner import Progress
    from riffusion_ext.progress import Stage

    progress = Progress(0, 0, None)
    status = progress_bar(0.0, "Getting ready ...", _PROGRESS_LABEL)
    started, warning = False, ""
    try:
        for item in task.follow(work):
            if not started:  # only now is it certain that no other run uses these players
                started = True
                why = context.model.checkpoint_warning()
                warning = message(why, "warning") if why else ""
                # Not in the status: screen readers would repeat it at each change.
                yield PageUpdate(status, warning, dict.fromkeys(range(MAX_SEGMENTS), ""))
            if isinstance(item, Progress):
                progress = item
                status = _progress_html(progress, None)
            elif isinstance(item, Activity):
                status = _progress_html(progress, item)
            elif isinstance(item, Stage):
                status = progress_bar(1.0, f"All windows are generated; {item.text} ...", _PROGRESS_LABEL)
            elif isinstance(item, Segment):
                yield PageUpdate(segments={item.number: panel([_segment_player(context, item)])})
            elif isinstance(item, Outcome):
                yield PageUpdate("".join(_closing_notes(item)) + warning, panel(item.players), extra=item.extra)
                return
            # Also without news: gradio notices only while sending that the page was closed.
            yield PageUpdate(status + (task.stopping_html if task.stopping else ""))
    except Exception as error:
        yield PageUpdate(error_html(error))


def _progress_html(progress: Progress, activity: Activity | None) -> str:
    if progress.done == progress.total:
        return progress_bar(1.0, "All windows are generated; making the sound ...", _PROGRESS_LABEL)
    text, share = f"Window {progress.done + 1} of {progress.total}", 0.0
    if activity is not None and activity.waiting:
        text += "; waiting until the webui has finished its other work ..."
    else:
        if activity is not None:
            text += f", step {activity.step} of {activity.steps}"
            share = (activity.step - 1) / activity.steps
        if progress.seconds_left is not None:
            text += f", {format_minutes(progress.seconds_left)} left"
    return progress_bar((progress.done + share) / progress.total, text, _PROGRESS_LABEL)


def _segment_player(context: PageContext, segment: Segment) -> str:
    label = f"{format_minutes(segment.start).removesuffix(' min')} to {format_minutes(segment.start + segment.seconds)}"
    return player(context.url_of(segment.path), label, segment.seconds, segment.path.name)


def _closing_notes(outcome: Outcome) -> list[str]:
    from riffusion_ext.convert import explain

    rendered, notes = outcome.rendered, list(outcome.notes)
    if rendered.error is not None:
        text = _sentence(rendered.error, explain(rendered.error))
        kept = (
            f" {rendered.done} of {rendered.total} windows are kept; Resume goes on from there."
            if rendered.done
            else ""
        )
        notes.insert(0, message(text.rstrip(".") + "." + kept, "error"))
    elif rendered.stopped:
        text = f"Stopped after {rendered.done} of {rendered.total} windows; Resume goes on from there."
        notes.insert(0, message(text, "warning"))
    return notes


def result_path(context: PageContext, kind: str, title: str, ending: str) -> Path:
    """Return a path for a result: ``<output>/songs/2024-05-17/16-04-09 funky sax.wav``."""
    return dated_path(context.output_dir(), kind, title, ending)
