"""Songs, riffs and loops: overhead on top of the sampler, and memory.

Each is generated as on its page, including preview segments, with a fake backend that returns images immediately. The
drawing of the page itself is not included.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench import collection, recipes
from bench.fake_backend import Clock, FakeBackend, TimedPiece
from bench.material import Material
from bench.memory import MB, STATUS, forget_peak, status
from bench.report import AIM, Gate, Section, Table, number
from bench.timing import THREADS, in_new_process, threads
from riffusion_ext.audio import AudioClip, read_audio, write_audio
from riffusion_ext.generate.loop import Loop, LoopSettings
from riffusion_ext.generate.riff import Riff, RiffSettings
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.ui.layout.generation_page import generate

STEPS = 50
ASSUMED = (0.02, 0.04, 0.1, 1.0, 5.0)
"""Assumed seconds per sampler step at 512 x 512 if not measured, from a fast GPU to a CPU."""

STAGES = {
    "read": "read the song",
    "plan": "plan",
    "prepare": "folder, init images",
    "requests": "requests: init images, masks, context of neighbours",
    "keep": "write the windows' images",
    "previews": "preview segments",
    "sound": "blend and decode",
    "mix": "mix, level",
    "write": "write the result",
}
MEMORY_MINUTES = (1, 3, 10)
_BPM, _BEAT, _BATCH = 120.0, "backbeat", 4
_OVERLAP = 128
_COMPARED = 3
_LIMIT = 5.0


@dataclass(frozen=True)
class Run:
    """Measurements of generating one piece.

    Attributes
    ----------
    stages
        Seconds by the keys of :data:`STAGES`.
    cpu
        Total processor time.
    music
        Duration of the result in seconds.
    windows, window_columns
        Number of generated windows, and their total width.
    preview_share
        Columns decoded for previews, relative to the whole.
    """

    stages: dict[str, float]
    cpu: float
    music: float
    windows: int
    window_columns: int
    preview_share: float

    @property
    def own(self) -> float:
        """Return the seconds outside the backend."""
        return sum(self.stages.values())

    def share(self, seconds_per_step: float) -> float:
        """Return the overhead in per cent of the sampler's time, which is assumed to be proportional to the width."""
        return 100 * self.own / (self.window_columns / 512 * STEPS * seconds_per_step)


Make = Callable[[Sequence[Image.Image], Path], Run]


def measure(material: Material, music: Path | None, *, rounds: int, quick: bool, step_seconds: float | None) -> Section:
    """Generate songs, a riff and a loop in turn, then decode some of the same windows by the original recipe.

    Parameters
    ----------
    music
        Folder with the song of the riff; None synthesises it.
    step_seconds
        Seconds per sampler step at 512 x 512 on the target machine; None for several assumed values.
    """
    images = [piece.image.convert("RGB") for piece in material.music]
    with tempfile.TemporaryDirectory() as name, threads(THREADS):
        song = _song_file(music, Path(name), 10.0 if quick else 180.0)
        pieces = _pieces(song, quick=quick)
        make_song(images, Path(name) / "warm", seconds=6.0)
        runs: dict[str, list[Run]] = {piece: [] for piece in pieces}
        originals: list[float] = []
        with threads(1):
            original_cpu = _original(images[:1], time.process_time)
        for round_number in range(rounds):
            for piece, make in pieces.items():
                runs[piece].append(make(images, Path(name) / f"{round_number} {piece}"))
            originals.append(_original(images[:_COMPARED]))
        memory = _memory(images, Path(name), quick=quick)
    tables = [
        _stages(runs),
        _shares(runs, step_seconds),
        _against(runs, originals, original_cpu),
        *_memory_tables(memory),
    ]
    data: dict[str, object] = {name: [asdict(run) for run in found] for name, found in runs.items()}
    data |= {
        "original_s_per_window": originals,
        "original_cpu_s_per_window": original_cpu,
        "memory": memory,
        "step_seconds": step_seconds,
    }
    return Section("making", tables, _gates(runs, memory, step_seconds), data)


def _pieces(song: Path, *, quick: bool) -> dict[str, Make]:
    songs = {"song, 20 s": 20.0} if quick else {"song, 1 min": 60.0, "song, 5 min": 300.0}
    found: dict[str, Make] = {name: partial(make_song, seconds=seconds) for name, seconds in songs.items()}
    found["riff, 10 s" if quick else "riff, 3 min"] = partial(make_riff, song=song)
    found["loop, 4 bars"] = make_loop
    return found


def _song_file(music: Path | None, folder: Path, seconds: float) -> Path:
    """Write `seconds` of a song of the folder as stereo, repeated if it is shorter."""
    clip = read_audio(collection.songs(music, 1, folder)[0]).resample(recipes.SAMPLE_RATE).to_channels(2)
    count = round(seconds * recipes.SAMPLE_RATE)
    samples = np.tile(clip.samples, (1, -(-count // clip.samples.shape[1])))[:, :count]
    return write_audio(AudioClip(samples, recipes.SAMPLE_RATE), folder / "song.wav")


# -- ours


def make_song(images: Sequence[Image.Image], folder: Path, *, seconds: float) -> Run:
    """Generate a song as its page does: from one prompt to another, with a beat as the init image."""
    clock = Clock()
    keyframes = (Keyframe("one", seed=1, seconds=seconds / 2), Keyframe("other", seed=2, seconds=seconds / 2))
    settings = SongSettings(Score(keyframes, bpm=_BPM), beat=_BEAT, overlap=_OVERLAP, steps=STEPS)
    song = clock.time("plan", lambda: Song(settings, folder, decode=DecodeSettings()))
    backend, timed = _generated(song, images, folder, clock)
    clip = clock.time("sound", song.sound)
    assert clip is not None
    with clock.on("write"):
        song.write(folder / "song.wav", clip)
        song.image(columns=settings.width)  # the page keeps the end, to continue from it
    return _run(clock, backend, clip, timed.preview_columns / song.plan.columns)


def _generated(
    piece: Song | Riff, images: Sequence[Image.Image], folder: Path, clock: Clock
) -> tuple[FakeBackend, TimedPiece]:
    """Generate a piece as its page does, including the preview segments."""
    backend, timed = FakeBackend(images, clock, max_batch=_BATCH), TimedPiece(piece, clock)
    generated = generate(timed, backend, folder / "parts", lambda event: None, lambda: False, batch=_BATCH)
    if generated.error is not None:
        raise generated.error
    return backend, timed


def make_riff(images: Sequence[Image.Image], folder: Path, *, song: Path) -> Run:
    """Generate a riff from a song as its page does, half dry and half wet."""
    from riffusion_ext.generate.score.automation import Curve

    clock = Clock()
    clip = clock.time("read", lambda: read_audio(song))
    keyframes = (Keyframe("one", seed=1, seconds=1.0, denoise=0.3),)
    settings = RiffSettings(keyframes, wet=Curve.constant(0.5), overlap=_OVERLAP, steps=STEPS)
    riff = clock.time("plan", lambda: Riff(clip, settings, folder, decode=DecodeSettings()))
    backend, timed = _generated(riff, images, folder, clock)
    wet = clock.time("sound", riff.wet)
    assert wet is not None
    clock.time("write", lambda: write_audio(wet, folder / "wet.wav", subtype="float"))
    mixed = clock.time("mix", lambda: riff.mix(wet))
    clock.time("write", lambda: riff.write(folder / "riff.wav", mixed))
    return _run(clock, backend, mixed, timed.preview_columns / riff.plan.columns)


def make_loop(images: Sequence[Image.Image], folder: Path) -> Run:
    """Generate a loop of four bars as its page does, from a beat."""
    clock = Clock()
    settings = LoopSettings("one", seed=1, bars=4, bpm=_BPM, beat=_BEAT, steps=STEPS)
    loop = clock.time("plan", lambda: Loop(settings, folder, decode=DecodeSettings()))
    backend = FakeBackend(images, clock, max_batch=_BATCH)
    clock.time("requests", lambda: list(loop.generate(backend)))
    clip = clock.time("sound", loop.sound)
    assert clip is not None
    clock.time("write", lambda: loop.write(folder / "loop.wav", clip))
    return _run(clock, backend, clip, 0.0)


def _run(clock: Clock, backend: FakeBackend, clip: AudioClip, preview_share: float) -> Run:
    stages = {name: clock.seconds.get(name, 0.0) for name in STAGES}
    cpu = sum(clock.cpu.get(name, 0.0) for name in STAGES)
    return Run(stages, cpu, clip.duration, backend.generated, backend.columns, preview_share)


# -- the original


def _original(images: Sequence[Image.Image], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds to decode a window and append it with a crossfade, by the original recipe."""
    begun = clock()
    recipes.append_clips([recipes.inc_lstsq(image) for image in images], _OVERLAP * recipes.HOP_LENGTH)
    return (clock() - begun) / len(images)


# -- tables


def _median(runs: Sequence[Run], of: Callable[[Run], float]) -> float:
    return statistics.median(of(run) for run in runs)


def _stages(runs: dict[str, list[Run]]) -> Table:
    table = Table(
        "Own time of songs, riffs and loops",
        ["seconds", *runs],
        note=f"Medians of {len(next(iter(runs.values())))} runs, {THREADS} threads, windows generated {_BATCH} at a "
        "time by a backend that takes no time; stages that take none are left out.",
    )

    def add(name: str, of: Callable[[Run], float], digits: int = 2) -> None:
        table.rows.append([name, *(number(_median(found, of), digits) for found in runs.values())])

    for key, label in STAGES.items():
        if any(_median(found, lambda run, key=key: run.stages[key]) >= 0.005 for found in runs.values()):
            add(label, lambda run, key=key: run.stages[key])
    add("together", lambda run: run.own)
    add("processor time", lambda run: run.cpu)
    add("windows", lambda run: run.windows, 0)
    add("own time of a minute of music", lambda run: 60 * run.own / run.music)
    add("own time of 512 columns generated", lambda run: run.own / run.window_columns * 512)
    add("processor time of 512 columns generated", lambda run: run.cpu / run.window_columns * 512)
    add("columns decoded for previews over all", lambda run: run.preview_share)
    return table


def _shares(runs: dict[str, list[Run]], step_seconds: float | None) -> Table:
    assumption = (
        "Seconds per step are assumed, from a fast GPU to a CPU: nobody measured them here."
        if step_seconds is None
        else f"{step_seconds:g} s per step are given by --sampler-seconds-per-step."
    )
    table = Table(
        f"Own time in per cent of {STEPS} steps of each window",
        ["seconds per step of 512 x 512", *runs],
        note=f"{assumption} The sampler's time is taken to grow with the width of a window.",
    )
    for seconds in ASSUMED if step_seconds is None else (step_seconds,):
        label = f"{seconds:g}, {'assumed' if step_seconds is None else 'given'}"
        table.rows.append([label, *(number(_median(f, lambda r, s=seconds: r.share(s)), 2) for f in runs.values())])
    return table


def _against(runs: dict[str, list[Run]], originals: Sequence[float], original_cpu: float) -> Table:
    table = Table(
        "A window in seconds, and against the original",
        ["", "wall s", "CPU s", "x original, wall", "x original, CPU"],
        note=f"Original: {_COMPARED} of the windows, INC-LSTSQ each, appended with a crossfade as long as our overlap "
        f"of {_OVERLAP} columns, its processor time with one thread; of its own requests and files nothing is counted. "
        "Ours: everything that the table above has.",
    )
    wall = statistics.median(originals)
    table.rows.append(
        ["original: decode and append", number(wall), number(original_cpu), number(1.0, 1), number(1.0, 1)]
    )
    for name, found in runs.items():
        columns = _median(found, lambda run: run.window_columns / 512)
        own, cpu = (_median(found, of) / columns for of in (lambda run: run.own, lambda run: run.cpu))
        table.rows.append([name, number(own), number(cpu), number(wall / own, 1), number(original_cpu / cpu, 1)])
    return table


def _memory_tables(memory: dict[int, dict[str, float]]) -> list[Table]:
    if not memory:
        return []
    table = Table(
        "Memory of a song by its length",
        ["minutes", "host: peak MB over torch", "of it result MB", "device: peak MB"],
        note="The whole way as above, each length in a process of its own. Device: `max_memory_allocated`.",
    )
    for minutes, run in memory.items():
        cells = [number(run[key] / MB, 0) for key in ("peak", "result", "device")]
        table.rows.append([f"{minutes:g}", *cells])
    return [table]


def _gates(runs: dict[str, list[Run]], memory: dict[int, dict[str, float]], step_seconds: float | None) -> list[Gate]:
    preview_share = max(run.preview_share for found in runs.values() for run in found)
    gates = [Gate("making: columns decoded for previews over all", preview_share, "<=", 1, "x")]
    if step_seconds is not None:
        worst = max(_median(found, lambda run: run.share(step_seconds)) for found in runs.values())
        gates.append(Gate(f"making: own time over {STEPS} steps, worst piece", worst, "<", _LIMIT, "%"))
    if memory:
        first, last = memory[min(memory)], memory[max(memory)]
        growth = (last["peak"] - first["peak"]) / (last["result"] - first["result"])
        gates.append(Gate("making: host memory that grows, in sizes of the result", growth, "<=", 6, "x", AIM))
        if last["device"] > 0:
            flat = last["device"] / first["device"]
            gates.append(Gate("making: device memory, longest song over shortest", flat, "<=", 1.1, "x"))
    return gates


# -- memory, in a new process


def _memory(images: Sequence[Image.Image], folder: Path, *, quick: bool) -> dict[int, dict[str, float]]:
    if not STATUS.is_file():
        return {}
    for place, image in enumerate(images):
        image.save(folder / f"{place}.png")
    found: dict[int, dict[str, float]] = {}
    for minutes in MEMORY_MINUTES[:2] if quick else MEMORY_MINUTES:
        found[minutes] = in_new_process("bench.making", str(minutes), str(folder))
    return found


def _peak(minutes: float, folder: Path) -> dict[str, float]:
    torch.set_num_threads(THREADS)
    images = [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))]
    on_device = torch.cuda.is_available()
    if on_device:
        torch.zeros(1, device="cuda")
        torch.cuda.reset_peak_memory_stats()
    forget_peak()
    before = status("VmRSS")
    with tempfile.TemporaryDirectory() as work:
        run = make_song(images, Path(work), seconds=60.0 * minutes)
    result = 4.0 * run.music * recipes.SAMPLE_RATE
    device = float(torch.cuda.max_memory_allocated()) if on_device else float("nan")
    return {"peak": status("VmHWM") - before, "result": result, "device": device}


if __name__ == "__main__":
    print(json.dumps(_peak(float(sys.argv[1]), Path(sys.argv[2]))))
