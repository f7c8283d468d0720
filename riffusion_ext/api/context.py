"""The state shared by all routes: the environment, the stored files and the jobs."""

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
"""Kinds of stored files as named in URLs, and their names in messages."""


class ApiContext:
    """The state shared by all routes. A program has one; it survives the webui's "Reload UI".

    Parameters
    ----------
    host
        Name of the program, as reported to clients.
    scratch
        Returns the folder for uploads and results; None for a temporary one, removed when the program ends.
    device
        Returns the torch device to use.
    model
        The model that generates images; None if there is none.
    page_clips
        Clips of the pages. Clients can fetch and use them; results of the routes do not count against their capacity.
    limits
        Limits for sizes, durations and queues.
    output
        Returns the folder for results that are saved permanently; None if there is none.
    prefix
        Path at which the server is mounted, such as ``"/sd"``.
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
        """Return the folder for files of a kind; it is created if missing."""
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
        """Return the backend that generates images.

        Raises
        ------
        ApiError
            No model is available.
        """
        self.check_backend()
        return self.model.backend()

    @property
    def generates(self) -> bool:
        """Whether a model is available."""
        return self.model.available

    def check_backend(self) -> None:
        """Raise an ApiError if no model is available."""
        if not self.model.available:
            raise ApiError(501, self.model.unavailable_reason or _NO_MODEL)

    def check_sampler(self, name: str) -> None:
        """Raise an ApiError if the backend has no sampler of that name."""
        names = list(self.model.samplers())
        if name and name not in names:
            raise ApiError(422, f"there is no sampler {name[:60]!r}; there are {', '.join(names)}")

    def find(self, kind: str, id_: str) -> ClipRecord:
        """Return the record of a clip, image or archive.

        Raises
        ------
        ApiError
            No file has this id.
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
            No job has this id.
        """
        job = self.jobs.get(id_)
        if job is None:
            raise not_found("job")
        return job

    def url(self, kind: str, id_: str) -> str:
        """Return the URL of a stored file, without scheme and host."""
        return f"{self.prefix}{ROOT}/{kind}/{id_}"


def file_view(service: ApiContext, kind: str, record: ClipRecord) -> dict[str, object]:
    """Describe a stored file for clients."""
    size = 0
    with suppress(OSError):
        size = record.path.stat().st_size
    return {"id": record.id, "url": service.url(kind, record.id), "name": record.download_name, "bytes": size}


def clip_view(service: ApiContext, record: ClipRecord, **extra: object) -> dict[str, object]:
    """Describe a stored clip for clients."""
    view = file_view(service, "clips", record)
    return {**view, "duration": round(record.duration, 6), "seed": record.seed, **extra}
