"""Songs handed out to processes, and processes that do not come back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from riffusion_ext.dataset import work
from riffusion_ext.dataset.settings import SliceSettings
from riffusion_ext.dataset.songs import Song
from riffusion_ext.dataset.work import Task, cut_songs


def tasks(*names: str) -> list[Task]:
    return [Task(Song(Path(name), name), SliceSettings(), Path("out")) for name in names]


def test_a_song_that_kills_its_process_costs_nothing_else() -> None:
    def deadly(task: Task) -> str:
        if task.song.name == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        return task.song.name

    names = ["a", "b", "deadly", *"cdefgh"]
    found = list(work._on_cores(deadly, lambda task: f"lost {task.song.name}", tasks(*names), 2))
    assert sorted(found) == sorted([*"abcdefgh", "lost deadly"])


def test_what_is_lost_is_said_in_a_sentence() -> None:
    (task,) = tasks("a.wav")
    assert work._lost(task).error == "the process that worked on it was killed; maybe memory ran out"


def test_one_job_or_no_joblib_means_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(task: Task) -> int:
        return os.getpid()

    three = tasks("a", "b", "c")
    assert set(work._mapped(own, own, three, 1, "")) == {os.getpid()}
    assert set(work._mapped(own, own, three[:1], 8, "")) == {os.getpid()}, "of one song, no other process is started"
    assert os.getpid() not in set(work._mapped(own, own, three, 2, ""))
    monkeypatch.setattr(work, "find_spec", lambda name: None)
    assert set(work._mapped(own, own, three, 2, "")) == {os.getpid()}


def test_songs_are_read_only_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(work, "_cut_one", lambda task: begun.append(task.song.name))
    results = cut_songs(tasks("a", "b", "c"), jobs=1)
    next(results)
    results.close()
    assert begun == ["a"]


def test_cores_are_those_of_this_process() -> None:
    assert 1 <= work.cores() <= (os.cpu_count() or 1)
