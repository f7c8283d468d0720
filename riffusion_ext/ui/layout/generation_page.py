"""What the pages Song, Riff and Loop share: the work behind them, and what is shown meanwhile.

What is generated can be heard long before the end. A sound that grows would begin again in the middle of listening each
time it is replaced, so a song is divided into a few stretches, each with a player of its own that never changes once it
is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import dated_path
from riffusion_ext.options.sound import control
from riffusion_ext.services.rendering import Rendered, render_piece
from riffusion_ext.ui.layout.background_task import BackgroundTask, Cancelled, OnProgress, bar, clock
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.players import details, message, panel, player

if TYPE_CHECKING:
    from riffusion_ext.generate.backends.base import Activity, Backend
    from riffusion_ext.generate.checkpoint.runner import Progress
    from riffusion_ext.generate.live.settings import JamSettings
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.piece import Piece
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.song import SongSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

Settings = TypeVar("Settings", bound="SongSettings | RiffSettings | LoopSettings | JamSettings")

__all__ = [
    "STRETCHES",
    "Heard",
    "Made",
    "Shown",
    "attempt",
    "decode_settings",
    "generate",
    "keep_newest",
    "result_path",
    "show",
    "sorry",
    "told",
    "with_sampler",
]

STRETCHES = 8
"""Players at most for what can be heard before the end."""

_KEPT = 40
_COUNTED = "Windows"
STOPPING = message("Stopping; finished windows are kept ...")


def decode_settings(values: Mapping[str, Any], place: PageContext) -> DecodeSettings:
    """Return how images become sound, by the option ``engine``."""
    from riffusion_ext.spectrogram.settings import DecodeSettings

    return DecodeSettings(engine=str(control("engine").clean(values["engine"])), device=place.device())


def with_sampler(settings: Settings, place: PageContext) -> Settings:
    """Return settings that name their sampler, so that what is made can be made again."""
    return settings if settings.sampler else replace(settings, sampler=place.model.usual_sampler())


@dataclass(frozen=True)
class Heard:
    """A stretch that can be heard: its number, its file, and where it lies in the song, in seconds."""

    number: int
    path: Path
    start: float
    seconds: float


@dataclass(frozen=True)
class Made:
    """What came of a press: how it ended, and the players and messages to show."""

    generated: Rendered
    players: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What changes on the page: texts as HTML, None where they stay; and values for the page's own use."""

    status: str | None = None
    result: str | None = None
    stretches: Mapping[int, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def generate(
    piece: Piece,
    backend: Backend,
    folder: Path,
    on_progress: OnProgress,
    cancelled: Cancelled,
    *,
    batch: int = 1,
    limit: int | None = None,
) -> Rendered:
    """Render a piece, and make its stretches sound as soon as they can.

    Parameters
    ----------
    piece
        Song or riff.
    backend
        Generates the images.
    folder
        For the sounds of stretches.
    on_progress
        Is told the events of the generation, and each stretch as :class:`Heard`.
    cancelled
        Asked after each batch.
    batch
        Images at once, at most.
    limit
        See :func:`~riffusion_ext.generate.checkpoint.runner.run`; without stretches.
    """
    from riffusion_ext.generate.windows.segments import segments_of

    windows = len(piece.plan.windows)
    pending = [] if limit else list(enumerate(segments_of(windows, STRETCHES)))

    def hear() -> None:
        ready = _ready(piece)
        while pending and pending[0][1][1] <= ready < windows and not cancelled():
            on_progress(_stretch(piece, *pending.pop(0), folder))

    return render_piece(
        piece, backend, batch=batch, limit=limit, on_progress=on_progress, cancelled=cancelled, after_batch=hear
    )


def _ready(piece: Piece) -> int:
    plan = piece.beginning()
    return len(plan.windows) if plan else 0


def _stretch(piece: Piece, number: int, windows: tuple[int, int], folder: Path) -> Heard:
    params = piece.plan.params
    clip = piece.part(*windows)
    path = piece.write(folder / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}.wav", clip)
    keep_newest(folder)
    start = piece.plan.windows[windows[0]].first * params.hop_length / params.sample_rate
    return Heard(number, path, start, clip.duration)


def told(path: Path, infotext: str, notes: Sequence[str] = ()) -> tuple[str, ...]:
    """Return where a result lies, what is to be said of it, and how it was made, as HTML."""
    said = (message(f"{note[0].upper()}{note[1:]}.", "warning") for note in notes)
    return message(f"Saved as {path}"), *said, details("Generation parameters", infotext)


def keep_newest(folder: Path, kept: int = _KEPT) -> None:
    """Remove the oldest files of a folder for what is not kept for long; their names begin with the time."""
    for path in sorted(folder.glob("[0-9]*"))[:-kept]:
        with suppress(OSError):  # open elsewhere: another time
            path.unlink()


def attempt(work: Callable[[], str]) -> str:
    """Return the HTML that the work makes, or why it cannot."""
    try:
        return work()
    except Exception as error:
        return sorry(error)


def sorry(error: Exception) -> str:
    """Return why something did not work, as HTML."""
    from riffusion_ext.convert import explain

    return message(_sentence(error, explain(error)), "error")


def _sentence(error: Exception, text: str) -> str:
    return text if isinstance(error, RiffusionError) else f"This did not work: {text}"


def show(runs: BackgroundTask, place: PageContext, work: Callable[[OnProgress, Cancelled], Made]) -> Iterator[Shown]:
    """Do the work behind a press; yields what changes on the page, last what came of it."""
    from riffusion_ext.generate.backends.base import Activity
    from riffusion_ext.generate.checkpoint.runner import Progress
    from riffusion_ext.progress import Stage

    progress = Progress(0, 0, None)
    status = bar(0.0, "Getting ready ...", _COUNTED)
    begun, doubt = False, ""
    try:
        for item in runs.follow(work):
            if not begun:  # not before it is certain that no other run fills these players
                begun = True
                why = place.model.checkpoint_warning()
                doubt = message(why, "warning") if why else ""
                # Not in the status, which changes all the time: a screen reader would say it again and again.
                yield Shown(status, doubt, dict.fromkeys(range(STRETCHES), ""))
            if isinstance(item, Progress):
                progress = item
                status = _how_far(progress, None)
            elif isinstance(item, Activity):
                status = _how_far(progress, item)
            elif isinstance(item, Stage):
                status = bar(1.0, f"All windows are generated; {item.text} ...", _COUNTED)
            elif isinstance(item, Heard):
                yield Shown(stretches={item.number: panel([_heard(place, item)])})
            elif isinstance(item, Made):
                yield Shown("".join(_ending(item)) + doubt, panel(item.players), extra=item.extra)
                return
            # Also where nothing moved: only in sending gradio notices that the page was closed.
            yield Shown(status + (runs.stopping_html if runs.stopping else ""))
    except Exception as error:
        yield Shown(sorry(error))


def _how_far(progress: Progress, activity: Activity | None) -> str:
    if progress.done == progress.total:
        return bar(1.0, "All windows are generated; making the sound ...", _COUNTED)
    text, share = f"Window {progress.done + 1} of {progress.total}", 0.0
    if activity is not None and activity.waiting:
        text += "; waiting until the webui has finished its other work ..."
    else:
        if activity is not None:
            text += f", step {activity.step} of {activity.steps}"
            share = (activity.step - 1) / activity.steps
        if progress.seconds_left is not None:
            text += f", {clock(progress.seconds_left)} left"
    return bar((progress.done + share) / progress.total, text, _COUNTED)


def _heard(place: PageContext, heard: Heard) -> str:
    label = f"{clock(heard.start).removesuffix(' min')} to {clock(heard.start + heard.seconds)}"
    return player(place.serve(heard.path), label, heard.seconds, heard.path.name)


def _ending(made: Made) -> list[str]:
    from riffusion_ext.convert import explain

    generated, notes = made.generated, list(made.notes)
    if generated.error is not None:
        text = _sentence(generated.error, explain(generated.error))
        kept = (
            f" {generated.done} of {generated.total} windows are kept; Resume goes on from there."
            if generated.done
            else ""
        )
        notes.insert(0, message(text.rstrip(".") + "." + kept, "error"))
    elif generated.stopped:
        text = f"Stopped after {generated.done} of {generated.total} windows; Resume goes on from there."
        notes.insert(0, message(text, "warning"))
    return notes


def result_path(place: PageContext, kind: str, title: str, ending: str) -> Path:
    """Return a path for a result: ``<output>/songs/2024-05-17/16-04-09 funky sax.wav``."""
    return dated_path(place.output_dir(), kind, title, ending)
