"""Generate a plan window by window, and keep every finished window.

A folder holds the plan and one image for each finished window::

    work/
      plan.json          the plan, and the record of all that determines the images
      windows/00000.png  written atomically

To resume after a stop, an error or a power cut, run the same job in the same folder again. A folder whose requested
windows are finished is marked for :mod:`riffusion_ext.generate.checkpoint.retention`.
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
from riffusion_ext.generate.windows.blend import WindowMeasurements
from riffusion_ext.generate.windows.plan import Plan, Window
from riffusion_ext.metadata import save_image
from riffusion_ext.spectrogram.image import is_intact_png, read_image
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import check_folders

__all__ = ["Event", "Finished", "Progress", "RenderFolder", "RenderJob", "Stopped", "run", "run_layers"]

ReadImage = Callable[[int], Image.Image]

_WindowKey = tuple[int, int]
"""Number of a window, and number of its layer."""


@dataclass(frozen=True)
class RenderJob:
    """A plan, and the function that makes requests for its windows.

    Attributes
    ----------
    plan
        Windows to generate.
    request
        Returns the request for a window; the second argument opens the images of the windows that it needs.
    max_value
        Returns the magnitude of black in the image of a window, by number.
    record
        All that determines the images, as JSON values; another record is another job.
    infotext
        Generation parameters written into each image, after those of the backend, if any.
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
    """Number of finished windows; the time left is None until it can be estimated."""

    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True)
class Finished:
    """A window was generated, and its image written to the path."""

    window: Window
    path: Path


@dataclass(frozen=True)
class Stopped:
    """The user stopped; `done` windows are finished."""

    done: int
    total: int


Event = Progress | Finished | Stopped


class RenderFolder:
    """Folder of a job.

    Parameters
    ----------
    folder
        Created if missing. Damaged images in it count as missing.
    job
        Job that is run there.

    Raises
    ------
    RiffusionError
        The folder belongs to another job, is a link or has one for its windows, or cannot be written.

    Attributes
    ----------
    measured
        Measurements of the finished images, which never change.
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
        self.measured = WindowMeasurements()

    def path(self, number: int) -> Path:
        """Return the path of the image of a window, whether it exists or not."""
        return self.folder / "windows" / f"{number:05d}.png"

    def image(self, number: int) -> Image.Image:
        """Open the image of a finished window."""
        return read_image(self.path(number))

    def finished(self) -> set[int]:
        """Return the numbers of the finished windows."""
        return set(self._finished)

    def playable(self) -> Plan | None:
        """Return the plan of the windows up to the first that is missing; None if that is the first one."""
        count = 0
        while count in self._finished:
            count += 1
        return self.job.plan.head(count) if count else None

    def host_values(self) -> dict[str, str]:
        """Return model, VAE and versions from the backend's parameters in the first image; {} if there are none."""
        text: object = ""
        with suppress(ImageError):  # an old folder may have been removed
            text = self.image(0).info.get("parameters")
        return host_values(text) if isinstance(text, str) else {}

    def save(self, number: int, image: Image.Image) -> Path:
        """Write the image of a window, with its record, and return its path."""
        own, ours = image.info.get("parameters"), self.job.infotext
        parameters = with_records(own, ours) if isinstance(own, str) and own else ours
        text = {"parameters": parameters} if parameters else {}
        path = save_image(image, self.path(number), self.job.plan.params, self.job.max_value(number), **text)
        self._finished.add(number)
        return path


def _plan_in(path: Path) -> object:
    """Return the contents of a plan.json; None if it is missing, or was left empty by a power cut."""
    try:
        return loads(read_regular(path))
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise RiffusionError(f"{path} cannot be read: {error.strerror or error}") from error


def run(work: RenderFolder, backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
    """Generate the missing windows of a job; see :func:`run_layers`."""
    yield from run_layers([work], backend, limit=limit)


def run_layers(works: Sequence[RenderFolder], backend: Backend, *, limit: int | None = None) -> Iterator[Event]:
    """Generate the missing windows of related jobs, such as the two channels of a song.

    Batches go from left to right through all layers at once, so that the start can be heard early. Each image is
    written as soon as the backend returns it, and kept whatever happens later.

    Parameters
    ----------
    works
        Folder and job of each layer, at least one; their plans differ only in seeds.
    backend
        Backend that generates the images.
    limit
        Number of windows from the start, with those they need; None: all.

    Yields
    ------
    Event
        :class:`Progress` at the start and after each batch, :class:`Finished` for each new window, and finally
        :class:`Stopped` if the user stopped. They count the windows of all layers.

    Raises
    ------
    RiffusionError
        The backend returned an image of another size, or a file cannot be written. Errors of the backend propagate.
    """
    plan = works[0].job.plan
    numbers = _select(plan, len(plan.windows) if limit is None else limit)
    selected = {(number, layer) for number in numbers for layer in range(len(works))}
    finished = {(number, layer) for layer, work in enumerate(works) for number in work.finished()}
    for work in works:
        unmark(work.folder)
    began, generated = time.monotonic(), 0
    yield Progress(len(finished & selected), len(selected), None)
    while missing := sorted(selected - finished):
        mixed = accepts_mixed(backend)
        batch = _next_batch(plan, missing, finished, max(1, backend.max_batch), mixed=mixed)
        batch, requests = _requests(works, batch, mixed=mixed)
        paths: dict[int, Path] = {}

        def on_image(
            index: int,
            image: Image.Image,
            batch: list[_WindowKey] = batch,
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
        done = len(finished & selected)
        if backend.interrupted and done < len(selected):
            yield Stopped(done, len(selected))
            return
        if len(paths) < len(batch):  # only if a backend violates the protocol
            raise RiffusionError(f"{backend.name} gave {len(paths)} images where {len(batch)} were asked for")
        left = (time.monotonic() - began) / generated * (len(selected) - done)
        yield Progress(done, len(selected), left)
    for work in works:
        mark(work.folder)


def _select(plan: Plan, limit: int) -> set[int]:
    selected = set(range(min(max(limit, 1), len(plan.windows))))
    return selected | {needed for number in selected for needed in plan.needs(plan.windows[number])}


def _next_batch(
    plan: Plan, missing: Iterable[_WindowKey], finished: set[_WindowKey], max_items: int, *, mixed: bool
) -> list[_WindowKey]:
    """Choose the windows of the next batch: of the groups that fill a batch, the leftmost; else the largest group.

    If `mixed`, all windows are one group.
    """
    groups: dict[tuple[object, ...], list[_WindowKey]] = {}
    for number, layer in missing:
        window = plan.windows[number]
        group = groups.setdefault(() if mixed else window.batch_key, [])
        if len(group) < max_items and finished.issuperset((needed, layer) for needed in plan.needs(window)):
            group.append((number, layer))
    return max((group for group in groups.values() if group), key=lambda group: (len(group), -group[0][0]))


def _requests(
    works: Sequence[RenderFolder], batch: list[_WindowKey], *, mixed: bool
) -> tuple[list[_WindowKey], list[Request]]:
    """Return the windows of a batch whose requests can be generated together, and their requests."""
    jobs = [(works[layer], works[layer].job.plan.windows[number]) for number, layer in batch]
    requests = [work.job.request(window, work.image) for work, window in jobs]
    batch_key = requests[0].batch_key
    chosen = [index for index, request in enumerate(requests) if mixed or request.batch_key == batch_key]
    return [batch[index] for index in chosen], [requests[index] for index in chosen]


def _check_size(image: Image.Image, request: Request) -> None:
    if image.size != (request.width, request.height):
        raise RiffusionError(
            f"an image of {request.width} x {request.height} was asked for, "
            f"the one generated is {image.width} x {image.height}"
        )
