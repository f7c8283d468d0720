"""Cold start: the time of a fresh interpreter until its first image is decoded."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import Section, Table, milliseconds
from bench.timing import THREADS, in_new_process

if TYPE_CHECKING:
    from bench.material import Material

_STEPS = {
    "torch": "import torch",
    "codec": "import of the codec after it",
    "first": "first image, engine fast",
    "second": "second image",
}


def measure(material: Material, *, rounds: int) -> Section:
    """Start several times and report the median run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        material.pieces[0].image.save(path)
        runs = [in_new_process("bench.cold", str(path)) for _ in range(rounds)]
    middle = sorted(runs, key=lambda run: sum(run[step][0] for step in ("codec", "first")))[len(runs) // 2]
    table = Table("Cold start", ["", "wall ms", "CPU ms"])
    for step, label in _STEPS.items():
        table.rows.append([label, *(milliseconds(seconds) for seconds in middle[step])])
    return Section("cold", [table], [], {"runs": runs})


# -- in a new process that has loaded only the standard library


def _start(path: str) -> dict[str, tuple[float, float]]:
    """Return the seconds (wall clock, processor) of each step."""
    laps: dict[str, tuple[float, float]] = {}
    begun = time.perf_counter(), time.process_time()

    def lap(name: str) -> None:
        nonlocal begun
        now = time.perf_counter(), time.process_time()
        laps[name] = (now[0] - begun[0], now[1] - begun[1])
        begun = time.perf_counter(), time.process_time()

    import torch

    torch.set_num_threads(THREADS)
    lap("torch")
    from riffusion_ext.spectrogram.codec import DecodeSettings, image_to_audio, read_image

    lap("codec")
    for name in ("first", "second"):
        image_to_audio(read_image(path), DecodeSettings(device="cpu"))
        lap(name)
    return laps


if __name__ == "__main__":
    print(json.dumps(_start(sys.argv[1])))
