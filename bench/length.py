"""Memory of building a training set, for short songs and for a recording of three hours.

The recordings are synthesised to a temporary folder. Nineteen minutes are about the longest whose magnitudes are kept
in memory between measuring and encoding; longer recordings are read twice.

Linux only, since it reads VmHWM; elsewhere the section is skipped.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from bench import collection
from bench.memory import MB, STATUS, forget_peak, status
from bench.report import Gate, Section, Table, number
from bench.timing import confine, in_new_process

MINUTES = (3, 19, 180)
QUICK_MINUTES = (1, 22)


def measure(*, quick: bool) -> Section | None:
    """Build a training set of one recording of each length, each in a new process."""
    if not STATUS.is_file():
        return None
    runs: dict[int, dict[str, float]] = {}
    for minutes in QUICK_MINUTES if quick else MINUTES:
        with tempfile.TemporaryDirectory() as folder:
            collection.write_song(Path(folder) / "songs" / "long.flac", 60.0 * minutes, minutes)
            runs[minutes] = in_new_process("bench.length", folder)
    table = Table(
        "Memory of a training set by the length of a song",
        ["minutes", "peak MB over torch", "windows", "wall s", "x real time"],
        note="Peak: over the interpreter with torch loaded, the whole pipeline with curation, one process.",
    )
    for minutes, run in runs.items():
        cells = (number(run["wall_s"], 1), number(60 * minutes / run["wall_s"], 1))
        table.rows.append([str(minutes), number(run["peak"] / MB, 0), f"{run['windows']:,}", *cells])
    longest = max(runs)
    gates = [Gate(f"pipeline: memory of {longest} minutes, over torch", runs[longest]["peak"] / MB, "<", 600, "MB")]
    return Section("length", [table], gates, {f"{minutes} min": run for minutes, run in runs.items()})


# -- in the new process


def _run(folder: Path) -> dict[str, float]:
    import torch  # noqa: F401

    confine(1)
    forget_peak()
    before = status("VmRSS")
    from riffusion_ext.dataset.pipeline import build
    from riffusion_ext.dataset.settings import DatasetSettings

    began = time.perf_counter()
    built = build(folder / "songs", folder / "set", DatasetSettings(), jobs=1)
    wall = time.perf_counter() - began
    if built.failed:
        raise RuntimeError(built.failed[0][1])
    return {"peak": status("VmHWM") - before, "wall_s": wall, "windows": len(built.manifest.windows)}


if __name__ == "__main__":
    print(json.dumps(_run(Path(sys.argv[1]))))
