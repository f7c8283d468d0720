"""From a request to a job, and from a job to an answer."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from riffusion_ext.api.replies import ApiError, AsciiJSON
from riffusion_ext.api.service import ROOT, Service
from riffusion_ext.jobs import Job, Work
from riffusion_ext.paths import without_folders

__all__ = ["accepted", "ended", "finished", "job_view"]


def job_view(service: Service, job: Job) -> dict[str, Any]:
    """Return what clients are told of a job."""
    return {
        "id": job.id,
        "url": f"{service.prefix}{ROOT}/jobs/{job.id}",
        "kind": job.kind,
        "state": job.state,
        "progress": round(job.progress, 4),
        "message": job.message,
        "activity": job.activity,
        "error": without_folders(job.error) or None,
        "result": job.result,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
    }


def accepted(service: Service, kind: str, lane: str, work: Work) -> Response:
    """Queue a job, and answer 202 with it."""
    job = service.jobs.submit(kind, lane, work)
    view = job_view(service, job)
    return AsciiJSON(view, 202, {"Location": view["url"]})


async def finished(job: Job) -> None:
    """Wait until a job has ended, without holding a thread."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(over.set)

    job.when_over(tell)
    await over.wait()


async def ended(service: Service, kind: str, lane: str, work: Work) -> Job:
    """Queue a job and wait for it; returns it with its result.

    Raises
    ------
    ApiError
        There is none: why. Unexpected errors of the work come through as they are.
    """
    job = service.jobs.submit(kind, lane, work)
    await finished(job)
    if job.state == "done":
        return job
    if job.cause is not None:
        raise job.cause
    if job.state == "cancelled":
        raise ApiError(409, "somebody cancelled this")
    raise ApiError(503, job.error)
