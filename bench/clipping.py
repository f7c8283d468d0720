"""Detection of clipping: clean chiptunes, and music, unchanged and overdriven, by source.

Chiptunes are arpeggios synthesised with the waveforms of old sound chips. Music is clipped at full scale after a gain
above its own peak. A window counts as clipped if 1 % of its samples are, the default limit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench import collection
from bench.report import Gate, Section, Table

GAINS_DB = (3, 6, 12)
LIMIT = 0.01
_SURE = 1.5  # times the limit: windows with this share of samples at full scale should be detected
_WINDOW = 512  # columns
_SECONDS = 21

_Samples = np.ndarray
_Wave = Callable[[_Samples], _Samples]


def measure(music: Path | None, *, tracks: int) -> Section:
    """Measure detection on clean chiptunes, and on music of the folder or synthesised music."""
    table = Table(
        "Windows judged as clipped",
        ["source", "windows", "as they are", *(f"+{gain} dB" for gain in GAINS_DB)],
        note=f"Of those with {_SURE * LIMIT:.1%} of their samples at full scale, where a gain is named.",
    )
    chips = [found(wave) for wave in chiptunes().values()]
    wrong, windows = (sum(len(part) if whole else int((part > LIMIT).sum()) for part in chips) for whole in (0, 1))
    table.rows.append(["clean chiptunes", str(windows), str(wrong), *["-"] * len(GAINS_DB)])
    hits = sure = 0
    for source, counts in _by_source(music, tracks).items():
        cells = [f"{part[0]} of {part[1]}" for part in counts[1:]]
        table.rows.append([source, str(counts[0][1]), str(counts[0][0]), *cells])
        hits, sure = (total + int(sum(part[n] for part in counts[1:])) for n, total in ((0, hits), (1, sure)))
    gates = [Gate("clipping: clean chiptunes taken for it", wrong / windows, "<=", 0.02)]
    if sure:
        gates.append(Gate("clipping: windows of clipped music found", hits / sure, ">=", 0.9))
    return Section("clipping", [table], gates, {"chiptunes": [wrong, windows], "music": [hits, sure]})


def _by_source(music: Path | None, tracks: int) -> dict[str, list[tuple[int, int]]]:
    """Count (detected, expected) windows of each source: unchanged, and for each gain."""
    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.audio.io import read_audio

    sources: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in collection.songs(music, tracks, Path(folder)):
            clip = read_audio(path)
            start = max(clip.samples.shape[1] - _SECONDS * clip.sample_rate, 0) // 2
            part = AudioClip(clip.samples[:, start : start + _SECONDS * clip.sample_rate], clip.sample_rate)
            source = path.relative_to(music.resolve()).parts[0] if music else "synthesised"
            sources[source] = sources.get(source, 0) + np.array(_counts(part.samples, part.sample_rate))
    return {source: [(int(hits), int(all_)) for hits, all_ in counts] for source, counts in sources.items()}


def _counts(samples: _Samples, rate: int) -> list[tuple[int, int]]:
    plain = found(samples, rate)
    counts = [(int((plain > LIMIT).sum()), len(plain))]
    for gain in GAINS_DB:
        loud = np.clip(samples / max(float(np.abs(samples).max()), 1e-9) * 10 ** (gain / 20), -1, 1)
        full = _windows((np.abs(loud) >= 1).mean(axis=0), rate // 100)
        sure = full > _SURE * LIMIT
        counts.append((int((found(loud, rate)[: len(full)] > LIMIT)[sure].sum()), int(sure.sum())))
    return counts


def found(samples: _Samples, rate: int = 44100) -> _Samples:
    """Return the share of clipped samples in each window of a 16-bit file."""
    from riffusion_ext.dataset.analysis.column_stats import ColumnStats

    rounded = (np.rint(np.atleast_2d(samples) * 32767) / 32768).astype(np.float32)
    stats = ColumnStats(rate, 0.01)
    stats.add(rounded, rounded.mean(axis=0, keepdims=True))
    return _windows(stats.finish(rounded.shape[1] * 100 // rate)["clipped"], 1)


def _windows(values: _Samples, step: int) -> _Samples:
    """Return the mean of each window of values, with `step` values per column."""
    whole = len(values) // (step * _WINDOW) * step * _WINDOW
    return values[:whole].reshape(-1, step * _WINDOW).mean(axis=1)


def chiptunes(seconds: float = _SECONDS, rate: int = 44100) -> dict[str, _Samples]:
    """Synthesise unclipped arpeggios at full scale, by waveform."""
    waves: dict[str, _Wave] = {f"pulse of {d:.1%}": _pulse(d) for d in (0.125, 0.25, 0.5, 0.75)}
    waves["staircase"] = _table(lambda phase: 4 * np.abs(phase - 0.5) - 1)
    waves["sine of 4 bits"] = _table(lambda phase: np.sin(2 * np.pi * phase))
    waves["one-sided pulse"] = lambda phase: (phase < 0.25) * 1.0
    tunes = {name: _play_notes(wave, number, seconds, rate) for number, (name, wave) in enumerate(waves.items())}
    noise = np.random.default_rng(0).choice([-1.0, 1.0], len(tunes["staircase"]))
    tunes["pulse and noise"] = tunes["pulse of 50.0%"] + 0.5 * noise
    tunes["two pulses and a staircase"] = tunes["pulse of 50.0%"] + tunes["pulse of 25.0%"] + tunes["staircase"]
    tunes["8 bits"] = np.rint(127 * _play_notes(lambda phase: np.sin(2 * np.pi * phase), 9, seconds, rate)) / 127
    return {name: tune / np.abs(tune).max() for name, tune in tunes.items()}


def _pulse(duty: float) -> _Wave:
    return lambda phase: np.where(phase < duty, 1.0, -1.0)


def _table(shape: _Wave) -> _Wave:
    """Return a wavetable oscillator with 32 steps of 16 levels."""
    return lambda phase: np.rint(7.5 + 7.5 * shape(np.floor(32 * phase) / 32)) / 7.5 - 1


def _play_notes(wave: _Wave, seed: int, seconds: float, rate: int) -> _Samples:
    """Play notes of a sixteenth of a second, each with an envelope that falls in 16 steps."""
    rng = np.random.default_rng(seed)
    length = rate // 16
    time = np.arange(length) / rate
    volume = np.maximum(15 - np.floor(96 * time), 4) / 15
    pitches = 440 * 2 ** (rng.integers(-33, 28, int(seconds * 16)) / 12)
    return np.concatenate([wave(pitch * time % 1) * volume for pitch in pitches])
