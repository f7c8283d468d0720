"""Background jobs and their lanes."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

from riffusion_ext.errors import RiffusionError
from riffusion_ext.jobs import BusyError, Job, Jobs, Lane


@pytest.fixture
def jobs() -> Jobs:
    return Jobs({"one": Lane(threads=1, waiting=2, seconds=60, kept=3), "two": Lane(threads=2)})


def nothing(job: Job) -> dict[str, Any]:
    return {}


def test_job_reports_progress_state_and_result(jobs: Jobs) -> None:
    def work(job: Job) -> dict[str, Any]:
        job.report(0.5, "half")
        return {"a": 1}

    job = jobs.submit("kind", "one", work)
    assert job.wait(10)
    assert (job.state, job.progress, job.message, job.result, job.error) == ("done", 1.0, "half", {"a": 1}, "")
    assert job.created <= (job.started or 0) <= (job.ended or 0)
    assert jobs.get(job.id) is job
    assert jobs.get("other") is None
    assert not job.cancel()
    assert job.state == "done"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RiffusionError("no"), "no"),
        (ValueError("bad\nmore"), "ValueError: bad"),
        (KeyError(), "KeyError"),
        (SystemExit(), "SystemExit"),
    ],
)
def test_failed_job_gives_its_error_and_the_next_one_runs(jobs: Jobs, error: BaseException, said: str) -> None:
    def work(job: Job) -> dict[str, Any]:
        raise error

    job = jobs.submit("kind", "one", work)
    assert job.wait(10)
    assert (job.state, job.error, job.cause) == ("failed", said, error)
    after = jobs.submit("kind", "one", nothing)
    assert after.wait(10)
    assert after.state == "done"


def test_lanes_are_independent_and_limited(jobs: Jobs) -> None:
    go, began = threading.Event(), threading.Event()

    def work(job: Job) -> dict[str, Any]:
        began.set()
        go.wait(10)
        job.check()
        return {}

    held = [jobs.submit("held", "one", work)]
    assert began.wait(10)
    held += [jobs.submit("held", "one", work) for _ in range(2)]
    with pytest.raises(BusyError, match="2 jobs"):
        jobs.submit("held", "one", work)
    other = jobs.submit("other", "two", nothing)
    assert other.wait(10)
    assert jobs.count(["waiting", "running"]) == 3
    assert held[2].cancel()
    assert held[2].state == "cancelled"
    held[0].cancel()
    go.set()
    assert all(job.wait(10) for job in held)
    assert [job.state for job in held] == ["cancelled", "done", "cancelled"]


def test_job_that_exceeds_its_time_limit_fails() -> None:
    jobs = Jobs({"short": Lane(seconds=0.05)})

    def work(job: Job) -> dict[str, Any]:
        while not job.stop_requested:
            threading.Event().wait(0.01)
        return {"complete": False, "part": 1}

    job = jobs.submit("kind", "short", work)
    assert job.wait(10)
    assert (job.state, job.result) == ("failed", {"complete": False, "part": 1})
    assert job.error == "this took longer than the 0.05 s that are allowed"


def test_ended_jobs_are_removed_and_release_their_objects(jobs: Jobs) -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)

    def work(job: Job, thing: Thing = thing) -> dict[str, Any]:
        return {}

    job = jobs.submit("kind", "one", work)
    assert job.wait(10)
    del work, thing
    for _ in range(5):
        assert jobs.submit("kind", "one", nothing).wait(10)
    gc.collect()
    assert gone() is None
    assert jobs.get(job.id) is None
    assert len(jobs.all()) <= 4


def test_end_callbacks_are_called_once(jobs: Jobs) -> None:
    calls: list[int] = []
    go = threading.Event()

    def work(job: Job) -> dict[str, Any]:
        go.wait(10)
        return {}

    job = jobs.submit("kind", "one", work)
    job.add_done_callback(lambda: calls.append(1))
    go.set()
    assert job.wait(10)
    job.add_done_callback(lambda: calls.append(2))
    end = threading.Event()
    job.add_done_callback(end.set)
    assert end.wait(10)
    jobs.submit("kind", "one", nothing).wait(10)
    assert sorted(calls) == [1, 2]


def test_ended_job_reports_no_more_progress(jobs: Jobs) -> None:
    job = jobs.submit("kind", "one", nothing)
    assert job.wait(10)
    job.report(0.5, "late", {"step": 1})  # by a thread that monitors the work
    assert (job.progress, job.message, job.activity) == (1.0, "", None)


def test_lane_survives_callbacks_that_raise(jobs: Jobs) -> None:
    go = threading.Event()

    def work(job: Job) -> dict[str, Any]:
        go.wait(10)
        return {}

    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    heard = threading.Event()
    first = jobs.submit("kind", "one", work)
    first.add_done_callback(gone)
    first.add_done_callback(heard.set)
    go.set()
    assert heard.wait(10)
    assert jobs.submit("kind", "one", nothing).wait(10)


def test_cancelled_jobs_leave_the_queue(jobs: Jobs) -> None:
    go, began = threading.Event(), threading.Event()

    def work(job: Job) -> dict[str, Any]:
        began.set()
        go.wait(10)
        return {}

    jobs.submit("kind", "one", work)
    assert began.wait(10)
    cancelled = []
    for _ in range(20):
        job = jobs.submit("kind", "one", nothing)
        job.cancel()
        cancelled.append(weakref.ref(job))
    del job
    gc.collect()
    assert sum(reference() is not None for reference in cancelled) <= 5
    go.set()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"a": [{"b": float("nan")}]}, "a.0.b is nan"),
        ({"a": (1.0, -float("inf"))}, "a.1 is -inf"),
        ({"a": object()}, "TypeError"),
        ({"a": b""}, "TypeError"),
        ({1: float("inf")}, "1 is inf"),
    ],
)
def test_job_with_a_result_that_json_cannot_represent_fails(jobs: Jobs, result: Any, said: str) -> None:
    job = jobs.submit("kind", "one", lambda job: result)
    assert job.wait(10)
    assert (job.state, job.result) == ("failed", None)
    assert said in job.error
    inner: list[Any] = []
    inner.append(inner)
    around = jobs.submit("kind", "one", lambda job: {"a": inner})
    assert around.wait(10)
    assert "not valid JSON" in around.error


def test_progress_values_are_finite(jobs: Jobs) -> None:
    seen: list[Any] = []

    def work(job: Job) -> dict[str, Any]:
        job.report(0.25, "a", {"step": 1})
        for share in (float("nan"), float("inf"), -float("inf")):
            job.report(share, "b", {"left": share})
            seen.append((job.progress, job.message, job.activity))
        return {}

    assert jobs.submit("kind", "one", work).wait(10)
    assert seen == [(0.25, "b", None)] * 3


def test_failed_job_releases_its_objects_but_keeps_the_error(jobs: Jobs) -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)

    def work(job: Job, thing: Thing = thing) -> dict[str, Any]:
        held = thing
        try:
            raise ValueError("inner")
        except ValueError as error:
            raise RiffusionError(f"outer of {held is thing}") from error

    job = jobs.submit("kind", "one", work)
    assert job.wait(10)
    assert jobs.submit("kind", "one", nothing).wait(10)  # the thread has continued
    del work, thing
    gc.collect()
    assert str(job.cause) == "outer of True"
    assert gone() is None


def test_log_shows_where_unexpected_errors_come_from(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    def unexpected(job: Job) -> dict[str, Any]:
        raise KeyError("x")

    assert jobs.submit("kind", "one", unexpected).wait(10)
    assert "in unexpected" in caplog.text
