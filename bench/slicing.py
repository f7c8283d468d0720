"""Slicing songs to PNG files of windows on one core: the original's method compared with ours.

The original makes such images with ``audio-to-images-batch``, from clips cut by its ``sample-clips``. Restated: read
the whole song, and for each 5.12 s compute the full STFT, the dense product with the mel filters, the image, and a PNG
with Pillow's defaults. In its favour, the song is read once with our reader, not once for each clip through ffmpeg and
a WAV file.

Ours are three. ``slices`` does the same work as the dataset command, and is compared with the original. ``slices and
measures`` is all that the command does with a song, including measures for the curation, tempo and key.
``tiles`` is ``audio-to-image --tiles``.

Runs in a new process limited to one core, song by song, with alternating methods.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench import collection, recipes
from bench.report import Gate, Section, Table, number
from bench.timing import Times, confine, in_new_process

WINDOW_SECONDS = 5.12
ORIGINAL, SLICES = "original", "slices"
_WARM_SECONDS = 12.0


def measure(music: Path | None, *, tracks: int, rounds: int) -> Section:
    """Slice songs of the folder, or synthesised ones, with all methods."""
    with tempfile.TemporaryDirectory() as folder:
        songs = collection.songs(music, tracks, Path(folder))
        found = in_new_process("bench.slicing", str(rounds), *map(str, songs))
    times = {name: Times(run["wall_s"], run["cpu_s"]) for name, run in found["methods"].items()}
    original, sound = times[ORIGINAL], found["sound_s"]
    table = Table(
        f"From songs to images, {len(songs)} songs, {sound / 60:.1f} min, one core",
        ["method", "images", "wall s", "CPU s", "x real time", "x original, wall", "x original, CPU"],
        note=f"Interleaved rounds: {rounds}; median. Real time: of the music, by the wall clock.",
    )
    for name, t in times.items():
        ratios = (sound / t.wall_median, original.wall_median / t.wall_median, original.cpu_median / t.cpu_median)
        cells = (number(t.wall_median), number(t.cpu_median), number(ratios[0], 1), *(number(r) for r in ratios[1:]))
        table.rows.append([name, str(found["methods"][name]["pictures"]), *cells])
    ours = times[SLICES]
    gates = [
        Gate("slicing: throughput against the original, wall", original.wall_median / ours.wall_median, ">=", 2.5, "x"),
        Gate("slicing: throughput against the original, CPU", original.cpu_median / ours.cpu_median, ">=", 2.5, "x"),
    ]
    return Section("slicing", [table], gates, found)


# -- in the new process


def _run(rounds: int, songs: list[Path]) -> dict[str, object]:
    confine(1)
    with tempfile.TemporaryDirectory() as folder:
        warm = collection.write_song(Path(folder) / "warm.wav", _WARM_SECONDS, 0)
        for method in METHODS.values():
            _timed(method, warm)
    wall = {name: np.zeros(rounds) for name in METHODS}
    cpu = {name: np.zeros(rounds) for name in METHODS}
    images = dict.fromkeys(METHODS, 0)
    for round_number in range(rounds):
        for song in songs:
            for name, method in METHODS.items():
                seconds, processor, made = _timed(method, song)
                wall[name][round_number] += seconds
                cpu[name][round_number] += processor
                images[name] += made
    methods = {
        name: Times(wall[name].tolist(), cpu[name].tolist()).as_dict() | {"pictures": images[name] // rounds}
        for name in METHODS
    }
    return {"songs": [song.name for song in songs], "sound_s": sum(map(_seconds, songs)), "methods": methods}


def _timed(method: Callable[[Path, Path], object], song: Path) -> tuple[float, float, int]:
    """Return wall clock time, processor time, and number of images of a song."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wall, cpu = time.perf_counter(), time.process_time()
        method(song, folder)
        seconds, processor = time.perf_counter() - wall, time.process_time() - cpu
        return seconds, processor, len(list(folder.iterdir()))


def _seconds(song: Path) -> float:
    from riffusion_ext.audio.stream import read_pieces

    return sum(piece.duration for piece in read_pieces(song))


def _original(song: Path, folder: Path) -> None:
    import torch

    from bench.material import FULL_SCALE
    from riffusion_ext.audio import read_audio

    waveform = read_audio(song).to_mono().resample(recipes.SAMPLE_RATE).samples[0] * np.float32(FULL_SCALE)
    window = round(WINDOW_SECONDS * recipes.SAMPLE_RATE)
    for start in range(0, len(waveform) - window + 1, window):
        image, _ = recipes.encode(torch.from_numpy(waveform[start : start + window]))
        image.save(folder / f"{song.stem}_{start}.png")


def _slices(song: Path, folder: Path) -> None:
    from riffusion_ext.dataset.analysis.measure import mel_of_song
    from riffusion_ext.dataset.settings import SliceSettings
    from riffusion_ext.dataset.slicing.slice_song import draw_windows
    from riffusion_ext.dataset.slicing.windows import window_starts
    from riffusion_ext.dataset.songs import Song

    settings = SliceSettings()
    mels = list(mel_of_song(song, settings.params))
    starts = window_starts(sum(mel.shape[1] for mel in mels), settings)
    draw_windows(mels, starts, Song(song, song.name), settings, folder, None, lambda: None)


def _slices_and_measures(song: Path, folder: Path) -> None:
    from riffusion_ext.dataset.settings import SliceSettings
    from riffusion_ext.dataset.slicing.slice_song import slice_song
    from riffusion_ext.dataset.songs import Song

    whole = Song(song, song.name)
    slice_song(whole, whole.digest(), SliceSettings(), folder, lambda: None)


def _tiles(song: Path, folder: Path) -> None:
    from riffusion_ext.convert import sounds_to_images
    from riffusion_ext.dataset.settings import SliceSettings

    settings = SliceSettings()
    pair = (song, folder / "song.png")
    for result in sounds_to_images([pair], settings.params, columns=settings.columns, tile_level="tile"):
        if result.error:
            raise RuntimeError(result.error)


METHODS: dict[str, Callable[[Path, Path], None]] = {
    ORIGINAL: _original,
    SLICES: _slices,
    "slices and measures": _slices_and_measures,
    "tiles": _tiles,
}


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])))
