"""Generate a piece for a request: render its windows, reconstruct the audio and store it as a clip."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.api.context import ApiContext, clip_view, file_view
from riffusion_ext.api.errors import ApiError
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.paths import dated_path, without_folders
from riffusion_ext.generate.backends.base import Activity
from riffusion_ext.generate.backends.batch_limit import BatchLimit
from riffusion_ext.generate.checkpoint.runner import Progress
from riffusion_ext.jobs import Job
from riffusion_ext.progress import Stage
from riffusion_ext.services.rendering import Rendered, render_piece, sound_of_piece

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.audio import AudioClip
    from riffusion_ext.generate.backends.base import Backend
    from riffusion_ext.generate.checkpoint.runner import Event
    from riffusion_ext.generate.piece import Piece, WindowedPiece
    from riffusion_ext.library import ClipRecord
    from riffusion_ext.params import SpectrogramParams

__all__ = [
    "JobProgress",
    "check_save",
    "render",
    "save_to_output",
    "store_clip",
    "store_image",
    "store_result",
    "store_sound",
    "watch_backend",
    "work_folder",
]

_GENERATION_SHARE = 0.95
"""Share of the progress for generating the windows; the rest is for reconstructing the audio."""

_MAX_WORK_FOLDERS = 32
"""Number of pieces whose windows are kept: more than the jobs that can be queued."""


class JobProgress:
    """Reports the progress of generation to a job: windows, and sampling steps within a window."""

    def __init__(self, job: Job, total: int = 0, *, last_message: str = "making the sound") -> None:
        self._job, self.done, self.total, self._last_message = job, 0, total, last_message

    def report_activity(self, activity: Activity) -> None:
        """Report the activity of the backend."""
        if activity.waiting:
            self._report(0.0, "waiting until the webui has finished its other work", activity)
        elif activity.steps:
            share = (activity.step - 1) / activity.steps
            self._report(share, f"step {activity.step} of {activity.steps}", activity)

    def report_done(self, done: int, total: int | None = None, seconds_left: float | None = None) -> None:
        """Report how many windows are done."""
        self.done, self.total = done, self.total if total is None else total
        self._report(0.0, "" if seconds_left is None else f"{seconds_left:.0f} s left")

    def __call__(self, item: Activity | Event | Stage) -> None:
        """Report an event of :func:`~riffusion_ext.services.rendering.render_piece`; a stop needs no report."""
        if isinstance(item, Progress):
            self.report_done(item.done, item.total, item.seconds_left)
        elif isinstance(item, Stage):
            self._job.report(_GENERATION_SHARE + (1 - _GENERATION_SHARE) * item.share, item.text)
        elif isinstance(item, Activity):
            self.report_activity(item)

    def _report(self, share: float, detail: str, activity: Activity | None = None) -> None:
        total = max(self.total, 1)
        if self.done >= total:
            self._job.report(_GENERATION_SHARE, self._last_message)
            return
        text = f"window {self.done + 1} of {total}"
        details = None if activity is None else asdict(activity)
        self._job.report(
            _GENERATION_SHARE * (self.done + share) / total, f"{text}, {detail}" if detail else text, details
        )


def watch_backend(backend: Backend, max_batch: int, job: Job, progress: JobProgress) -> BatchLimit:
    """Limit a backend to batches of `max_batch`, report its activity, and stop it when the job is stopped."""
    return BatchLimit(backend, max_batch, progress.report_activity, lambda: job.stop_requested)


def render(
    service: ApiContext, piece: Piece, job: Job, progress: JobProgress, *, batch: int = 1, limit: int | None = None
) -> tuple[Rendered, AudioClip | None]:
    """Render a piece; return the outcome, and the audio up to the first missing window.

    Raises
    ------
    Exception
        The backend failed.
    """
    rendered = render_piece(
        piece, service.backend(), batch=batch, limit=limit, on_progress=progress, cancelled=lambda: job.stop_requested
    )
    if rendered.error is not None:
        raise rendered.error
    return rendered, sound_of_piece(piece, rendered, progress)


def work_folder(service: ApiContext, kind: str) -> Path:
    """Return the folder for windows of a kind of piece. The oldest pieces in it are removed, unfinished ones too."""
    folder = service.folder(kind)
    with suppress(OSError):
        pieces = [path for path in folder.iterdir() if path.name != "sources"]
        for path in sorted(pieces, key=lambda path: path.stat().st_mtime)[:-_MAX_WORK_FOLDERS]:
            shutil.rmtree(path, ignore_errors=True)
    return folder


def store_clip(
    service: ApiContext,
    clip: AudioClip,
    file_format: str,
    title: str,
    write: Callable[[Path, AudioClip], object],
    seed: int | None = None,
) -> ClipRecord:
    """Write a clip to the service's folder and store it."""
    path = service.folder("clips") / f"{secrets.token_hex(8)}.{file_format}"
    write(path, clip)
    name = " ".join(title.split())[:80] or "clip"
    return service.results.save(
        "clips", path, title=name, duration=clip.duration, download_name=f"{name}.{file_format}", seed=seed
    )


def store_image(service: ApiContext, image: Image.Image, params: SpectrogramParams, title: str) -> dict[str, object]:
    """Store a generated image and return its description for the client."""
    from riffusion_ext.metadata import save_image

    path = service.folder("pictures") / f"{secrets.token_hex(8)}.png"
    save_image(image, path, params, params.default_max_value)
    name = " ".join(title.split())[:80] or "picture"
    record = service.results.save("pictures", path, title=name, download_name=f"{name}.png")
    return {**file_view(service, "pictures", record), "width": image.width, "height": image.height}


def check_save(service: ApiContext, requested: bool) -> None:
    """Raise an ApiError if results should be saved, but there is no folder for them."""
    if requested and service.output is None:
        raise ApiError(422, "save is not available: there is no folder for results")


def save_to_output(
    service: ApiContext, record: ClipRecord, kind: str, title: str, *, complete: bool
) -> dict[str, object]:
    """Copy a clip to the output folder; return its path relative to that folder, or why it failed, for the client."""
    assert service.output is not None
    folder = service.output()
    path = first = dated_path(folder, kind, title + ("" if complete else " (unfinished)"), record.path.suffix)
    number = 1
    while path.exists():  # two results within one second
        number += 1
        path = first.with_name(f"{first.stem} {number}{first.suffix}")
    try:
        with record.path.open("rb") as sound:
            write_atomically(path, lambda file: shutil.copyfileobj(sound, file))
    except (RiffusionError, OSError) as error:  # the clip itself is stored, and took long to make
        return {"saved": None, "not_saved": without_folders(str(error))}
    return {"saved": path.relative_to(folder).as_posix()}


def store_sound(
    service: ApiContext,
    piece: Piece,
    clip: AudioClip,
    file_format: str,
    title: str,
    *,
    complete: bool,
    save_as: str = "",
) -> dict[str, object]:
    """Store the audio of a piece and return its description for the client.

    With `save_as`, the clip is also copied to that subfolder of the output folder.
    """

    def write(path: Path, sound: AudioClip) -> object:
        return piece.write(path, sound, title=title)

    record = store_clip(service, clip, file_format, title, write, seed=piece.seed)
    view = clip_view(service, record, sample_rate=clip.sample_rate, channels=clip.channels)
    saved = save_to_output(service, record, save_as, title, complete=complete) if save_as else {}
    return {"clip": view, **saved}


def store_result(
    service: ApiContext,
    piece: WindowedPiece,
    clip: AudioClip,
    file_format: str,
    title: str,
    *,
    complete: bool,
    save_as: str = "",
) -> dict[str, object]:
    """Store the audio of a piece with a folder, and return the result for the client; see :func:`store_sound`."""
    stored = store_sound(service, piece, clip, file_format, title, complete=complete, save_as=save_as)
    return {**stored, "complete": complete, "seed": piece.seed, "infotext": piece.infotext()}
