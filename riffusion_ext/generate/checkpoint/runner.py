"""A plan, generated window by window, so that nothing finished is ever lost.

A work folder holds the plan and one image for each finished window::

    work/
      plan.json          what is to be generated, and what it is made of
      windows/00000.png  each there whole or not at all

To go on after a stop, an error or a power cut, run the same job in the same folder again. A folder whose windows are
there, as far as they were wanted, is marked for :mod:`riffusion_ext.generate.checkpoint.retention`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from riffusion_ext.errors import ImageError, RiffusionError
from riffusion_ext.files.atomic import remove_leftovers, write_atomically
from riffusion_ext.files.regular import read_regular
from riffusion_ext.generate.backends.base import Backend, Request, accepts_mixed
from riffusion_ext.generate.checkpoint.recipe import host_values, with_records
from riffusion_ext.generate.checkpoint.retention import mark, unmark
from riffusion_ext.generate.windows.blend import Measured
from riffusion_ext.generate.windows.plan import Plan, Window
from riffusion_ext.metadata import save_image
from riffusion_ext.spectrogram.image import is_intact_png, read_image
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import check_folders

__all__ = ["Event", "Finished", "Progress", "RenderFolder", "RenderJob", "Stopped", "run", "run_layers"]

ReadImage = Callable[[int], Image.Image]

_Place = tuple[int, int]
"""Number of a window, and of its layer."""


@dataclass(frozen=True)
class RenderJob:
    """A plan, and how its windows become requests.

    Attributes
    ----------
    plan
        What to generate.
    request
        Makes the request for a window; the second argument opens the images of the windows it needs.
    max_value
        Magnitude of black in a window's image, by number.
    record
        All that decides what the images look like, as JSON can hold it; another record is another job.
    infotext
        Generation parameters that are written into each image; behind the backend's own, if it gave some.
    """

    plan: Plan
    request: Callable[[Window, ReadImage], Request]
    max_value: Callable[[int], float]
    record: Mapping[str, object] = field(default_factory=dict)
    infotext: str = ""

    def text(self) -> str:
        """Return the contents of plan.json."""
        return json.dumps(
            {"record": self.record, "plan": json.loads(self.plan.to_json())}, ensure_ascii=False, indent=1
        )


@dataclass(frozen=True)
class Progress:
    """How far it is; the time left is None until it can be told."""

    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True)
class Finished:
    """A window is generated, and its image lies at the path."""

    window: Window
    path: Path


@dataclass(frozen=True)
class Stopped:
    """The user stopped; so many windows are there."""

    done: int
    total: int


Event = Progress | Finished | Stopped


class RenderFolder:
    """The folder of a job.

    Parameters
    ----------
    folder
        Made where it is missing. Damaged images in it count as not generated.
    job
        The one that is run there.

    Raises
    ------
    RiffusionError
        The folder belongs to another job, is a link or has one for its windows, or cannot be written.

    Attributes
    ----------
    measured
        Of the finished images, which never change.
    """

    def __init__(self, folder: Path, job: RenderJob) -> None:
        self.folder, self.job = folder, job
        path, text = folder / "plan.json", job.text()
        check_folders(folder.parent, folder / "windows")
        found = _plan_in(path)
        if found is None:
            write_atomically(path, lambda file: file.write(text.encode()))
        elif found != json.loads(text):
            raise RiffusionError(
                f"{folder} holds the windows of another song, or of the same one with other settings; "
                "choose another folder, or remove that one"
            )
        remove_leftovers(folder / "windows")
        height = job.plan.params.num_frequencies
        windows = job.plan.windows
        self._finished = {item.number for item in windows if is_intact_png(self.path(item.number), item.width, height)}
        self.measured = Measured()

    def path(self, number: int) -> Path:
        """Where the image of a window lies, or will."""
        return self.folder / "windows" / f"{number:05d}.png"

    def image(self, number: int) -> Image.Image:
        """Open the image of a finished window."""
        return read_image(self.path(number))

    def finished(self) -> set[int]:
        """Numbers of the windows that are generated."""
        return set(self._finished)

    def beginning(self) -> Plan | None:
        """Return the plan of the windows generated without a gap from the first on; None where the first is missing.

        That much can be heard.
        """
        count = 0
        while count in self._finished:
            count += 1
        return self.job.plan.head(count) if count else None

    def host_values(self) -> dict[str, str]:
        """Return what the backend wrote into the first image of its own; nothing where it is not there."""
        text: object = ""
        with suppress(ImageError):  # an old folder may have been removed meanwhile
            text = self.image(0).info.get("parameters")
        return host_values(text) if isinstance(text, str) else {}

    def save(self, number: int, image: Image.Image) -> Path:
        """Write the image of a window, with its record."""
        own, ours = image.info.get("parameters"), self.job.infotext
        parameters = with_records(own, ours) if isinstance(own, str) and own else ours
        text = {"parameters": parameters} if parameters else {}
        path = save_image(image, self.path(number), self.job.plan.params, self.job.max_value(number), **text)
        self._finished.add(number)
        return path


def _plan_in(path: Path) -> object:
    """Return what a plan.json holds; None where there is none, or one that a power cut has left without contents."""
    try:
        return loads(read_regular(path))
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise RiffusionError(f"{path} cannot be read: {error.strerror or error}") from error


def run(work: RenderFolder, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
    """Generate the windows of a job that are not there yet; see :func:`run_layers`."""
    yield from run_layers([work], backend, limit=limit)


def run_layers(works: Sequence[RenderFolder], backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
    """Generate the windows that are not there yet of jobs that belong together, such as the two sides of a song.

    Batches go from left to right through all layers at once, so that the beginning can be heard early. Each image is
    written as soon as the backend has it: whatever happens later, it is kept.

    Parameters
    ----------
    works
        Folder and job of each layer, at least one; their plans differ in nothing but seeds.
    backend
        Generates.
    limit
        Only the first so many windows, and what they need; the others stay for a later run.

    Yields
    ------
    Event
        :class:`Progress` at first and after each batch, :class:`Finished` for each window generated now, and
        :class:`Stopped` as the last one if the user stopped. All count the windows of all layers.

    Raises
    ------
    RiffusionError
        The backend gave an image of another size, or a file cannot be written. Errors of the backend come through.
    """
    plan = works[0].job.plan
    numbers = _wanted(plan, len(plan.windows) if limit is None else limit)
    wanted = {(number, layer) for number in numbers for layer in range(len(works))}
    finished = {(number, layer) for layer, work in enumerate(works) for number in work.finished()}
    for work in works:
        unmark(work.folder)
    began, generated = time.monotonic(), 0
    yield Progress(len(finished & wanted), len(wanted), None)
    while missing := sorted(wanted - finished):
        any_kind = accepts_mixed(backend)
        batch = _next_batch(plan, missing, finished, max(1, backend.max_batch), any_kind=any_kind)
        batch, requests = _requests(works, batch, any_kind=any_kind)
        paths: dict[int, Path] = {}

        def on_image(
            index: int,
            image: Image.Image,
            batch: list[_Place] = batch,
            requests: list[Request] = requests,
            paths: dict[int, Path] = paths,
        ) -> None:
            _check_size(image, requests[index])
            number, layer = batch[index]
            paths[index] = works[layer].save(number, image)

        backend.generate(requests, on_image)
        for index, path in sorted(paths.items()):
            number, layer = batch[index]
            finished.add((number, layer))
            yield Finished(works[layer].job.plan.windows[number], path)
        generated += len(paths)
        done = len(finished & wanted)
        if backend.interrupted and done < len(wanted):
            yield Stopped(done, len(wanted))
            return
        if len(paths) < len(batch):  # never, of a backend that keeps to the protocol
            raise RiffusionError(f"{backend.name} gave {len(paths)} images where {len(batch)} were asked for")
        left = (time.monotonic() - began) / generated * (len(wanted) - done)
        yield Progress(done, len(wanted), left)
    for work in works:
        mark(work.folder)


def _wanted(plan: Plan, limit: int) -> set[int]:
    wanted = set(range(min(max(limit, 1), len(plan.windows))))
    return wanted | {needed for number in wanted for needed in plan.needs(plan.windows[number])}


def _next_batch(
    plan: Plan, missing: Iterable[_Place], finished: set[_Place], most: int, *, any_kind: bool
) -> list[_Place]:
    """Choose the windows to generate next: of the groups that fill a batch, the leftmost; else the largest group.

    Windows of any kind are one group.
    """
    groups: dict[tuple[object, ...], list[_Place]] = {}
    for number, layer in missing:
        window = plan.windows[number]
        group = groups.setdefault(() if any_kind else window.batch_key, [])
        if len(group) < most and finished.issuperset((needed, layer) for needed in plan.needs(window)):
            group.append((number, layer))
    return max((group for group in groups.values() if group), key=lambda group: (len(group), -group[0][0]))


def _requests(
    works: Sequence[RenderFolder], batch: list[_Place], *, any_kind: bool
) -> tuple[list[_Place], list[Request]]:
    """Make the requests of those windows of a batch that can really be generated together."""
    jobs = [(works[layer], works[layer].job.plan.windows[number]) for number, layer in batch]
    requests = [work.job.request(window, work.image) for work, window in jobs]
    kind = requests[0].batch_key
    chosen = [index for index, request in enumerate(requests) if any_kind or request.batch_key == kind]
    return [batch[index] for index in chosen], [requests[index] for index in chosen]


def _check_size(image: Image.Image, request: Request) -> None:
    if image.size != (request.width, request.height):
        raise RiffusionError(
            f"an image of {request.width} x {request.height} was asked for, "
            f"the one generated is {image.width} x {image.height}"
        )
