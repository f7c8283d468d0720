"""GPU, if available: equal quality to the CPU, and the cost of decoding eight tiles at once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from bench import methods, recipes
from bench.material import Material
from bench.measures import evaluate
from bench.report import AIM, Gate, Section, Table, milliseconds, number
from riffusion_ext.spectrogram.codec import DecodeSettings, images_to_audio

TILES = 8


def measure(
    material: Material, *, rounds: int, generation_seconds: float | None, device: str = "cuda"
) -> Section | None:
    """Measure on a CUDA device; None if there is none.

    Parameters
    ----------
    generation_seconds
        Seconds of a generation with 50 steps on this device, for comparison.
    """
    if not torch.cuda.is_available():
        return None
    pieces = material.pieces
    shift: dict[str, float] = {}
    for name in ("fast", "best"):
        on_cpu, on_gpu = methods.engine(name, "cpu"), methods.engine(name, device)
        shift[name] = max(abs(evaluate(p, on_gpu(p))["psnr"] - evaluate(p, on_cpu(p))["psnr"]) for p in pieces)
    images = [pieces[i % len(pieces)].image for i in range(TILES)]
    calls: dict[str, tuple[int, Callable[[], object]]] = {}
    for name in ("fast", "best"):
        settings = DecodeSettings(engine=name, channels="mono", params=methods.PARAMS, device=device)
        calls[f"{name}, 1 tile"] = (1, partial(images_to_audio, images[:1], settings))
        calls[f"{name}, {TILES} tiles"] = (TILES, partial(images_to_audio, images, settings))
    calls["INC-LSTSQ, 1 tile"] = (1, partial(recipes.inc_lstsq, images[0], device=device))
    times, peaks = _timed({name: call for name, (_, call) in calls.items()}, rounds)
    table = Table(f"On {torch.cuda.get_device_name()}", ["", "wall ms", "ms a tile", "peak memory MB"])
    for name, (tiles, _) in calls.items():
        cells = [milliseconds(times[name]), milliseconds(times[name] / tiles), number(peaks[name] / 1e6, 0)]
        table.rows.append([name, *cells])
    batched = f"fast, {TILES} tiles"
    if generation_seconds is not None:
        share = 100 * times[batched] / TILES / generation_seconds
        table.note = f"A tile of {TILES} adds {share:.1f} % to a generation of {generation_seconds:g} s."
    gates = [
        # A failing device falls back to the CPU with only a warning: the figures would be those of the CPU.
        Gate("GPU: memory that a tile takes there", peaks["fast, 1 tile"] / 1e6, ">=", 1, "MB"),
        Gate("GPU: fast, PSNR off the CPU's, worst image", shift["fast"], "<=", 0.2, "dB"),
        Gate("GPU: best, PSNR off the CPU's, worst image", shift["best"], "<=", 0.2, "dB"),
        Gate(
            f"GPU: {TILES} tiles in a batch against singly", times[batched] / TILES / times["fast, 1 tile"], "<", 1, "x"
        ),
        Gate("GPU: speed against INC-LSTSQ", times["INC-LSTSQ, 1 tile"] / times["fast, 1 tile"], ">=", 10, "x", AIM),
    ]
    return Section("gpu", [table], gates, {"psnr_shift": shift, "seconds": times, "peak_bytes": peaks})


def _timed(calls: dict[str, Callable[[], object]], rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the median seconds and peak memory of each call, without the warm-up runs."""
    peaks: dict[str, float] = {}
    for name, call in calls.items():
        call()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        peaks[name] = float(torch.cuda.max_memory_allocated() - before)
    runs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            torch.cuda.synchronize()
            start = time.perf_counter()
            call()
            torch.cuda.synchronize()
            runs[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in runs.items()}, peaks
