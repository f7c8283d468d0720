"""Routes about jobs: how far one is, its events as they happen, and the way to stop it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from riffusion_ext.api.context import ApiContext
from riffusion_ext.api.errors import refusal
from riffusion_ext.api.requests.threads import in_thread
from riffusion_ext.api.responses import job_json, job_reply, jobs_reply
from riffusion_ext.jobs import ENDED, Job

__all__ = ["router"]

_LOOK_AGAIN = 0.1
_KEEP_ALIVE = 15.0


def router(service: ApiContext) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/jobs", tags=["jobs"])

    @routes.get("", summary="All jobs that are remembered, the newest first")
    async def jobs() -> Response:
        return await in_thread(jobs_reply, service, service.jobs.all()[::-1])

    @routes.get("/{id_}", summary="How far a job is, and its result")
    async def job(id_: str) -> Response:
        return job_reply(service, service.job(id_))

    @routes.post("/{id_}/cancel", summary="Stop a job; what is finished of it is kept")
    async def cancel(id_: str) -> Response:
        found = service.job(id_)
        found.cancel()
        return job_reply(service, found)

    @routes.get("/{id_}/events", summary="A job's events as they happen (server-sent events)")
    async def events(id_: str) -> Response:
        found = service.job(id_)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        reply = _Followed(_events(service, found), 200, headers, "text/event-stream")
        reply.service = service
        return reply

    return routes


class _Followed(StreamingResponse):
    """Events for one of so many clients. Counted here, where what was begun also ends, whatever the client does."""

    service: ApiContext

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self.service.limits.listeners
        if self.service.listeners >= most:
            reply = refusal(503, f"{most} clients follow jobs already; ask the job itself instead")
            await reply(scope, receive, send)
            return
        self.service.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.service.listeners -= 1


async def _events(service: ApiContext, job: Job) -> AsyncIterator[str]:
    """Give out a job's view as ``progress`` whenever it has changed, and at last as ``end``."""
    said, at = -1, time.monotonic()
    while True:
        if job.version != said:
            said, at = job.version, time.monotonic()
            name = "end" if job.state in ENDED else "progress"
            yield f"id: {said}\nevent: {name}\ndata: {job_json(service, job)}\n\n"
            if name == "end":
                return
        elif time.monotonic() - at > _KEEP_ALIVE:  # also: only in sending it shows that the client has gone
            at = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK_AGAIN)
