"""Time and memory of curating 100,000 windows to a target size, on synthetic features.

Songs are clusters in the embedding, with a spread like that of real music. In ``music`` a fifth of the windows are
copies of others, changed as by a lossy codec, and every tenth song repeats a few bars. ``identical`` windows are all
the same, ``unrelated`` ones are as far from each other as possible, and ``one song`` has all windows in a single song.

Levels rise with notes and decay. In ``music`` every fifth song repeats the previous one, shifted by up to a window, and
every tenth consists of bars that all of these share.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np

from bench.report import Gate, Section, Table, number
from bench.timing import in_new_process

WINDOWS, TARGET = 100_000, 2_000
COLUMNS = 512
WINDOWS_OF_A_SONG = 50
KINDS = ("music", "identical", "unrelated", "one song")

# Distances in the embedding. In real music, windows of one song are usually 0.6 apart, the nearest about 0.3.
_SONG, _WINDOW, _COPY = 0.8, 0.45, 0.06
_NOTES, _FALL = 0.1, 6  # notes per frame and band; decay in half decibels per frame


def measure(*, quick: bool = False) -> Section:
    """Curate windows of each kind, each in a new process."""
    windows, target = (WINDOWS // 10, TARGET // 10) if quick else (WINDOWS, TARGET)
    runs = {kind: in_new_process("bench.curation", kind, str(windows), str(target)) for kind in KINDS}
    table = Table(
        f"Curation of {windows:,} windows of which {target:,} are wanted",
        ["windows", "wall s", "CPU s", "peak MB", "kept", "duplicates", "surplus"],
        note="Peak: of the whole process, the windows' features included.",
    )
    for kind, run in runs.items():
        counts = (f"{run[name]:,}" for name in ("kept", "duplicate", "surplus"))
        table.rows.append([kind, number(run["seconds"]), number(run["cpu"]), number(run["peak"] / 1e6, 0), *counts])
    seconds, peak = (max(run[name] for run in runs.values()) for name in ("seconds", "peak"))
    gates = [Gate(f"curation: {windows:,} windows, the slowest kind", seconds, "<", 120, "s")]
    if not math.isnan(peak):
        gates.append(Gate(f"curation: {windows:,} windows, memory of the process", peak / 1e6, "<", 2000, "MB"))
    return Section("curation", [table], gates, {"windows": windows, "target": target, **runs})


# -- in the new process


def _run(kind: str, windows: int, target: int) -> dict[str, float]:
    from riffusion_ext.dataset.analysis.features import EMBEDDING, Features
    from riffusion_ext.dataset.curation.curate import curate
    from riffusion_ext.dataset.settings import CurateSettings

    rng = np.random.default_rng(0)
    song = np.zeros(windows, int) if kind == "one song" else np.arange(windows) // WINDOWS_OF_A_SONG
    first = COLUMNS * (np.arange(windows) if kind == "one song" else np.arange(windows) % WINDOWS_OF_A_SONG)
    others = {
        name: (scale * rng.beta(0.5, 12, windows)).astype(np.float32)
        for name, scale in (("quiet", 1.0), ("burst", 0.3), ("transition", 1.0), ("clipped", 0.01), ("rumble", 10.0))
    }
    level = rng.normal(-18, 5, windows).astype(np.float32)
    features = Features(
        level_db=level,
        file_db=level,
        mixed_db=level,
        transition_at=rng.uniform(0, 5, windows).astype(np.float32),
        dropout=np.zeros(windows, np.float32),
        embedding=_embedding(kind, song, EMBEDDING, rng),
        levels=_levels(kind, song, rng),
        **others,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    verdicts = curate(features, song, first, COLUMNS, CurateSettings(target=target))
    found = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": _peak()}
    kinds = [reason.kind for verdict in verdicts for reason in verdict.reasons]
    found["kept"] = sum(verdict.kept for verdict in verdicts)
    return found | {name: kinds.count(name) for name in ("duplicate", "surplus")}


def _embedding(kind: str, song: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    count = len(song)

    def spread(number: int, distance: float, directions: int = size) -> np.ndarray:
        """Return anisotropic points at about this distance from zero."""
        weights = np.zeros(size)
        weights[:directions] = 0.85 ** np.arange(directions) if directions < size else 1.0
        points = rng.standard_normal((number, size), np.float32) * weights.astype(np.float32)
        return points * np.float32(distance / np.sqrt((weights**2).sum()))

    if kind == "identical":
        points = np.repeat(spread(1, 1.0), count, axis=0)
    elif kind == "unrelated":
        points = spread(count, 1.0)
    else:
        points = spread(1, 1.0) + spread(int(song.max()) + 1, _SONG, 24)[song] + spread(count, _WINDOW, 48)
        loops = np.flatnonzero(song % 10 == 9)
        points[loops] = points[loops // 4 * 4]
        copies, originals = np.split(rng.permutation(count), [count // 5])
        points[copies] = points[rng.choice(originals, len(copies))]
        points += spread(count, _COPY / math.sqrt(2))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _levels(kind: str, song: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from riffusion_ext.dataset.analysis.levels import BANDS, HOP, frames_of

    frames = frames_of(COLUMNS)
    levels = np.zeros((len(song), frames, BANDS), np.uint8)
    if kind == "identical":
        levels[:] = _note_levels(frames, rng)
        return levels
    bars = _note_levels(8 * frames // 2, rng).reshape(8, frames // 2, BANDS)
    before = np.zeros((0, BANDS), np.int16)
    for each in range(int(song.max()) + 1):
        windows = np.flatnonzero(song == each)
        length = (len(windows) + 1) * frames
        if kind == "music" and each % 5 == 4 and len(before) == length:
            place = rng.uniform(0, COLUMNS) / HOP + np.arange(len(windows) * frames)
            whole, rest = place.astype(int), (place % 1)[:, None]
            between = (1 - rest) * before[whole] + rest * before[whole + 1]
            played = np.rint(between + rng.normal(0, 1, between.shape)).astype(np.int16)
        elif kind == "music" and each % 10 == 0:
            played = bars[rng.integers(0, 8, 2 * len(windows) + 2)].reshape(-1, BANDS)
        else:
            played = _note_levels(length, rng)
        levels[windows] = np.clip(played[: len(windows) * frames], 0, 255).reshape(-1, frames, BANDS)
        before = played
    return levels


def _note_levels(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return the levels [frames, bands] of random notes, in half decibels."""
    from riffusion_ext.dataset.analysis.levels import BANDS

    struck = np.where(rng.random((frames, BANDS)) < _NOTES, rng.uniform(120, 220, (frames, BANDS)), 60)
    fall = _FALL * np.arange(frames)[:, None]
    return (np.maximum.accumulate(struck + fall) - fall).astype(np.int16)  # each note decays until the next is louder


def _peak() -> float:
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return math.nan
    return next(float(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
