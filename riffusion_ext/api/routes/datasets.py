"""The route for training sets: from uploaded songs to an archive of images and captions."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fastapi import APIRouter
from starlette.responses import Response

from riffusion_ext.api.context import ApiContext, file_view
from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.inputs import check_text, parse_params
from riffusion_ext.api.requests.json_route import json_route
from riffusion_ext.api.requests.threads import in_thread
from riffusion_ext.api.responses import accept
from riffusion_ext.api.schemas import Dataset, pick_fields
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.paths import shorten_name, without_folders
from riffusion_ext.jobs import Job
from riffusion_ext.options.dataset import OPTIONS, settings_of
from riffusion_ext.progress import Stages

if TYPE_CHECKING:
    from riffusion_ext.dataset.pipeline import BuildResult, Progress
    from riffusion_ext.dataset.settings import DatasetSettings
    from riffusion_ext.library import ClipRecord
    from riffusion_ext.progress import Stage

__all__ = ["router"]

_READING_SHARE = 0.8
_STAGE_SHARES = {"curating": (0.8, 0.02), "exporting": (0.82, 0.08), "packing": (0.9, 0.1)}
"""Shares of the progress: for reading; then, by stage, the share before it and its own."""

_ENTRY_OVERHEAD_BYTES = 1 << 10
"""Maximum overhead of a file in an archive, in bytes."""


def router(service: ApiContext) -> APIRouter:
    """Build the route."""
    routes = APIRouter(tags=["training sets"], route_class=json_route(service.limits))

    @routes.post("/datasets", status_code=202, summary="Songs to a training set")
    async def dataset(body: Dataset) -> Response:
        return await in_thread(_dataset, service, body)

    return routes


def _settings(body: Dataset) -> DatasetSettings:
    from riffusion_ext.dataset.pipeline import check_settings
    from riffusion_ext.params import PRESETS

    check_text(body.trigger, body.caption, body.preset)
    values = pick_fields(body, *(item.id for item in OPTIONS if "api" in item.interfaces and item.field == item.id))
    values |= {"params": parse_params(body.preset) or PRESETS["riffusion-v1"], "formats": tuple(body.formats)}
    if body.caption is not None:
        values["template"] = body.caption
    settings = settings_of(values)
    check_settings(settings)
    return settings


def _dataset(service: ApiContext, body: Dataset) -> Response:
    limits = service.limits
    if not 1 <= len(body.clips) <= limits.songs:
        raise ApiError(422, f"clips must name 1 to {limits.songs} songs, got {len(body.clips)}")
    seconds = sum(service.find("clips", id_[:64]).duration for id_ in dict.fromkeys(body.clips))
    settings = _settings(body)
    service.results.check("archives", 1, _estimate(settings, seconds))
    return accept(service, "dataset", "dataset", lambda job: _build(service, body, settings, job))


def _estimate(settings: DatasetSettings, seconds: float) -> int:
    """Estimate the size of an archive in bytes: one byte for each pixel and channel, for each export format."""
    slices, params = settings.slicing, settings.slicing.params
    windows = params.columns_of_samples(round(seconds * params.sample_rate)) // slices.step
    windows = min(windows, settings.curation.target or windows)
    pixels = windows * slices.columns * params.num_frequencies * params.channels
    sound = 2 * windows * params.samples_of_columns(slices.columns) * params.channels
    return sum(sound if form == "audio" else pixels for form in settings.export.formats)


def _song_paths(folder: Path, records: Sequence[ClipRecord]) -> list[Path]:
    """Return the paths of the clips as songs: unique names, after those of the uploads."""
    titles = [Path(record.download_name).stem for record in records]
    used: set[str] = set()
    paths = []
    for title, record in zip(titles, records, strict=True):
        path, number = folder / shorten_name(title, record.path.suffix), 2
        while str(path).casefold() in used:
            path, number = folder / shorten_name(f"{title}-{number}", record.path.suffix), number + 1
        used.add(str(path).casefold())
        paths.append(path)
    return paths


def _build(service: ApiContext, body: Dataset, settings: DatasetSettings, job: Job) -> dict[str, object]:
    from riffusion_ext.dataset.pipeline import build

    root = service.folder("datasets") / secrets.token_hex(8)
    try:
        songs = root / "songs"
        songs.mkdir(parents=True)
        records = [service.find("clips", id_) for id_ in dict.fromkeys(body.clips)]
        for record, path in zip(records, _song_paths(songs, records), strict=True):
            shutil.copyfile(record.path, path)

        def on_song(progress: Progress) -> None:
            job.report(_READING_SHARE * progress.done / progress.total, f"song {progress.done} of {progress.total}")

        def on_stage(stage: Stage) -> None:
            before, share = _STAGE_SHARES.get(stage.name, (0.0, 0.0))
            job.report(before + share * stage.share, stage.text)

        # One process: each worker of a webui would load everything that the webui has loaded.
        built = build(
            songs,
            root / "set",
            settings,
            jobs=1,
            progress=on_song,
            stages=on_stage,
            cancelled=lambda: job.stop_requested,
        )
        return _result(service, built, root / "set", Stages(on_stage))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _result(service: ApiContext, built: BuildResult, folder: Path, stages: Stages) -> dict[str, object]:
    path = service.folder("archives") / f"{secrets.token_hex(8)}.zip"
    files = [item for item in sorted(folder.rglob("*")) if item.is_file() and ".riffusion" not in item.parts]
    size = sum(item.stat().st_size + _ENTRY_OVERHEAD_BYTES for item in files)
    service.results.reserve("archives", 1, size, wait=True)

    count = stages.begin("packing", "files", len(files))

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for number, item in enumerate(files, 1):
                archive.write(item, item.relative_to(folder).as_posix())
                count(number)

    write_atomically(path, write)
    record = service.results.save("archives", path, title="training set", download_name="training-set.zip")
    return {
        "archive": file_view(service, "archives", record),
        "songs": built.songs,
        "windows": len(built.manifest.windows),
        "kept": len(built.manifest.kept),
        "left_out": built.manifest.counts(),
        "failed": [{"song": name.name, "reason": without_folders(why)} for name, why in built.failed],
        "notes": [without_folders(note) for note in built.notes],
        "complete": not built.stopped,
    }
