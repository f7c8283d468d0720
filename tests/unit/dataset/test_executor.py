"""Songs processed in worker processes, and workers that die."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from riffusion_ext.dataset import executor
from riffusion_ext.dataset.executor import Task, slice_songs
from riffusion_ext.dataset.pipeline import Progress, build
from riffusion_ext.dataset.settings import DatasetSettings, SliceSettings
from riffusion_ext.dataset.songs import Song
from tests.unit.dataset.conftest import MakeSong


def tasks(*names: str) -> list[Task]:
    return [Task(Song(Path(name), name), SliceSettings(), Path("out")) for name in names]


# Worker processes must be able to import the function, so eval is used, with texts as songs.
PROCESS = "__import__('os').getpid()"
DEADLY = "__import__('os').kill(__import__('os').getpid(), 9)"


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_song_that_kills_its_process_does_not_affect_the_others() -> None:
    texts = [repr(letter) for letter in "abcdefgh"]
    texts.insert(2, DEADLY)
    found = list(executor._run_on_cores(eval, lambda text: f"lost {text}", texts, 2))
    assert sorted(found) == sorted([*"abcdefgh", f"lost {DEADLY}"])


def test_lost_song_is_reported_in_one_sentence() -> None:
    (task,) = tasks("a.wav")
    assert executor._killed(task).error == "the process that worked on it was killed; maybe memory ran out"


def test_one_job_or_missing_joblib_runs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    three, here = [PROCESS] * 3, {os.getpid()}
    assert set(executor._run_tasks(eval, eval, three, 1, "")) == here
    assert set(executor._run_tasks(eval, eval, three[:1], 8, "")) == here, "a single song starts no other process"
    assert not here & set(executor._run_tasks(eval, eval, three, 2, ""))
    monkeypatch.setattr(executor, "find_spec", lambda name: None)
    assert set(executor._run_tasks(eval, eval, three, 2, "")) == here


def test_songs_are_processed_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(executor, "_process", lambda task: begun.append(task.song.name))
    results = slice_songs(tasks("a", "b", "c"), jobs=1)
    next(results)
    results.close()
    assert begun == ["a"]


def test_finished_songs_start_no_worker_process(
    tmp_path: Path, make_song: MakeSong, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_song(tmp_path / "songs" / "a.wav", 2.0)
    first = build(tmp_path / "songs", tmp_path / "out", narrow, jobs=1)
    told: list[Progress] = []

    def none(*args: object) -> Iterator[object]:
        assert not args[2], "a song is handed out"
        yield from ()

    monkeypatch.setattr(executor, "_run_tasks", none)
    again = build(tmp_path / "songs", tmp_path / "out", narrow, jobs=2, progress=told.append)
    assert again.manifest == first.manifest
    assert [(tell.done, tell.processed, tell.left) for tell in told] == [(1, 0, 0.0)]
