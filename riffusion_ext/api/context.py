"""What the routes work with: the place they run in, what they keep, and the work they have given out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.api.errors import ApiError, not_found
from riffusion_ext.api.limits import Limits
from riffusion_ext.api.requests.receive import Transfers
from riffusion_ext.api.result_store import ResultStore
from riffusion_ext.files import scratch
from riffusion_ext.jobs import Job, Jobs
from riffusion_ext.library import LIBRARY, ClipLibrary, ClipRecord
from riffusion_ext.services.model_provider import ModelProvider, NoModel

if TYPE_CHECKING:
    from riffusion_ext.generate.backends.base import Backend

__all__ = ["ROOT", "ApiContext", "clip_view", "file_view"]

ROOT = "/riffusion/v1"

_NO_MODEL = "no model is available here: songs, riffs, loops and interpolations need a webui with a model"

KINDS = {"clips": "clip", "pictures": "image", "archives": "archive"}
"""Kinds of files, as routes name them, and their names in messages."""


class ApiContext:
    """What the routes work with. One for each program; it outlives the webui's "Reload UI".

    Parameters
    ----------
    host
        What the program is, for clients.
    scratch
        Returns the folder for what clients upload and are given; None for one that is removed at the end.
    device
        Returns the torch device to use.
    model
        What generates images; None for nothing.
    page_clips
        Clips of the pages, which can be fetched and worked on, too. What the routes make does not take their room.
    limits
        How much to take on.
    output
        Returns the folder for results that are to stay; None where there is none.
    prefix
        Path below which the program's server lives, such as ``"/sd"``.
    """

    def __init__(
        self,
        *,
        host: str = "standalone",
        scratch: Callable[[], Path] | None = None,
        device: Callable[[], str] = lambda: "auto",
        model: ModelProvider | None = None,
        page_clips: ClipLibrary = LIBRARY,
        limits: Limits | None = None,
        output: Callable[[], Path] | None = None,
        prefix: str = "",
    ) -> None:
        self.host, self.device, self.model = host, device, model or NoModel()
        self.limits = limits or Limits()
        self.prefix, self.output = prefix, output
        kept, size, seconds = self.limits.kept_files, self.limits.kept_bytes, self.limits.kept_seconds
        self.files = {kind: ClipLibrary(kept, size, lifetime=seconds) for kind in KINDS}
        self.results = ResultStore(self.files, kept, size, timeout_s=seconds + 10.0)
        self._page_clips = page_clips
        self.jobs = Jobs(self.limits.lanes, context=self.limits.job_context)
        self.bodies = Transfers(self.limits.uploads, self.limits.bodies_bytes, seconds=600.0)
        self.uploads = Transfers(self.limits.uploads, self.limits.uploads_bytes, seconds=3600.0)
        self.listeners = 0
        self._scratch = scratch
        self._own: Path | None = None
        self._lock = threading.Lock()

    def folder(self, name: str) -> Path:
        """Return a folder for files of a kind; it exists."""
        with self._lock:
            if self._scratch is not None:
                parent = self._scratch() / "api"
            else:
                if self._own is None or not self._own.is_dir():
                    self._own = scratch.new()
                parent = self._own
        folder = parent / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def backend(self) -> Backend:
        """Return what generates.

        Raises
        ------
        ApiError
            Nothing does.
        """
        self.check_backend()
        return self.model.backend()

    @property
    def generates(self) -> bool:
        """Whether there is something that generates."""
        return self.model.available

    def check_backend(self) -> None:
        """Raise an ApiError where nothing generates."""
        if not self.model.available:
            raise ApiError(501, self.model.unavailable_reason or _NO_MODEL)

    def check_sampler(self, name: str) -> None:
        """Raise an ApiError about a sampler that the backend does not have."""
        names = list(self.model.samplers())
        if name and name not in names:
            raise ApiError(422, f"there is no sampler {name[:60]!r}; there are {', '.join(names)}")

    def find(self, kind: str, id_: str) -> ClipRecord:
        """Return the record of a clip, image or archive.

        Raises
        ------
        ApiError
            There is none of this id.
        """
        record = self.files[kind].get(id_)
        if record is None and kind == "clips":
            record = self._page_clips.get(id_)
        if record is None or not record.path.is_file():
            raise not_found(KINDS[kind])
        return record

    def job(self, id_: str) -> Job:
        """Return a job.

        Raises
        ------
        ApiError
            There is none of this id.
        """
        job = self.jobs.get(id_)
        if job is None:
            raise not_found("job")
        return job

    def save(
        self,
        kind: str,
        path: Path,
        *,
        title: str,
        duration: float = 0.0,
        seed: int | None = None,
        download_name: str = "",
    ) -> ClipRecord:
        """Keep a file that belongs to the service, and give it an id."""
        return self.results.save(kind, path, title=title, duration=duration, seed=seed, download_name=download_name)

    def url(self, kind: str, id_: str) -> str:
        """Return the path of a URL."""
        return f"{self.prefix}{ROOT}/{kind}/{id_}"


def file_view(service: ApiContext, kind: str, record: ClipRecord) -> dict[str, object]:
    """Return what clients are told of any file."""
    size = 0
    with suppress(OSError):
        size = record.path.stat().st_size
    return {"id": record.id, "url": service.url(kind, record.id), "name": record.download_name, "bytes": size}


def clip_view(service: ApiContext, record: ClipRecord, **more: object) -> dict[str, object]:
    """Return what clients are told of a clip."""
    view = file_view(service, "clips", record)
    return {**view, "duration": round(record.duration, 6), "seed": record.seed, **more}
