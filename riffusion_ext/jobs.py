"""Work that goes on by itself: told apart by ids, watched, stopped, limited in number and time.

::

    submit --> waiting --> running --> done | failed | cancelled
                 lane: so many at once, so many waiting, so many seconds each

A job belongs to nobody: whoever asked for it may go away, and anybody who knows its id may ask how far it is.
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
"""States that do not change any more."""

Result = Mapping[str, object]
Work = Callable[["Job"], Result]


class BusyError(RiffusionError):
    """As much work is waiting already as may."""


class StopError(RiffusionError):
    """Raised by :meth:`Job.check` to end a job that shall not go on."""


@dataclass(frozen=True)
class Lane:
    """A queue of jobs that do not keep those of other lanes waiting.

    Parameters
    ----------
    threads
        Jobs at work at once, 1 or more.
    waiting
        Jobs that may wait.
    seconds
        How long a job may work.
    kept
        Ended jobs that can still be asked for; the oldest are forgotten first.
    """

    threads: int = 1
    waiting: int = 16
    seconds: float = 3600.0
    kept: int = 100


class Job:
    """A piece of work. Made by :meth:`Jobs.submit`; safe to ask from any thread.

    Attributes
    ----------
    id
        Opaque; safe in a URL.
    kind, lane
        What it does, and where it waits.
    state
        ``"waiting"``, ``"running"``, or one of :data:`ENDED`.
    progress
        Share done, 0 to 1.
    message
        What it is at, for people.
    activity
        The same for programs, where there is more to say than the progress.
    result
        What came of it, as JSON can hold it, or the job fails. Also of a job that was stopped, as far as it got, and
        then ``complete`` in it is false.
    error
        One sentence about why it failed; `cause` is the exception.
    created, started, ended
        Seconds since 1970.
    version
        Counts changes.
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
        """Whether the work shall end soon: somebody cancelled it, or its time is up."""
        return self._stop.is_set() or self.timed_out

    @property
    def timed_out(self) -> bool:
        """Whether its time is up."""
        return time.monotonic() > self._deadline

    def check(self) -> None:
        """Raise StopError where the work shall end."""
        if self.stop_requested:
            raise StopError("the job was stopped")

    def report(self, progress: float, message: str = "", activity: Result | None = None) -> None:
        """Say how far it is, 0 to 1, and at what. Called by the work, from any thread; once it has ended, nothing."""
        with self._lock:
            if self.state in ENDED:
                return
            if math.isfinite(progress):
                self.progress = float(min(max(progress, 0.0), 1.0))
            self.message = message or self.message
            self.activity = activity if find_json_error(activity) is None else None
            self.version += 1

    def cancel(self) -> bool:
        """Ask the job to end; returns whether it had not ended already."""
        self._stop.set()
        with self._lock:
            waiting = self.state == "waiting"
            if waiting:
                self._end("cancelled")
        if waiting:
            self._notify()
        return waiting or self.state not in ENDED

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended; returns whether it has."""
        return self._ended.wait(seconds)

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call something, in another thread, once the job has ended; at once where it has."""
        with self._lock:
            if self.state not in ENDED:
                self._callbacks.append(callback)
                return
        callback()

    def run(self) -> None:
        """Do the work, in the thread of the caller; never raises."""
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
            cause, result = RiffusionError(f"what came of this cannot be told: {problem}"), None
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
        self._work = None  # and with it what it worked on
        self.version += 1

    def _notify(self) -> None:
        self._ended.set()
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:  # who waited is gone, as a server that was started anew; the lane goes on
                logger.debug("nobody waits for job %s any more", self.kind, exc_info=True)


def _drop_tracebacks(error: BaseException) -> BaseException:
    """Return an error that keeps nothing of what the work held when it failed: it is remembered for long."""
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
    """Return our own sentence, or the kind of an error that is none of ours."""
    if isinstance(error, RiffusionError):
        return str(error)
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


class Jobs:
    """All jobs of a program.

    Parameters
    ----------
    lanes
        By name. Threads start with their first job.
    context
        Makes a context that each job is done in.
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
            What it does, for people.
        lane
            Where.
        work
            Called with the job, in a thread of the lane; returns its result.

        Raises
        ------
        BusyError
            Too many jobs of the lane are waiting.
        """
        limits = self._lanes[lane]
        job = Job(kind, lane, work, limits.seconds)
        with self._changed:
            # Those that were cancelled in the queue do not stay there until what is before them has ended.
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
        """Return the job of an id, or None."""
        with self._changed:
            return self._jobs.get(id_)

    def all(self) -> list[Job]:
        """Return the jobs that are remembered, from the oldest to the newest."""
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
                del job  # an idle thread holds no results
                with self._changed:
                    self._running[lane] -= 1
