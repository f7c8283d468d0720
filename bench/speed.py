"""Decoding time of an image: ours compared with the original's, interleaved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from bench import methods, recipes
from bench.material import CLIP_SAMPLES, Material
from bench.report import AIM, Gate, Section, Table, milliseconds, number
from bench.timing import THREADS, Times, interleaved
from riffusion_ext.spectrogram.codec import available_engines
from riffusion_ext.spectrogram.inversion.kernels import kernels


def measure(material: Material, *, rounds: int, sgd_rounds: int) -> Section:
    """Time the methods on the first images of the material, one by one."""
    fast = methods.engine("fast")
    ways: dict[str, methods.Method] = {"torch": methods.torch_alone(fast)}
    if kernels(torch.device("cpu")) is not None:
        ways["numba"] = fast
    quick = (*ways, "best")
    ways["best"] = methods.engine("best")
    ways["lstsq"] = methods.lstsq
    if "reference" in available_engines():
        ways["reference"] = methods.engine("reference")
    pieces = material.pieces[: max(rounds, 1)]
    narrow = replace(pieces[0], image=pieces[0].image.crop((0, 0, 64, recipes.N_MELS)))
    for way in (*ways.values(), methods.sgd):
        way(narrow)  # creates filters, windows and plans outside the timing
    for name in quick:
        ways[name](pieces[0])

    def at(way: methods.Method) -> Callable[[int], object]:
        return lambda number: way(pieces[number % len(pieces)])

    calls = {name: at(way) for name, way in ways.items()}
    if 0 < sgd_rounds < rounds:  # a few rounds with it, the rest without
        times = interleaved({**calls, "sgd": at(methods.sgd)}, sgd_rounds)
        for name, more in interleaved(calls, rounds - sgd_rounds, cpu_rounds=0).items():
            times[name].wall += more.wall
    else:
        times = interleaved({**calls, "sgd": at(methods.sgd)} if sgd_rounds else calls, rounds)
    return Section("speed", [_table(times)], _gates(times), {name: t.as_dict() for name, t in times.items()})


def _ratio(times: dict[str, Times], slow: str, quick: str, clock: str) -> float:
    if slow not in times:
        return float("nan")
    return float(getattr(times[slow], clock) / getattr(times[quick], clock))


def _table(times: dict[str, Times]) -> Table:
    seconds = CLIP_SAMPLES / recipes.SAMPLE_RATE
    table = Table(
        "Speed, one image of 512 columns (5.11 s)",
        [
            "method",
            f"wall ms, {THREADS} threads",
            "real-time factor",
            "x LSTSQ",
            "x SGD",
            "CPU ms, 1 thread",
            "x LSTSQ",
            "x SGD",
        ],
        note="Medians of interleaved runs; what every image shares (filters, windows) is warm.",
    )
    for name, t in times.items():
        row = [methods.LABELS[name], milliseconds(t.wall_median), number(t.wall_median / seconds, 3)]
        row += [number(_ratio(times, slow, name, "wall_median"), 1) for slow in ("lstsq", "sgd")]
        row.append(milliseconds(t.cpu_median))
        row += [number(_ratio(times, slow, name, "cpu_median"), 1) for slow in ("lstsq", "sgd")]
        table.rows.append(row)
    return table


def _gates(times: dict[str, Times]) -> list[Gate]:
    seconds = CLIP_SAMPLES / recipes.SAMPLE_RATE
    wall = _ratio(times, "lstsq", "torch", "wall_median")
    gates = [
        Gate("fast, torch alone: speed against INC-LSTSQ", wall, ">=", 15, "x"),
        Gate("fast, torch alone: speed against INC-LSTSQ, the goal", wall, ">=", 25, "x", AIM),
        Gate(
            "fast, torch alone: processor time against INC-LSTSQ, 1 thread",
            _ratio(times, "lstsq", "torch", "cpu_median"),
            ">=",
            15,
            "x",
            AIM,
        ),
        Gate("best: real-time factor", times["best"].wall_median / seconds, "<", 0.5),
    ]
    if "numba" in times:
        goal = _ratio(times, "lstsq", "numba", "wall_median")
        gates.append(Gate("fast, with numba: speed against INC-LSTSQ, the goal", goal, ">=", 40, "x", AIM))
    if "reference" in times:
        own = _ratio(times, "lstsq", "reference", "wall_median")
        gates.append(Gate("INC-LSTSQ restated: time off torchaudio's own", max(own, 1 / own), "<=", 1.2, "x", AIM))
    if "sgd" in times:
        sgd = _ratio(times, "sgd", "torch", "wall_median")
        gates.insert(1, Gate("fast, torch alone: speed against INC-SGD", sgd, ">=", 60, "x"))
    return gates
