"""Routes for jobs: progress, events and cancelling."""

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

_POLL_INTERVAL_S = 0.1
_KEEP_ALIVE_S = 15.0


def router(service: ApiContext) -> APIRouter:
    """Build the routes."""
    routes = APIRouter(prefix="/jobs", tags=["jobs"])

    @routes.get("", summary="Recent jobs, the newest first")
    async def jobs() -> Response:
        return await in_thread(jobs_reply, service, service.jobs.all()[::-1])

    @routes.get("/{id_}", summary="Progress and result of a job")
    async def job(id_: str) -> Response:
        return job_reply(service, service.job(id_))

    @routes.post("/{id_}/cancel", summary="Cancel a job; finished parts are kept")
    async def cancel(id_: str) -> Response:
        job_ = service.job(id_)
        job_.cancel()
        return job_reply(service, job_)

    @routes.get("/{id_}/events", summary="A job's events as they happen (server-sent events)")
    async def events(id_: str) -> Response:
        job_ = service.job(id_)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        reply = _EventStream(_events(service, job_), 200, headers, "text/event-stream")
        reply.service = service
        return reply

    return routes


class _EventStream(StreamingResponse):
    """An event stream for one of a limited number of clients. They are counted where a stream is sure to end."""

    service: ApiContext

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self.service.limits.listeners
        if self.service.listeners >= limit:
            reply = refusal(503, f"{limit} clients follow jobs already; ask the job itself instead")
            await reply(scope, receive, send)
            return
        self.service.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.service.listeners -= 1


async def _events(service: ApiContext, job: Job) -> AsyncIterator[str]:
    """Yield a job as an event ``progress`` whenever it changes, and finally as ``end``."""
    sent_version, sent_at = -1, time.monotonic()
    while True:
        if job.version != sent_version:
            sent_version, sent_at = job.version, time.monotonic()
            name = "end" if job.state in ENDED else "progress"
            yield f"id: {sent_version}\nevent: {name}\ndata: {job_json(service, job)}\n\n"
            if name == "end":
                return
        elif time.monotonic() - sent_at > _KEEP_ALIVE_S:  # only sending reveals that the client has disconnected
            sent_at = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(_POLL_INTERVAL_S)
