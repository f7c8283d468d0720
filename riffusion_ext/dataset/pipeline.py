"""The whole way from a folder of songs to a training set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from riffusion_ext.audio.integrity.truncation import find_losses
from riffusion_ext.convert.parallel import cores
from riffusion_ext.dataset.captions.sidecars import unmatched_rows
from riffusion_ext.dataset.captions.template import caption_for
from riffusion_ext.dataset.curation.apply import SOURCE, export_set, judge
from riffusion_ext.dataset.curation.target import shortfall
from riffusion_ext.dataset.decisions import merge_review
from riffusion_ext.dataset.executor import Cut, Task, cut_songs, loudest_cells
from riffusion_ext.dataset.export.formats import ExportResult, check_export_settings
from riffusion_ext.dataset.manifest import Manifest
from riffusion_ext.dataset.settings import DatasetSettings, SliceSettings
from riffusion_ext.dataset.songs import Song, find_songs
from riffusion_ext.dataset.stems import check_model, separate
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.kinds import passed_over_line
from riffusion_ext.progress import Stage, Stages, time_left

__all__ = ["Built", "Progress", "build", "check_settings"]

_LOOK_AGAIN = 0.2  # seconds


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, total
        Songs.
    cut
        What became of the last one.
    seconds
        Since the first song was begun.
    fresh
        Songs worked through in this run, without those that were there already.
    """

    done: int
    total: int
    cut: Cut
    seconds: float
    fresh: int

    @property
    def left(self) -> float:
        """Seconds that the other songs will take, if it goes on as before. The stages after them are not counted."""
        return self.seconds / self.fresh * (self.total - self.done) if self.fresh else 0.0

    @property
    def pace(self) -> str:
        """Songs a second, and the time left for reading the others, in words."""
        text = f"{self.fresh / max(self.seconds, 1e-9):.2f} songs/s"
        return f"{text}, {time_left(self.left)} for reading" if self.done < self.total and self.fresh else text


@dataclass(frozen=True)
class Built:
    """What a run brought.

    Attributes
    ----------
    manifest, exported
        The training set, and what was written of it.
    failed
        Files and folders that could not be used, or not all of them, each with the reason.
    notes
        Sentences for the user.
    songs, resumed
        Songs that the set consists of, and how many of them were there before.
    seconds
        The whole run.
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
) -> Built:
    """Make or complete a training set.

    Songs that were cut before with the same settings are not read again, and what the user decided is kept. A song
    that cannot be read costs one line; the others go on.

    Parameters
    ----------
    collection
        Folder of songs, with the folders below it; or one song.
    out
        Folder of the training set.
    settings
        What to make.
    jobs
        Processes at once; 0 for one on each core.
    cluster
        Address of a Dask scheduler, to work there instead.
    reviews
        Files of decisions, as the contact sheet saves them.
    progress
        Called after each song that was read and cut.
    stages
        Called at the beginning of every other stage, and as it goes on: separating, measuring the level of the whole
        set, curating, exporting.
    cancelled
        Asked several times a second; once it is true the run ends within seconds. What is done is judged and written
        all the same.

    Raises
    ------
    RiffusionError
        There are no songs, a setting is not allowed, the folder is in use or cannot be written to, or the cluster does
        not answer.
    """
    began = time.perf_counter()
    told = Stages(stages)
    check_settings(settings)
    if not collection.exists():
        raise RiffusionError(f"no such file or folder: {collection}")
    if collection.resolve() == out.resolve():
        raise RiffusionError(f"the training set needs a folder of its own, got that of the songs: {out}")
    passed: list[Path] = []
    songs, failed = find_songs(collection, leave_out=out, passed=passed)
    over = [passed_over_line(passed)] if passed else []
    if not songs:
        closed = [f"{path}: {why}" for path, why in failed]
        raise RiffusionError("; ".join([f"no sound files in {collection}", *over, *closed]))
    store = Store(out)
    with store.locked():
        for review in reviews:
            merge_review(store, review)
        jobs = jobs or cores()
        cuts: dict[Song, Cut] = {}
        fresh = 0
        with _watching(cancelled, store.stop):
            if settings.slicing.stems:
                songs = _stems_of(store, songs, settings.slicing, failed, told)
            tasks = [Task(song, settings.slicing, out.absolute()) for song in songs]
            if settings.slicing.scale == "set":
                count = told.begin("measuring the level", "songs", len(tasks))
                max_value = 0.0
                for number, loudest in enumerate(loudest_cells(tasks, jobs=jobs, cluster=cluster), 1):
                    max_value = max(max_value, loudest)
                    count(number)
                tasks = [replace(task, max_value=max_value) for task in tasks]
            reading = time.perf_counter()
            with closing(cut_songs(tasks, jobs=jobs, cluster=cluster)) as results:
                for cut in results:
                    if cut.stopped:
                        continue
                    cuts[cut.song] = cut
                    fresh += not cut.was_there
                    if progress is not None:
                        progress(Progress(len(cuts), len(songs), cut, time.perf_counter() - reading, fresh))
        for song in songs:
            if song in cuts and cuts[song].error:
                failed.append((song.path, cuts[song].error))
            elif song in cuts and cuts[song].trouble:
                failed.append((song.path, f"{song.path} {cuts[song].trouble}"))
        repaired = [f"{song.path}: {note}" for song in songs if song in cuts for note in cuts[song].notes]
        done = [(song, cuts[song].key) for song in songs if song in cuts and not cuts[song].error]
        waiting = {song.name for song in songs if song not in cuts}
        stems = {song.name: str(song.path) for song in songs if song.whole is not None}
        store.write_json(SOURCE, {"collection": str(collection.absolute()), "stems": stems})
        root = collection if collection.is_dir() else collection.parent
        unmatched = unmatched_rows(dict.fromkeys(song.whole or song.path for song in songs), root)
        windows = sum(cut.windows for cut in cuts.values())
        count = told.begin("curating", "windows", windows)
        judged = judge(store, done, settings, root=root, waiting=waiting)
        count(windows)
        kept = len(judged.manifest.kept)
        short = [] if waiting else shortfall(judged.manifest, settings.curation.target)
        exported = export_set(store, judged.manifest, told.begin_parts("exporting", "windows", kept))
    return Built(
        manifest=judged.manifest,
        exported=exported,
        failed=failed,
        notes=(*short, *over, *repaired, *judged.notes, *unmatched, *exported.notes),
        songs=len(done),
        resumed=sum(cut.was_there for cut in cuts.values()),
        seconds=time.perf_counter() - began,
        stopped=bool(waiting),
    )


def check_settings(settings: DatasetSettings) -> None:
    """Raise a RiffusionError about captions or formats that cannot be written, before hours of work."""
    caption_for({}, settings.captions)
    check_export_settings(settings.export)


def _stems_of(
    store: Store, songs: Sequence[Song], settings: SliceSettings, failed: list[tuple[Path, str]], told: Stages
) -> list[Song]:
    """Take all songs apart, one after the other: the model that does it takes all cores, or the GPU, by itself."""
    check_model(settings.stems_model, settings.stems)
    found: list[Song] = []
    count = told.begin("separating", "songs", len(songs))
    for number, song in enumerate(songs, 1):
        if store.stop_wanted:  # they are waiting still
            found += [replace(song, name=f"{song.name}/{stem}", whole=song.path) for stem in settings.stems]
            continue
        try:
            found += separate(store, song, settings.stems, settings.stems_model)
            failed += [(song.path, f"{song.path} {loss}") for loss in find_losses(song.path)]  # the stems are whole
        except RiffusionError as error:
            failed.append((song.path, str(error)))
        count(number)
    return found


@contextmanager
def _watching(wanted: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Ask again and again, in a thread, and act once it is so."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_AGAIN):
            if wanted():
                act()
                return

    thread = threading.Thread(target=watch, daemon=True, name="riffusion-stop")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
