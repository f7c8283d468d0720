"""Building a curated training set from a folder of songs: real-time factor, and the gain from a second core.

Calls ``build`` like the dataset command: songs are found, read, measured, sliced and encoded, windows are curated and
captions written. Each run has a new process and an empty folder, and is limited to as many cores as it has jobs.
Imports before the run are not timed, those of its worker processes are.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench import collection
from bench.report import AIM, MUST, Gate, Section, Table, number
from bench.timing import confine, in_new_process
from riffusion_ext.convert.parallel import cores

_WORTH_IT = 1800.0  # seconds of music below which starting processes, about 2 s each, dominates the gain of two cores


def measure(music: Path | None, *, tracks: int, rounds: int) -> Section:
    """Build the training set on one core and on two, alternating; only on one if there is no second."""
    jobs = [1, 2] if cores() > 1 else [1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "songs"
        folder.mkdir()
        for place, song in enumerate(collection.songs(music, tracks, folder)):
            if song.parent != folder:
                shutil.copyfile(song, folder / f"{place:05d}-{song.name}")
        runs: dict[int, list[dict[str, float]]] = {count: [] for count in jobs}
        for _ in range(rounds):
            for count in jobs:
                runs[count].append(in_new_process("bench.pipeline", str(count), str(folder)))
    return Section("pipeline", [_table(runs)], _gates(runs), {f"jobs {count}": runs[count] for count in jobs})


def _median(runs: list[dict[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def _table(runs: dict[int, list[dict[str, float]]]) -> Table:
    first = runs[1][0]
    table = Table(
        f"From a folder to a training set, {first['songs']} songs, {first['sound_s'] / 60:.1f} min",
        ["cores", "wall s", "CPU s", "songs/s", "x real time", "the same per core", "x one core"],
        note=f"{first['windows']} windows, {first['kept']} of them kept, {first['failed']} songs failed. "
        f"Interleaved runs: {len(runs[1])}; median.",
    )
    for count, found in runs.items():
        wall = _median(found, "wall_s")
        rate, gain = first["sound_s"] / wall, _median(runs[1], "wall_s") / wall
        cells = (wall, _median(found, "cpu_s"), first["songs"] / wall, rate, rate / count, gain)
        table.rows.append([str(count), *(number(cell) for cell in cells)])
    return table


def _gates(runs: dict[int, list[dict[str, float]]]) -> list[Gate]:
    wall = {count: _median(found, "wall_s") for count, found in runs.items()}
    sound = runs[1][0]["sound_s"]
    gates = [Gate("pipeline: music per second of one core", sound / wall[1], ">=", 40, "x")]
    if 2 in wall:
        kind = MUST if sound >= _WORTH_IT else AIM
        gates.append(Gate("pipeline: two cores against one", wall[1] / wall[2], ">=", 1.7, "x", kind))
    return gates


# -- in the new process


def _run(jobs: int, songs: Path) -> dict[str, float]:
    import torch  # noqa: F401

    from riffusion_ext.dataset.pipeline import build
    from riffusion_ext.dataset.settings import DatasetSettings

    confine(jobs)
    with tempfile.TemporaryDirectory() as out:
        cpu, wall = _processor_time(), time.perf_counter()
        built = build(songs, Path(out), DatasetSettings(), jobs=jobs)
        wall = time.perf_counter() - wall
        if jobs > 1:  # the times of idle worker processes are only known after they end
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True)
        cpu = _processor_time() - cpu
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "sound_s": sum(song.duration for song in built.manifest.songs),
        "songs": built.songs,
        "failed": len(built.failed),
        "windows": len(built.manifest.windows),
        "kept": len(built.manifest.kept),
    }


def _processor_time() -> float:
    """Return the processor time of this process and its children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]), Path(sys.argv[2]))))
