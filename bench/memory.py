"""Memory of decoding an image: peak above that of the interpreter with torch loaded, in a new process.

Linux only, since it reads VmHWM; elsewhere the section is skipped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from bench import recipes
from bench.material import Material
from bench.report import AIM, Gate, Section, Table, number
from bench.timing import THREADS, in_new_process

MB = 1e6
STATUS = Path("/proc/self/status")
WIDTHS = {"512 x 512": 512, "61 s": 6144, "180 s": 18000, "600 s": 60000}


def measure(material: Material, *, quick: bool) -> Section | None:
    """Measure images of growing width, joined from the material; the original only up to 61 s."""
    if not STATUS.is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "levels.npy"
        np.save(path, np.concatenate([np.asarray(p.image.convert("RGB"))[..., 0] for p in material.pieces], axis=1))
        jobs = [("fast", name) for name in WIDTHS if not (quick and name == "180 s")]
        jobs += [("best", "512 x 512"), ("lstsq", "512 x 512"), ("lstsq", "61 s")]
        found = {job: in_new_process("bench.memory", job[0], str(WIDTHS[job[1]]), str(path)) for job in jobs}
    return Section("memory", [_table(found)], _gates(found), {f"{m}, {n}": v for (m, n), v in found.items()})


def _table(found: dict[tuple[str, str], dict[str, float]]) -> Table:
    from bench.methods import LABELS

    table = Table(
        "Memory, peak over the interpreter with torch loaded",
        ["method, image", "peak MB", "of it result MB", "pixels MB", "the rest MB"],
        note="Result: the clip at 44.1 kHz in float32. Pixels: the image decoded to RGB.",
    )
    for (method, name), run in found.items():
        cells = (run[key] / MB for key in ("peak", "result", "pixels", "rest"))
        table.rows.append([f"{LABELS[method]}, {name}", *(number(cell, 0) for cell in cells)])
    return table


def _gates(found: dict[tuple[str, str], dict[str, float]]) -> list[Gate]:
    def peak(method: str, name: str) -> float:
        return found[method, name]["peak"]

    base = found["fast", "61 s"]["peak"] - found["fast", "61 s"]["result"]
    gates = [
        Gate("memory: one image, fast", peak("fast", "512 x 512") / MB, "<", 500, "MB"),
        Gate("memory: one image, best", peak("best", "512 x 512") / MB, "<", 500, "MB"),
        Gate("memory: 61 s against INC-LSTSQ", peak("fast", "61 s") / peak("lstsq", "61 s"), "<=", 0.25, "x", AIM),
    ]
    if ("fast", "180 s") in found:
        longer = found["fast", "180 s"]["peak"] - found["fast", "180 s"]["result"]
        gates.append(Gate("memory: 180 s against 61 s, less the result", longer / base, "<=", 1.2, "x", AIM))
    # Bounded: ten minutes need a few times the memory of pixels and sound, and nothing that grows faster.
    held = found["fast", "600 s"]["result"] + found["fast", "600 s"]["pixels"]
    growth = (peak("fast", "600 s") - peak("fast", "61 s")) / (held * (1 - WIDTHS["61 s"] / WIDTHS["600 s"]))
    gates.append(Gate("memory: 600 s over 61 s, in sizes of pixels and result", growth, "<=", 3, "x"))
    return gates


# -- in the new process


def status(key: str) -> float:
    """Return a memory figure of this process in bytes, such as ``VmRSS``."""
    for line in STATUS.read_text("ascii").splitlines():
        if line.startswith(f"{key}:"):
            return float(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} has no {key}")


def forget_peak() -> None:
    """Reset the peak; if that is forbidden, it includes the peak of the imports, which is smaller."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def _run(method: str, columns: int, levels_path: Path) -> dict[str, float]:
    import torch
    from PIL import Image

    torch.set_num_threads(THREADS)
    levels = np.load(levels_path)
    levels = np.tile(levels, (1, -(-columns // levels.shape[1])))[:, :columns]
    image = Image.fromarray(levels).convert("RGB")
    del levels
    forget_peak()
    before = status("VmRSS")
    if method == "lstsq":
        samples = recipes.inc_lstsq(image, iterations=2)  # the peak is reached in the second iteration
    else:
        from riffusion_ext.spectrogram.codec import DecodeSettings, image_to_audio

        samples = image_to_audio(image, DecodeSettings(engine=method, device="cpu")).clip.samples
    peak = status("VmHWM") - before
    result, pixels = float(samples.nbytes), 3.0 * image.width * image.height
    return {"peak": peak, "result": result, "pixels": pixels, "rest": peak - result - pixels}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("method")
    parser.add_argument("columns", type=int)
    parser.add_argument("levels", type=Path)
    options = parser.parse_args()
    print(json.dumps(_run(options.method, options.columns, options.levels)))
