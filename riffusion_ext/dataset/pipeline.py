"""The pipeline from a folder of songs to a training set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from riffusion_ext.audio.integrity.truncation import find_losses
from riffusion_ext.convert.parallel import cores
from riffusion_ext.dataset.captions.sidecars import unmatched_rows
from riffusion_ext.dataset.captions.template import caption_for
from riffusion_ext.dataset.curation.apply import SOURCE, CuratedSet, curate_set, export_set
from riffusion_ext.dataset.curation.target import shortfall
from riffusion_ext.dataset.decisions import merge_review
from riffusion_ext.dataset.executor import SongResult, Task, largest_magnitudes, slice_songs
from riffusion_ext.dataset.export.formats import ExportResult, check_export_settings
from riffusion_ext.dataset.manifest import Manifest
from riffusion_ext.dataset.settings import DatasetSettings, SliceSettings
from riffusion_ext.dataset.songs import Song, find_songs
from riffusion_ext.dataset.stems import check_model, separate
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.kinds import passed_over_line
from riffusion_ext.progress import Stage, Stages, time_left

__all__ = ["BuildResult", "Progress", "build", "check_settings"]

_POLL_INTERVAL_S = 0.2  # seconds


@dataclass(frozen=True)
class Progress:
    """Progress of a run through the songs.

    Attributes
    ----------
    done, total
        Number of songs.
    result
        What became of the last one.
    seconds
        Since the first song was begun.
    processed
        Songs worked through in this run, without those that were there already.
    """

    done: int
    total: int
    result: SongResult
    seconds: float
    processed: int

    @property
    def left(self) -> float:
        """Estimated time for the remaining songs, in seconds, without the stages that follow."""
        return self.seconds / self.processed * (self.total - self.done) if self.processed else 0.0

    @property
    def speed_text(self) -> str:
        """Songs per second and the time left for the remaining songs, as text."""
        text = f"{self.processed / max(self.seconds, 1e-9):.2f} songs/s"
        return f"{text}, {time_left(self.left)} for reading" if self.done < self.total and self.processed else text


@dataclass(frozen=True)
class BuildResult:
    """Result of a run.

    Attributes
    ----------
    manifest, exported
        The training set, and the result of its export.
    failed
        Files and folders that could not be used, or only in part, each with the reason.
    notes
        Sentences for the user.
    songs, resumed
        Number of songs in the set, and how many of them were sliced by an earlier run.
    seconds
        Duration of the run.
    stopped
        Whether songs are missing because the run was stopped.
    """

    manifest: Manifest
    exported: ExportResult
    failed: list[tuple[Path, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    songs: int = 0
    resumed: int = 0
    seconds: float = 0.0
    stopped: bool = False


def build(
    collection: Path,
    out: Path,
    settings: DatasetSettings,
    *,
    jobs: int = 0,
    cluster: str = "",
    reviews: Sequence[Path] = (),
    progress: Callable[[Progress], None] | None = None,
    stages: Callable[[Stage], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> BuildResult:
    """Build or complete a training set.

    Songs that were sliced before with the same settings are not read again, and the user's decisions are kept. A song
    that cannot be read is reported in :attr:`BuildResult.failed`; the others are still used.

    Parameters
    ----------
    collection
        Folder of songs, searched recursively; or one song.
    out
        Folder of the training set.
    settings
        Settings of the training set.
    jobs
        Number of processes; 0 for one per core.
    cluster
        Address of a Dask scheduler that runs the work instead.
    reviews
        Files of decisions saved by contact sheets.
    progress
        Called after each song that was sliced.
    stages
        Called at the beginning and during every other stage: separating, measuring the level of the whole set,
        curating, exporting.
    cancelled
        Polled several times a second; once it is true the run ends within seconds. Finished songs are still curated
        and exported.

    Raises
    ------
    RiffusionError
        There are no songs, a setting is invalid, the folder is in use or cannot be written to, or the cluster does not
        answer.
    """
    started = time.perf_counter()
    reporter = Stages(stages)
    check_settings(settings)
    songs, failed, skipped_notes = _find_all(collection, out)
    store = Store(out)
    jobs = jobs or cores()
    with store.locked():
        for review in reviews:
            merge_review(store, review)
        with _watch_cancellation(cancelled, store.stop):
            if settings.slicing.stems:
                songs = _separate_all(store, songs, settings.slicing, failed, reporter)
            tasks = [Task(song, settings.slicing, out.absolute()) for song in songs]
            if settings.slicing.scale == "set":
                tasks = _share_max_value(tasks, jobs, cluster, reporter)
            results = _slice_all(tasks, jobs, cluster, progress)
        failed += _troubles(results)
        stems = {song.name: str(song.path) for song in songs if song.whole is not None}
        store.write_json(SOURCE, {"collection": str(collection.absolute()), "stems": stems})
        root = collection if collection.is_dir() else collection.parent
        unfinished = {song.name for song in songs if song not in results}
        curated = _curate_all(store, results, settings, root, unfinished, reporter)
        kept = len(curated.manifest.kept)
        exported = export_set(store, curated.manifest, reporter.begin_parts("exporting", "windows", kept))
        notes = (
            *([] if unfinished else shortfall(curated.manifest, settings.curation.target)),
            *skipped_notes,
            *(f"{song.path}: {note}" for song, result in results.items() for note in result.notes),
            *curated.notes,
            *unmatched_rows(dict.fromkeys(song.whole or song.path for song in songs), root),
            *exported.notes,
        )
    return BuildResult(
        manifest=curated.manifest,
        exported=exported,
        failed=failed,
        notes=notes,
        songs=sum(not result.error for result in results.values()),
        resumed=sum(result.resumed for result in results.values()),
        seconds=time.perf_counter() - started,
        stopped=bool(unfinished),
    )


def check_settings(settings: DatasetSettings) -> None:
    """Raise a RiffusionError if captions or formats cannot be written, before hours of work."""
    caption_for({}, settings.captions)
    check_export_settings(settings.export)


def _find_all(collection: Path, out: Path) -> tuple[list[Song], list[tuple[Path, str]], list[str]]:
    """Find the songs; returns them, what cannot be read and why, and a note about skipped files."""
    if not collection.exists():
        raise RiffusionError(f"no such file or folder: {collection}")
    if collection.resolve() == out.resolve():
        raise RiffusionError(f"the training set needs a folder of its own, got that of the songs: {out}")
    skipped: list[Path] = []
    songs, failed = find_songs(collection, leave_out=out, skipped=skipped)
    notes = [passed_over_line(skipped)] if skipped else []
    if not songs:
        unreadable = [f"{path}: {why}" for path, why in failed]
        raise RiffusionError("; ".join([f"no sound files in {collection}", *notes, *unreadable]))
    return songs, failed, notes


def _separate_all(
    store: Store, songs: Sequence[Song], settings: SliceSettings, failed: list[tuple[Path, str]], reporter: Stages
) -> list[Song]:
    """Separate songs into stems, one after the other, since the model uses all cores or the GPU by itself."""
    check_model(settings.stems_model, settings.stems)
    found: list[Song] = []
    count = reporter.begin("separating", "songs", len(songs))
    for number, song in enumerate(songs, 1):
        if store.stop_requested:  # unfinished, left for the next run
            found += [replace(song, name=f"{song.name}/{stem}", whole=song.path) for stem in settings.stems]
            continue
        try:
            found += separate(store, song, settings.stems, settings.stems_model)
            failed += [(song.path, f"{song.path} {loss}") for loss in find_losses(song.path)]  # not of stems
        except RiffusionError as error:
            failed.append((song.path, str(error)))
        count(number)
    return found


def _share_max_value(tasks: list[Task], jobs: int, cluster: str, reporter: Stages) -> list[Task]:
    """Give all songs the largest magnitude of the whole set, which is drawn black."""
    count = reporter.begin("measuring the level", "songs", len(tasks))
    max_value = 0.0
    for number, loudest in enumerate(largest_magnitudes(tasks, jobs=jobs, cluster=cluster), 1):
        max_value = max(max_value, loudest)
        count(number)
    return [replace(task, max_value=max_value) for task in tasks]


def _slice_all(
    tasks: list[Task], jobs: int, cluster: str, progress: Callable[[Progress], None] | None
) -> dict[Song, SongResult]:
    """Slice the songs; returns the results of the finished ones, in the order of the songs."""
    results: dict[Song, SongResult] = {}
    processed, since = 0, time.perf_counter()
    with closing(slice_songs(tasks, jobs=jobs, cluster=cluster)) as sliced:
        for result in sliced:
            if result.stopped:
                continue
            results[result.song] = result
            processed += not result.resumed
            if progress is not None:
                progress(Progress(len(results), len(tasks), result, time.perf_counter() - since, processed))
    return {task.song: results[task.song] for task in tasks if task.song in results}


def _troubles(results: Mapping[Song, SongResult]) -> list[tuple[Path, str]]:
    """Return the songs that could not be used, or only in part, each with the reason."""
    return [
        (song.path, result.error or f"{song.path} {result.trouble}")
        for song, result in results.items()
        if result.error or result.trouble
    ]


def _curate_all(
    store: Store,
    results: Mapping[Song, SongResult],
    settings: DatasetSettings,
    root: Path,
    unfinished: set[str],
    reporter: Stages,
) -> CuratedSet:
    """Decide about and caption the windows of all sliced songs."""
    windows = sum(result.windows for result in results.values())
    count = reporter.begin("curating", "windows", windows)
    done = [(song, result.key) for song, result in results.items() if not result.error]
    curated = curate_set(store, done, settings, root=root, unfinished=unfinished)
    count(windows)
    return curated


@contextmanager
def _watch_cancellation(cancelled: Callable[[], bool], stop: Callable[[], None]) -> Iterator[None]:
    """Poll `cancelled` in a thread, and call `stop` once it is true."""
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_POLL_INTERVAL_S):
            if cancelled():
                stop()
                return

    thread = threading.Thread(target=watch, daemon=True, name="riffusion-stop")
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
