"""Slice songs one after the other, on all cores, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from riffusion_ext.dataset.settings import SliceSettings
from riffusion_ext.dataset.songs import Song
from riffusion_ext.dataset.workers import AHEAD, map_unordered
from riffusion_ext.errors import RiffusionError

if TYPE_CHECKING:
    from riffusion_ext.dataset.slicing.slice_song import SongRecord
    from riffusion_ext.dataset.store import Store

__all__ = ["SongResult", "Task", "largest_magnitudes", "slice_songs"]


_Result = TypeVar("_Result")


class StopError(RiffusionError):
    """The user stopped the run."""


@dataclass(frozen=True)
class Task:
    """A song to slice, and the folder of the training set."""

    song: Song
    settings: SliceSettings
    out: Path
    max_value: float | None = None


@dataclass(frozen=True)
class SongResult:
    """Outcome for one song: the key of its record, or the error, or that the run was stopped before it.

    `trouble` says what is wrong with a song that was sliced nevertheless, `notes` what was repaired in it.
    """

    song: Song
    key: str = ""
    duration: float = 0.0
    windows: int = 0
    error: str = ""
    trouble: str = ""
    notes: tuple[str, ...] = ()
    resumed: bool = False
    stopped: bool = False


def slice_songs(tasks: Sequence[Task], *, jobs: int, cluster: str = "") -> Generator[SongResult, None, None]:
    """Slice songs, and yield the result of each as soon as it is known, in any order.

    Closing the iterator stops the work. So does :meth:`~riffusion_ext.dataset.store.Store.stop`, which workers on any
    machine see. Unfinished songs are sliced in the next run.

    Parameters
    ----------
    tasks
        The songs.
    jobs
        Number of processes. 1 works in this process, as does any number without joblib.
    cluster
        Address of a Dask scheduler (``tcp://host:8786``) whose workers see the same files under the same paths.

    Raises
    ------
    RiffusionError
        The cluster cannot be reached, or the package it needs is missing.
    """
    remaining: list[Task] = []
    for task in tasks:  # finished songs need no worker process
        finished = _find_finished(task)
        if finished is None:
            remaining.append(task)
        else:
            yield finished
    if jobs > 1 or cluster:  # largest first, so that no long song is left running alone at the end
        remaining.sort(key=_size, reverse=True)
    yield from _run_tasks(_process, _killed, remaining, jobs, cluster)


def largest_magnitudes(tasks: Sequence[Task], *, jobs: int, cluster: str = "") -> Iterator[float]:
    """Yield the largest mel magnitude of each song; 0 for songs that cannot be read."""
    yield from _run_tasks(_measure_loudest, lambda task: 0.0, tasks, jobs, cluster)


def _killed(task: Task) -> SongResult:
    return SongResult(task.song, error="the process that worked on it was killed; maybe memory ran out")


def _run_tasks(
    function: Callable[[Task], _Result],
    on_killed: Callable[[Task], _Result],
    tasks: Sequence[Task],
    jobs: int,
    cluster: str,
) -> Iterator[_Result]:
    if cluster:
        yield from _run_on_cluster(function, tasks, cluster)
        return
    jobs = min(jobs, len(tasks))
    if jobs > 1:
        jobs = jobs if find_spec("joblib") else 1
    if jobs <= 1:
        yield from map(function, tasks)
        return
    yield from _run_on_cores(function, on_killed, tasks, jobs)


def _run_on_cores(
    function: Callable[[Task], _Result], on_killed: Callable[[Task], _Result], tasks: Sequence[Task], jobs: int
) -> Iterator[_Result]:
    """Run tasks in other processes. A task whose process dies is tried once more, and given up if that dies too."""
    remaining = dict(enumerate(tasks))
    while remaining:
        try:
            for number, result in map_unordered(function, list(remaining.items()), jobs):
                del remaining[number]
                yield result
        except BrokenProcessPool:  # all processes are gone, with every task they were given
            for number in list(remaining)[: AHEAD * jobs]:
                task = remaining.pop(number)
                try:
                    yield from (result for _, result in map_unordered(function, [(number, task)], 2))
                except BrokenProcessPool:
                    yield on_killed(task)


def _run_on_cluster(function: Callable[[Task], _Result], tasks: Sequence[Task], address: str) -> Iterator[_Result]:
    try:
        import joblib
        from distributed import Client
    except ImportError as error:
        raise RiffusionError(
            f"a cluster needs the packages joblib and distributed ({error}): pip install joblib distributed"
        ) from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise RiffusionError(f"the cluster at {address} does not answer: {error}") from None
    with client, joblib.parallel_config("dask", client=client):
        pool = joblib.Parallel(n_jobs=-1, batch_size=1, return_as="generator_unordered")
        yield from pool(joblib.delayed(function)(task) for task in tasks)


def _size(task: Task) -> int:
    try:
        return task.song.path.stat().st_size
    except OSError:  # reading the file will raise the error
        return 0


def _find_finished(task: Task) -> SongResult | None:
    """Return the result of a song from an earlier run; None if there is none."""
    from riffusion_ext.dataset.store import Store, record_key

    store = Store(task.out)
    if store.stop_requested or not store.has_records:
        return None
    try:
        key = record_key(task.song.name, task.song.digest(), task.settings.fingerprint, task.max_value)
    except OSError:
        return None
    record = store.load_record(key)
    if record is None:
        return None
    return replace(_result_of(task, key, record), resumed=True)


def _process(task: Task) -> SongResult:
    import torch

    from riffusion_ext.convert import explain
    from riffusion_ext.dataset.slicing.slice_song import slice_song
    from riffusion_ext.dataset.store import Store, record_key
    from riffusion_ext.spectrogram.threads import run_on

    store = Store(task.out)
    try:
        tick = _stop_check(store)
        tick()
        digest = task.song.digest()
        key = record_key(task.song.name, digest, task.settings.fingerprint, task.max_value)
        # On one core, whatever the machine has, so that images are bit-identical everywhere.
        record = run_on(
            torch.device("cpu"),
            lambda _: slice_song(task.song, digest, task.settings, store.fresh, tick, task.max_value),
        )
        store.save_record(key, record)
    except StopError:
        return SongResult(task.song, stopped=True)
    except Exception as error:
        return SongResult(task.song, error=explain(error))
    return _result_of(task, key, record)


def _result_of(task: Task, key: str, record: SongRecord) -> SongResult:
    files = len(record.files)
    return SongResult(task.song, key, record.duration, files, trouble=record.trouble, notes=tuple(record.notes))


def _stop_check(store: Store) -> Callable[[], None]:
    def tick() -> None:
        if store.stop_requested:
            raise StopError("stopped")

    return tick


def _measure_loudest(task: Task) -> float:
    import torch

    from riffusion_ext.dataset.slicing.slice_song import largest_magnitude
    from riffusion_ext.dataset.store import Store, record_key
    from riffusion_ext.spectrogram.threads import run_on

    store = Store(task.out)
    try:
        key = record_key("", task.song.digest(), str(task.settings.params), None)
        loudest = store.load_loudest(key)
        if loudest is None:
            loudest = run_on(
                torch.device("cpu"), lambda _: largest_magnitude(task.song, task.settings, _stop_check(store))
            )
            store.save_loudest(key, loudest)
        return loudest
    except Exception:  # slicing it will report the error
        return 0.0
