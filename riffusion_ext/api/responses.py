"""Queue jobs for requests, and build responses from jobs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence

from starlette.responses import Response

from riffusion_ext.api.context import ROOT, ApiContext
from riffusion_ext.api.errors import ApiError
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import without_folders
from riffusion_ext.jobs import Job, Result, Work
from riffusion_ext.validation.finite import find_json_error

__all__ = ["accept", "job_json", "job_reply", "job_view", "jobs_reply", "run_and_wait", "wait_for"]

_MAX_LISTED = 1 << 14
"""Maximum length of a job's JSON in a list, in characters."""

logger = logging.getLogger(__name__)


def job_view(service: ApiContext, job: Job) -> dict[str, object]:
    """Describe a job for clients."""
    return {
        "id": job.id,
        "url": _job_url(service, job),
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


def _job_url(service: ApiContext, job: Job) -> str:
    return f"{service.prefix}{ROOT}/jobs/{job.id}"


def job_json(service: ApiContext, job: Job, *, max_characters: int | None = None) -> str:
    """Describe a job for clients as JSON. A job that cannot be serialised does not affect the others of a list.

    The result is left out if the JSON would be longer than `max_characters`.
    """
    view = job_view(service, job)
    try:
        text = json.dumps(view, allow_nan=False, separators=(",", ":"))
        if max_characters is None or len(text) <= max_characters:
            return text
        return json.dumps({**view, "result": None}, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        logger.exception("job %s cannot be shown as JSON", job.id)
        plain = {name: value for name, value in view.items() if find_json_error(value) is None}
        error = "this job cannot be shown as JSON; the server's log has the details"
        return json.dumps({**dict.fromkeys(view), **plain, "error": error}, separators=(",", ":"))


def jobs_reply(service: ApiContext, jobs: Sequence[Job]) -> Response:
    """Return a response with many jobs. Call it in a thread. Clients fetch large results from the job itself."""
    texts = ",".join([job_json(service, job, max_characters=_MAX_LISTED) for job in jobs])
    return Response(f'{{"jobs":[{texts}]}}', media_type="application/json")


def job_reply(service: ApiContext, job: Job, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with one job."""
    return Response(job_json(service, job), status, dict(headers or {}), "application/json")


def _submit(service: ApiContext, kind: str, lane: str, work: Work) -> Job:
    """Queue a job whose files are kept until clients have had time to fetch them."""

    def run(job: Job) -> Result:
        with service.results.hold_results():
            result = work(job)
            if (problem := find_json_error(result)) is not None:  # so that its files are removed
                raise RiffusionError(f"the result is not valid JSON: {problem}")
            return result

    return service.jobs.submit(kind, lane, run)


def accept(service: ApiContext, kind: str, lane: str, work: Work) -> Response:
    """Queue a job and return a 202 response with it."""
    job = _submit(service, kind, lane, work)
    return job_reply(service, job, 202, {"Location": _job_url(service, job)})


async def wait_for(job: Job) -> None:
    """Wait until a job has ended, without holding a thread."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(over.set)

    job.add_done_callback(wake)
    await over.wait()


async def run_and_wait(service: ApiContext, kind: str, lane: str, work: Work) -> Job:
    """Queue a job, wait for it and return it with its result.

    Raises
    ------
    ApiError
        The job was cancelled or ran out of time. An exception of the work is raised unchanged.
    """
    job = _submit(service, kind, lane, work)
    await wait_for(job)
    if job.state == "done":
        return job
    if (cause := job.cause) is not None:
        job.cause = None  # once raised, it keeps the request and its body alive
        raise cause
    if job.state == "cancelled":
        raise ApiError(409, "somebody cancelled this")
    raise ApiError(503, job.error)
