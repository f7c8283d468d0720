"""The number of cores, and work on several files in parallel."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.convert.parallel import cores, map_in_threads


@pytest.mark.parametrize("joblib", [True, False])
def test_cores_do_not_exceed_the_machine_with_or_without_joblib(joblib: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not joblib:
        monkeypatch.setitem(sys.modules, "joblib", None)
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that confines processes to cores")
@pytest.mark.parametrize("joblib", [True, False])
def test_cores_respect_the_cpu_affinity(joblib: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not joblib:
        monkeypatch.setitem(sys.modules, "joblib", None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert cores() == 1


def test_cores_respect_the_container_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.externals.loky.backend.context._cpu_count_cgroup", lambda _: 1)
    assert cores() == 1


@given(st.lists(st.integers(), max_size=30), st.integers(1, 8))
def test_results_come_in_the_order_of_the_items(items: list[int], threads: int) -> None:
    assert list(map_in_threads(lambda item: -item, items, threads)) == [-item for item in items]


def test_as_many_items_run_at_once_as_there_are_threads() -> None:
    together = threading.Barrier(4, timeout=120)
    assert list(map_in_threads(lambda item: together.wait() >= 0, range(8), 4)) == [True] * 8


def test_pending_items_are_cancelled_when_the_caller_stops() -> None:
    done: list[int] = []
    going_on = threading.Event()

    def work(item: int) -> int:
        if item:
            going_on.wait(20)
        done.append(item)
        return item

    results = map_in_threads(work, range(100), 2)
    assert next(results) == 0
    threading.Timer(0.2, going_on.set).start()
    results.close()
    assert len(done) <= 4


def test_pending_items_are_cancelled_after_an_error() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 0:
            raise ValueError("no")
        done.append(item)
        threading.Event().wait(0.05)

    with pytest.raises(ValueError, match="no"):
        list(map_in_threads(work, range(100), 2))
    assert len(done) < 50
