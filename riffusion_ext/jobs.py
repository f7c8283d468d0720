"""Background jobs: identified by ids, with progress and cancelling, limited in number and time.

::

    submit --> waiting --> running --> done | failed | cancelled
                 lane: limits the jobs at work, the jobs waiting, and the seconds of each job

A job has no owner: the client that submitted it may disconnect, and everybody who knows its id may query it.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.finite import find_json_error

__all__ = ["ENDED", "BusyError", "Job", "Jobs", "Lane", "StopError"]

logger = logging.getLogger(__name__)

ENDED = frozenset({"done", "failed", "cancelled"})
"""Final states."""

Result = Mapping[str, object]
Work = Callable[["Job"], Result]


class BusyError(RiffusionError):
    """Too many jobs are waiting already."""


class StopError(RiffusionError):
    """Raised by :meth:`Job.check` to end a job that was stopped."""


@dataclass(frozen=True)
class Lane:
    """A queue of jobs, independent of other lanes.

    Parameters
    ----------
    threads
        Maximum number of jobs at work, 1 or more.
    waiting
        Maximum number of waiting jobs.
    seconds
        Maximum run time of a job.
    kept
        Number of ended jobs that are remembered; the oldest are forgotten first.
    """

    threads: int = 1
    waiting: int = 16
    seconds: float = 3600.0
    kept: int = 100


class Job:
    """A job. Created by :meth:`Jobs.submit`; may be queried from any thread.

    Attributes
    ----------
    id
        Opaque id, safe in a URL.
    kind, lane
        What the job does, and its queue.
    state
        ``"waiting"``, ``"running"``, or one of :data:`ENDED`.
    progress
        Share done, 0 to 1.
    message
        Present activity, for people.
    activity
        Details of the activity, for programs; None if there are none.
    result
        Result as JSON; a job fails if JSON cannot hold its result. A job that was stopped may have a partial result,
        in which ``complete`` is false.
    error
        One sentence why it failed; `cause` is the exception.
    created, started, ended
        Times in seconds since 1970.
    version
        Number of changes.
    """

    def __init__(self, kind: str, lane: str, work: Work, seconds: float) -> None:
        self.id = secrets.token_urlsafe(12)
        self.kind, self.lane = kind, lane
        self.state, self.progress, self.message = "waiting", 0.0, ""
        self.activity: Result | None = None
        self.result: Result | None = None
        self.error = ""
        self.cause: BaseException | None = None
        self.created = time.time()
        self.started: float | None = None
        self.ended: float | None = None
        self.version = 0
        self._work: Work | None = work
        self._seconds = seconds
        self._deadline = float("inf")
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []

    @property
    def stop_requested(self) -> bool:
        """Whether the work should end: the job was cancelled or has timed out."""
        return self._stop.is_set() or self.timed_out

    @property
    def timed_out(self) -> bool:
        """Whether the job has exceeded its run time."""
        return time.monotonic() > self._deadline

    def check(self) -> None:
        """Raise StopError if the work should end."""
        if self.stop_requested:
            raise StopError("the job was stopped")

    def report(self, progress: float, message: str = "", activity: Result | None = None) -> None:
        """Report progress, 0 to 1, and activity. Safe to call from any thread; has no effect after the end."""
        with self._lock:
            if self.state in ENDED:
                return
            if math.isfinite(progress):
                self.progress = float(min(max(progress, 0.0), 1.0))
            self.message = message or self.message
            self.activity = activity if find_json_error(activity) is None else None
            self.version += 1

    def cancel(self) -> bool:
        """Request the job to stop; return whether it had not ended yet."""
        self._stop.set()
        with self._lock:
            waiting = self.state == "waiting"
            if waiting:
                self._end("cancelled")
        if waiting:
            self._notify()
        return waiting or self.state not in ENDED

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the job has ended; return whether it has."""
        return self._ended.wait(seconds)

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call a function once the job has ended, in the thread that ends it; at once if it has ended already."""
        with self._lock:
            if self.state not in ENDED:
                self._callbacks.append(callback)
                return
        callback()

    def run(self) -> None:
        """Run the work in the calling thread; never raises."""
        with self._lock:
            if self.state != "waiting" or self._work is None:
                return
            work = self._work
            self.state, self.started = "running", time.time()
            self._deadline = time.monotonic() + self._seconds
            self.version += 1
        result: Result | None = None
        cause: BaseException | None = None
        try:
            result = work(self)
        except StopError:
            pass
        except BaseException as error:
            level = logging.DEBUG if isinstance(error, RiffusionError) else logging.ERROR
            logger.log(level, "job %s failed", self.kind, exc_info=error)
            cause = _drop_tracebacks(error)
        del work
        if (problem := find_json_error(result)) is not None:
            cause, result = RiffusionError(f"the result is not valid JSON: {problem}"), None
        with self._lock:
            self.result, self.cause = result, cause
            complete = result is not None and result.get("complete", True)
            if complete and not self._stop.is_set():
                self.progress = 1.0
                self._end("done")
            elif cause is not None:
                self._end("failed", error_text(cause))
            elif self._stop.is_set():
                self._end("cancelled")
            elif self.timed_out:
                self._end("failed", f"this took longer than the {self._seconds:g} s that are allowed")
            else:
                self._end("failed", "this was interrupted where it was being worked on")
        self._notify()

    def _end(self, state: str, error: str = "") -> None:
        self.state, self.error, self.ended, self.activity = state, error, time.time(), None
        self._work = None  # frees its input
        self.version += 1

    def _notify(self) -> None:
        self._ended.set()
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:  # the waiting client is gone, as after a restart of the server; the lane continues
                logger.debug("nobody waits for job %s any more", self.kind, exc_info=True)


def _drop_tracebacks(error: BaseException) -> BaseException:
    """Remove the tracebacks from a chain of errors, as they keep the objects of the work in memory."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        item = waiting.pop()
        if item is not None and id(item) not in seen:
            seen.add(id(item))
            item.__traceback__ = None
            waiting += [item.__cause__, item.__context__]
    return error


def error_text(error: BaseException) -> str:
    """Return the message of one of our errors, or class and first line of any other."""
    if isinstance(error, RiffusionError):
        return str(error)
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


class Jobs:
    """All jobs of a program.

    Parameters
    ----------
    lanes
        Lanes by name. Their threads start with their first job.
    context
        Returns a context manager in which each job runs.
    """

    def __init__(
        self, lanes: Mapping[str, Lane], *, context: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._lanes, self._context = dict(lanes), context
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._queues: dict[str, deque[Job]] = {name: deque() for name in lanes}
        self._threads = dict.fromkeys(lanes, 0)
        self._running = dict.fromkeys(lanes, 0)
        self._changed = threading.Condition()

    def submit(self, kind: str, lane: str, work: Work) -> Job:
        """Queue a job.

        Parameters
        ----------
        kind
            What the job does, for people.
        lane
            Name of its lane.
        work
            Called with the job in a thread of the lane; returns the result.

        Raises
        ------
        BusyError
            Too many jobs of the lane are waiting.
        """
        limits = self._lanes[lane]
        job = Job(kind, lane, work, limits.seconds)
        with self._changed:
            # Remove jobs that were cancelled while waiting, so that they take no place in the queue.
            self._queues[lane] = deque(item for item in self._queues[lane] if item.state == "waiting")
            waiting = len(self._queues[lane])
            idle = limits.threads - self._running[lane]
            if waiting >= limits.waiting + idle:
                raise BusyError(f"{waiting} jobs of this kind are waiting already; try again later")
            self._jobs[job.id] = job
            self._queues[lane].append(job)
            self._forget(lane, limits.kept)
            if self._threads[lane] < limits.threads:
                self._threads[lane] += 1
                name = f"riffusion-{lane}"
                threading.Thread(target=self._serve, args=(lane,), daemon=True, name=name).start()
            self._changed.notify_all()
        return job

    def get(self, id_: str) -> Job | None:
        """Return the job with an id, or None."""
        with self._changed:
            return self._jobs.get(id_)

    def all(self) -> list[Job]:
        """Return all remembered jobs, from the oldest to the newest."""
        with self._changed:
            return list(self._jobs.values())

    def count(self, states: Iterable[str]) -> int:
        """Return how many jobs are in one of the states."""
        selected = set(states)
        return sum(job.state in selected for job in self.all())

    def _forget(self, lane: str, kept: int) -> None:
        ended = [job.id for job in self._jobs.values() if job.lane == lane and job.state in ENDED]
        for id_ in ended[: max(len(ended) - kept, 0)]:
            del self._jobs[id_]

    def _serve(self, lane: str) -> None:
        while True:
            with self._changed:
                while not self._queues[lane]:
                    self._changed.wait()
                job = self._queues[lane].popleft()
                self._running[lane] += 1
            try:
                with self._context():
                    job.run()
            finally:
                del job  # an idle thread must not hold results
                with self._changed:
                    self._running[lane] -= 1
