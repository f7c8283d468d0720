"""Duplicate detection in a training set: recall on copies of a recording, and false positives between songs.

A copy is an excerpt of a song after some seconds of lead-in, so that its windows are shifted: unchanged, encoded,
softer, equalised, or 1 % faster. A window is found if it is dropped, or if a window of the original is dropped for it.
``at equal places`` compares only whole windows, without the search for shifted ones. Finally all originals form one
set, and windows dropped for a window of another song are reported.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import collection
from bench.report import Gate, Section, Table
from riffusion_ext.audio import AudioClip, read_audio, write_audio
from riffusion_ext.dataset.analysis.features import Features, window_features
from riffusion_ext.dataset.analysis.measure import measure_song
from riffusion_ext.dataset.curation.curate import Verdict, curate
from riffusion_ext.dataset.settings import CurateSettings
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import PRESETS

RATE, COLUMNS, HOP = 44100, 512, 441
SHIFTS = (0.1, 0.5, 1.0, 2.0, 2.5, 3.7)
_SHIFT = 2.0  # of the copies that are also changed
_SECONDS, _MIN_SECONDS = 40, 20
_EQUALISER = "bass=g=4:f=120,treble=g=-4:f=4000,equalizer=f=1000:t=q:w=1:g=3"
_ONLY_LIKENESS = CurateSettings(
    first=0, last=0, silence_db=None, transition=None, clipping=None, broken=False, target=None
)

Change = Callable[[np.ndarray, Path], Path]


def changes() -> dict[str, Change]:
    """Return the changes applied to copies; some require ffmpeg."""
    found: dict[str, Change] = {
        "same file": _write_sound,
        "-6 dB": lambda sound, folder: _write_sound(0.5 * sound, folder),
        "1 % faster": lambda sound, folder: _write_sound(_faster(sound), folder),
    }
    if shutil.which("ffmpeg"):
        found["OGG q3"] = lambda sound, folder: _by_ffmpeg(sound, folder, "copy.ogg", "-c:a", "libvorbis", "-q:a", "3")
        found["MP3 128k"] = lambda sound, folder: _by_ffmpeg(sound, folder, "copy.mp3", "-b:a", "128k")
        found["equaliser"] = lambda sound, folder: _by_ffmpeg(sound, folder, "copy.flac", "-af", _EQUALISER)
    return found


def measure(music: Path | None, *, tracks: int) -> Section:
    """Make copies of `tracks` songs, 0 for all, and measure how many are detected."""
    counts: dict[str, np.ndarray] = {}
    originals: list[Features] = []
    with tempfile.TemporaryDirectory() as folder:
        for path in collection.songs(music, tracks, Path(folder) / "songs"):
            sound = _excerpt(path)
            if sound is None:
                continue
            original = _features(_write_sound(sound, Path(folder)))
            originals.append(original)
            for name, change in changes().items():
                for shift in SHIFTS if name == "same file" else (_SHIFT,):
                    copy = _features(change(_with_lead_in(sound, shift), Path(folder)))
                    line = f"{name}, {shift:g} s"
                    counts[line] = counts.get(line, np.zeros(3, int)) + _count_found(original, copy, shift)
    table = Table(
        f"Windows of copies that are found, {len(originals)} songs",
        ["copy, later by", "windows", "at equal places", "found", "share"],
        note="Without those that lie in the lead-in by more than half.",
    )
    for line, (windows, before, found) in counts.items():
        table.rows.append([line, f"{windows}", f"{before}", f"{found}", f"{found / max(windows, 1):.1%}"])
    before, now = (_of_others(originals, blind=blind) for blind in (True, False))
    windows = sum(map(len, originals))
    others = Table("Windows left out for one of another song", ["windows", "at equal places", "with shifted ones"])
    others.rows.append([f"{windows}", f"{before}", f"{now}"])
    steady = np.sum([row for line, row in counts.items() if "faster" not in line], axis=0)
    gates = [
        Gate("copies: windows found, of all but the faster ones", 100 * steady[2] / max(steady[0], 1), ">=", 95, "%"),
        Gate("copies: windows of other songs taken for copies", 100 * (now - before) / max(windows, 1), "<=", 0.5, "%"),
    ]
    return Section("copies", [table, others], gates, {line: row.tolist() for line, row in counts.items()})


def _excerpt(path: Path) -> np.ndarray | None:
    """Return up to 40 s of a song in mono, starting at a third; None if it is shorter than 20 s or unreadable."""
    try:
        sound = read_audio(path).to_mono().resample(RATE).samples[0]
    except RiffusionError:
        return None
    start = max(len(sound) - _SECONDS * RATE, 0) // 3
    sound = sound[start : start + _SECONDS * RATE]
    return sound / max(1.0, float(np.abs(sound).max())) if len(sound) >= _MIN_SECONDS * RATE else None


def _with_lead_in(sound: np.ndarray, seconds: float) -> np.ndarray:
    """Prepend a lead-in: the end of the sound, reversed."""
    return np.concatenate([sound[::-1][: round(seconds * RATE)], sound])


def _faster(sound: np.ndarray) -> np.ndarray:
    return np.interp(np.arange(0, len(sound) - 1, 1.01), np.arange(len(sound)), sound)


def _write_sound(sound: np.ndarray, folder: Path) -> Path:
    return write_audio(AudioClip(sound[None].astype(np.float32), RATE), folder / "copy.wav")


def _by_ffmpeg(sound: np.ndarray, folder: Path, name: str, *options: str) -> Path:
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(_write_sound(sound, folder)), *options, str(folder / name)]
    subprocess.run(command, check=True)
    return folder / name


def _features(path: Path) -> Features:
    measured, _ = measure_song(path, PRESETS["riffusion-v1"])
    return window_features(measured, np.arange(0, measured.columns - COLUMNS + 1, COLUMNS), COLUMNS)


def _curate(songs: list[Features], *, blind: bool) -> tuple[list[Verdict], np.ndarray]:
    features = Features.concatenate(songs)
    if blind:
        features = replace(features, levels=np.zeros_like(features.levels))
    song = np.repeat(np.arange(len(songs)), [len(part) for part in songs])
    first = COLUMNS * np.concatenate([np.arange(len(part)) for part in songs])
    return curate(features, song, first, COLUMNS, _ONLY_LIKENESS), song


def _cross_song_drops(verdicts: list[Verdict], song: np.ndarray) -> list[tuple[int, int]]:
    """Return (dropped window, window of another song it was dropped for) pairs."""
    others = [(n, reason.other) for n, verdict in enumerate(verdicts) for reason in verdict.reasons]
    return [(n, other) for n, other in others if other is not None and song[n] != song[other]]


def _count_found(original: Features, copy: Features, shift: float) -> np.ndarray:
    """Count the windows of a copy that can be found, those found at equal places, and those found in all."""
    lead = shift * RATE / HOP
    windows = np.arange(len(copy))
    nearest = np.rint((COLUMNS * windows - lead) / COLUMNS)
    expected = windows[(nearest >= 0) & (nearest < len(original)) & (COLUMNS * windows >= lead - COLUMNS / 2)]
    counts = [len(expected)]
    for blind in (True, False):
        verdicts, song = _curate([original, copy], blind=blind)
        found = [n for n, verdict in enumerate(verdicts) if not verdict.kept]  # some for one of their own song
        found += [other for _, other in _cross_song_drops(verdicts, song)]
        counts.append(int(np.isin(expected + len(original), found).sum()))
    return np.array(counts)


def _of_others(songs: list[Features], *, blind: bool) -> int:
    return len(_cross_song_drops(*_curate(songs, blind=blind))) if songs else 0
