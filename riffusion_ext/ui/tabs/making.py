"""What the pages Song, Riff and Loop share: the work behind them, what is shown meanwhile, and their common controls.

What is painted can be heard long before the end. A sound that grows would begin again in the middle of listening each
time it is replaced, so a song is divided into a few stretches, each with a player of its own that never changes once it
is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from riffusion_ext.atomic import write_atomically
from riffusion_ext.errors import RiffusionError
from riffusion_ext.paths import shorten_name
from riffusion_ext.ui.controls import CUSTOM, chosen_params, control
from riffusion_ext.ui.players import details, message, panel, player
from riffusion_ext.ui.render import component, row
from riffusion_ext.ui.tabs.place import Place
from riffusion_ext.ui.tabs.runs import Cancelled, Runs, Tell, bar, clock

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.audio import AudioClip
    from riffusion_ext.generate.backend import Backend, OnPicture, Request
    from riffusion_ext.generate.plan import Plan
    from riffusion_ext.generate.run import Event
    from riffusion_ext.spectrogram.params import SpectrogramParams
    from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = [
    "AUTOMATIC",
    "STRETCHES",
    "Batched",
    "Heard",
    "Made",
    "Painted",
    "Piece",
    "Shown",
    "Unfinished",
    "attempt",
    "check_values",
    "common_controls",
    "decode_settings",
    "keep_newest",
    "model_params",
    "paint",
    "result_path",
    "sampler_of",
    "show",
    "told",
    "values_of_common",
]

STRETCHES = 8
"""Players at most for what can be heard before the end."""

AUTOMATIC = "automatic"
_TITLE = 60
_KEPT = 40
_COUNTED = "Windows"
STOPPING = message("Stopping; what is painted is kept ...")


class Piece(Protocol):
    """A song or a riff, as far as painting and listening go."""

    plan: Plan

    def paint(self, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
        """Paint what is missing."""
        ...

    def beginning(self) -> Plan | None:
        """Return the plan of what can be heard."""
        ...

    def part(self, first: int, stop: int) -> AudioClip:
        """Return the sound of some windows."""
        ...

    def write(self, path: Path, clip: AudioClip, *, title: str = "") -> Path:
        """Write a sound with all that is needed to make it again."""
        ...


class Batched:
    """A backend that is given at most so many pictures at once.

    Parameters
    ----------
    backend
        Paints.
    most
        1 or more.
    """

    def __init__(self, backend: Backend, most: int) -> None:
        self._backend, self._most = backend, most

    @property
    def name(self) -> str:
        """That of the backend."""
        return self._backend.name

    @property
    def max_batch(self) -> int:
        """The smaller one of the backend's and ours."""
        return max(1, min(self._backend.max_batch, self._most))

    @property
    def interrupted(self) -> bool:
        """Whether the backend was."""
        return self._backend.interrupted

    def generate(self, requests: Sequence[Request], on_picture: OnPicture) -> list[Image.Image]:
        """Paint pictures."""
        return self._backend.generate(requests, on_picture)


@dataclass(frozen=True)
class Heard:
    """A stretch that can be heard: its number, its file, and where it lies in the song, in seconds."""

    number: int
    path: Path
    start: float
    seconds: float


@dataclass(frozen=True)
class Painted:
    """How painting ended: windows there and wanted, whether it was stopped, and the error that ended it."""

    done: int
    total: int
    stopped: bool = False
    error: Exception | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.stopped and self.error is None


@dataclass(frozen=True)
class Made:
    """What came of a press: how it ended, and the players and messages to show."""

    painted: Painted
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


def paint(
    piece: Piece, backend: Backend, folder: Path, tell: Tell, cancelled: Cancelled, *, limit: int | None = None
) -> Painted:
    """Paint a piece, and make its stretches sound as soon as they can.

    Parameters
    ----------
    piece
        Song or riff.
    backend
        Paints.
    folder
        For the sounds of stretches.
    tell
        Is told the events of the painting, and each stretch as :class:`Heard`.
    cancelled
        Asked after each batch.
    limit
        See :func:`~riffusion_ext.generate.run.run`; without stretches.
    """
    from riffusion_ext.generate.run import Progress, Stopped
    from riffusion_ext.generate.stretches import stretches

    windows = len(piece.plan.windows)
    pending = [] if limit else list(enumerate(stretches(windows, STRETCHES)))
    done = total = 0
    try:
        for event in piece.paint(backend, limit=limit):
            tell(event)
            if isinstance(event, Stopped):
                return Painted(event.done, event.total, stopped=True)
            if not isinstance(event, Progress):
                continue
            done, total = event.done, event.total
            ready = _ready(piece)
            while pending and pending[0][1][1] <= ready < windows and not cancelled():
                tell(_stretch(piece, *pending.pop(0), folder))
            if done < total and cancelled():
                return Painted(done, total, stopped=True)
    except Exception as error:
        return Painted(done, total, error=error)
    return Painted(done, total)


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


def told(path: Path, infotext: str) -> tuple[str, str]:
    """Return where a result lies, and how it was made, as HTML."""
    return message(f"Saved as {path}"), details("Generation parameters", infotext)


def keep_newest(folder: Path) -> None:
    """Remove the oldest files of a folder for what is not kept for long; their names begin with the time."""
    for path in sorted(folder.glob("[0-9]*"))[:-_KEPT]:
        with suppress(OSError):  # open elsewhere: another time
            path.unlink()


def attempt(work: Callable[[], str]) -> str:
    """Return the HTML that the work makes, or why it cannot."""
    from riffusion_ext.convert import explain

    try:
        return work()
    except Exception as error:
        return message(_sentence(error, explain(error)), "error")


def _sentence(error: Exception, text: str) -> str:
    return text if isinstance(error, RiffusionError) else f"This did not work: {text}"


def show(runs: Runs, place: Place, work: Callable[[Tell, Cancelled], Made]) -> Iterator[Shown]:
    """Do the work behind a press; yields what changes on the page, last what came of it."""
    from riffusion_ext.convert import explain
    from riffusion_ext.generate.run import Progress

    status = bar(0.0, "Getting ready ...", _COUNTED)
    begun = False
    try:
        for item in runs.follow(work):
            if not begun:  # not before it is certain that no other run fills these players
                begun = True
                yield Shown(status, "", dict.fromkeys(range(STRETCHES), ""))
            if isinstance(item, Progress):
                status = bar(item.done / max(item.total, 1), _how_far(item), _COUNTED)
            elif isinstance(item, Heard):
                yield Shown(stretches={item.number: panel([_heard(place, item)])})
            elif isinstance(item, Made):
                yield Shown("".join(_ending(item)), panel(item.players), extra=item.extra)
                return
            # Also where nothing moved: only in sending gradio notices that the page was closed.
            yield Shown(status + (runs.stopping_html if runs.stopping else ""))
    except Exception as error:
        yield Shown(message(_sentence(error, explain(error)), "error"))


def _how_far(progress: Any) -> str:
    left = "" if progress.seconds_left is None else f", {clock(progress.seconds_left)} left"
    if progress.done == progress.total:
        return f"All {progress.total} windows are painted; making the sound ..."
    return f"Window {progress.done + 1} of {progress.total}{left}"


def _heard(place: Place, heard: Heard) -> str:
    label = f"{clock(heard.start).removesuffix(' min')} to {clock(heard.start + heard.seconds)}"
    return player(place.serve(heard.path), label, heard.seconds, heard.path.name)


def _ending(made: Made) -> list[str]:
    from riffusion_ext.convert import explain

    painted, notes = made.painted, list(made.notes)
    if painted.error is not None:
        text = _sentence(painted.error, explain(painted.error))
        kept = (
            f" {painted.done} of {painted.total} windows are kept; Resume goes on from there." if painted.done else ""
        )
        notes.insert(0, message(text.rstrip(".") + "." + kept, "error"))
    elif painted.stopped:
        text = f"Stopped after {painted.done} of {painted.total} windows; Resume goes on from there."
        notes.insert(0, message(text, "warning"))
    return notes


def result_path(place: Place, kind: str, title: str, ending: str) -> Path:
    """Return a path for a result: ``<output>/songs/2024-05-17/16-04-09 funky sax.wav``."""
    now = datetime.now()
    words = re.sub(r"[^\w .,'()-]+", " ", title)[:_TITLE].strip(" .,-") or kind.removesuffix("s")
    return (
        place.output_dir()
        / kind
        / f"{now:%Y-%m-%d}"
        / shorten_name(f"{now:%H-%M-%S} {' '.join(words.split())}", ending)
    )


class Unfinished:
    """What Resume goes on with: the last press of a page that has not come to its end, kept in a file.

    Parameters
    ----------
    folder
        Of the page's results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def _path(self) -> Path:
        return self._folder / "unfinished.json"

    def keep(self, values: Mapping[str, Any], pictures: Mapping[str, Image.Image | None]) -> None:
        """Remember a press: values as JSON can hold them, and pictures by name."""
        kept = {name: self._picture(picture) for name, picture in pictures.items() if picture is not None}
        text = json.dumps({"values": dict(values), "pictures": kept}, ensure_ascii=False, indent=1)
        write_atomically(self._path, lambda file: file.write(text.encode("utf-8", "replace")))

    def _picture(self, picture: Image.Image) -> str:
        import hashlib

        name = hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest()[:16] + ".png"
        path = self._folder / "pictures" / name
        if not path.exists():
            write_atomically(path, lambda file: picture.save(file, format="PNG"))
        return name

    def load(self) -> tuple[dict[str, Any], dict[str, Image.Image]]:
        """Return values and pictures of the press.

        Raises
        ------
        RiffusionError
            There is none, or its pictures are gone.
        """
        from PIL import Image

        try:
            found = json.loads(self._path.read_text("utf-8"))
            values, names = dict(found["values"]), dict(found["pictures"])
        except FileNotFoundError:
            raise RiffusionError("There is nothing to resume: nothing was stopped before its end.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RiffusionError(f"What was stopped cannot be resumed: {error}") from error
        try:
            pictures = {name: Image.open(self._folder / "pictures" / Path(file).name) for name, file in names.items()}
            for picture in pictures.values():
                picture.load()
        except (OSError, TypeError) as error:
            raise RiffusionError(f"What was stopped cannot be resumed, a picture of it is gone: {error}") from error
        return values, pictures

    def forget(self) -> None:
        """Forget the press: it has come to its end."""
        with suppress(OSError):  # an old one does no harm
            self._path.unlink()


def common_controls(
    place: Place, page: str, *, level: str = "peak", batch: bool = True, steps_help: str = ""
) -> dict[str, Any]:
    """Lay out what all pages have, inside the gradio context that is open; returns the controls by name.

    A webui keeps a user's defaults by label, and the pages are in one tab: where labels are equal, so are the values.
    """
    import gradio as gr

    from riffusion_ext.spectrogram.params import PRESETS

    made: dict[str, Any] = {}
    with row():
        made["steps"] = gr.Slider(
            1, 150, 30, step=1, label="Steps", info=steps_help or None, elem_id=f"riffusion_{page}_steps"
        )
        made["sampler"] = gr.Dropdown(
            [AUTOMATIC, *place.samplers()], value=AUTOMATIC, label="Sampler", elem_id=f"riffusion_{page}_sampler"
        )
    with gr.Accordion("Sound and model", open=False):
        with row():
            made["engine"] = component(control("engine"), f"riffusion_{page}_engine")
            made["format"] = component(control("format"), f"riffusion_{page}_format")
        with row():
            if level == "peak":
                made["level"] = component(control("level"), f"riffusion_{page}_level")
            else:
                made["level"] = gr.Dropdown(
                    list(control("level").choices),
                    value=level,
                    label="Level of the riff",
                    info="recorded: that of the song; peak: as loud as it goes; loudness: the same for all",
                    elem_id=f"riffusion_{page}_level",
                )
            if batch:
                made["batch"] = gr.Slider(
                    1,
                    16,
                    4,
                    step=1,
                    label="Windows at once",
                    info="more are faster and need more memory",
                    elem_id=f"riffusion_{page}_batch",
                )
        with row():
            made["preset"] = gr.Dropdown(
                [*PRESETS, CUSTOM],
                value="riffusion-v1",
                label="Spectrogram of the model",
                info="what the model was trained on",
                elem_id=f"riffusion_{page}_preset",
            )
            made["custom"] = gr.Textbox(
                label="Custom parameters of the model",
                value="",
                info=control("custom").help,
                max_lines=1,
                elem_id=f"riffusion_{page}_custom",
            )
    return made


def check_values(values: Mapping[str, Any], *, optional: Sequence[str] = ()) -> None:
    """Raise a RiffusionError that names the controls without a value; a number box that was emptied has none."""
    missing = [name.replace("_", " ") for name, value in values.items() if value is None and name not in optional]
    if missing:
        raise RiffusionError(f"A value is missing: {', '.join(missing)}.")


def decode_settings(values: Mapping[str, Any], place: Place) -> DecodeSettings:
    """Return how pictures become sound, by the common controls."""
    from riffusion_ext.spectrogram.settings import DecodeSettings

    return DecodeSettings(engine=str(control("engine").clean(values["engine"])), device=place.device())


def model_params(values: Mapping[str, Any]) -> SpectrogramParams:
    """Return the parameters of the model's pictures, by the common controls."""
    from riffusion_ext.spectrogram.params import SpectrogramParams

    return chosen_params(str(values["preset"]), str(values["custom"])) or SpectrogramParams()


def values_of_common(settings: Any) -> dict[str, Any]:
    """Return values of the common controls that mean the settings of a song, riff or loop."""
    from riffusion_ext.spectrogram.params import PRESETS

    named = next((name for name, params in PRESETS.items() if params == settings.params), CUSTOM)
    custom = "" if named != CUSTOM else _text_of(settings.params)
    return {
        "steps": settings.steps,
        "sampler": settings.sampler or AUTOMATIC,
        "level": settings.level,
        "preset": named,
        "custom": custom,
    }


def _text_of(params: SpectrogramParams) -> str:
    from riffusion_ext.generate.record import to_record

    return ", ".join(f"{name}={str(value).lower()}" for name, value in to_record(params).items())


def sampler_of(values: Mapping[str, Any]) -> str:
    """Return the sampler's name as a backend takes it."""
    return "" if values["sampler"] in (None, "", AUTOMATIC) else str(values["sampler"])
