"""Routes about jobs: how far one is, its events as they happen, and the way to stop it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from riffusion_ext.api.answer import job_view
from riffusion_ext.api.replies import ApiError, AsciiJSON
from riffusion_ext.api.service import Service
from riffusion_ext.jobs import ENDED, Job

__all__ = ["router"]

_LOOK_AGAIN = 0.1
_KEEP_ALIVE = 15.0


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/jobs", tags=["jobs"])

    @routes.get("", summary="All jobs that are remembered, the newest first")
    async def jobs() -> Response:
        return AsciiJSON({"jobs": [job_view(service, job) for job in reversed(service.jobs.all())]})

    @routes.get("/{id_}", summary="How far a job is, and its result")
    async def job(id_: str) -> Response:
        return AsciiJSON(job_view(service, service.job(id_)))

    @routes.post("/{id_}/cancel", summary="Stop a job; what is finished of it is kept")
    async def cancel(id_: str) -> Response:
        found = service.job(id_)
        found.cancel()
        return AsciiJSON(job_view(service, found))

    @routes.get("/{id_}/events", summary="A job's events as they happen (server-sent events)")
    async def events(id_: str) -> Response:
        found = service.job(id_)
        if service.listeners >= service.limits.listeners:
            raise ApiError(503, f"{service.limits.listeners} clients follow jobs already; ask the job itself instead")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(service, found), 200, headers, "text/event-stream")

    return routes


async def _events(service: Service, job: Job) -> AsyncIterator[str]:
    """Give out a job's view as ``progress`` whenever it has changed, and at last as ``end``."""
    service.listeners += 1
    try:
        said, at = -1, time.monotonic()
        while True:
            if job.version != said:
                said, at = job.version, time.monotonic()
                view = job_view(service, job)
                name = "end" if view["state"] in ENDED else "progress"
                yield f"id: {said}\nevent: {name}\ndata: {json.dumps(view)}\n\n"
                if name == "end":
                    return
            elif time.monotonic() - at > _KEEP_ALIVE:  # also: only in sending it shows that the client has gone
                at = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(_LOOK_AGAIN)
    finally:
        service.listeners -= 1
