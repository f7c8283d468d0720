"""Clips of full-band and of dull music, from a folder that contains a folder for each source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench import recipes
from bench.material import CLIP_SAMPLES, SOUNDS, spread
from bench.perceptual.spectra import TOP, band_power, decibels, low_pass
from riffusion_ext.audio.io import read_audio, sound_length
from riffusion_ext.errors import RiffusionError

CLIPS, SOURCES, PER_SOURCE = 24, 6, 2
"""Least number of clips, of sources, and of clips of each source."""

LOW_PASSED, DULL = 8, 4
"""Dull clips: full-band clips with a low-pass filter, and at most so many of sources that are dull themselves."""

DULL_CUTOFF = 9000.0
"""A dull clip has nothing above this frequency, in Hz."""

FULL, DARK, FILTERED = "full-band", "dull", "low-passed"
PEAK = 0.7

_PLACES = (0.4, 0.65, 0.2, 0.85, 0.05)  # of the windows in a track, relative to the room
_MIN_SECONDS = 20.0  # shorter files are sound effects
_QUIET = 3e-3  # RMS, of each fifth of a clip
_FULL_RATIO = -60.0  # dB, 12 to 16 kHz over 5 to 10 kHz: at least -45 dB in soft music, -90 dB behind a filter
_DARK_RATIO = -60.0  # dB, above 9 kHz over 4.5 to 9 kHz


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip of 5.11 s.

    Attributes
    ----------
    source
        Name of the folder, such as a package.
    track
        Name of the file without its ending.
    second
        Start in the track.
    kind
        :data:`FULL`, :data:`DARK` or :data:`FILTERED`.
    samples : np.ndarray [shape=(S,), float32]
        Mono at 44.1 kHz, with a peak of :data:`PEAK`.
    """

    source: str
    track: str
    second: float
    kind: str
    samples: np.ndarray

    @property
    def name(self) -> str:
        """Source, track, time and filter, which identify a clip."""
        filtered = ", low-passed" if self.kind == FILTERED else ""
        return f"{self.source}/{self.track}@{self.second:.0f}s{filtered}"


@dataclass(frozen=True)
class Choice:
    """Clips for the two groups."""

    full: list[Clip] = field(default_factory=list)
    dull: list[Clip] = field(default_factory=list)

    @property
    def sources(self) -> list[str]:
        """Names of the sources of the full-band clips, in order."""
        return sorted({clip.source for clip in self.full})


def choose(folder: Path, *, clips: int = CLIPS, per_source: int = PER_SOURCE, low_passed: int = LOW_PASSED) -> Choice:
    """Choose clips in turn from all sources, spread over the tracks of each; deterministic.

    Parameters
    ----------
    folder
        Contains a folder of sound files, searched recursively, for each source.
    clips
        At least so many full-band clips, if there are as many.
    per_source
        At least so many of each source, if it has as many.
    low_passed
        Number of dull clips that are made of full-band clips.

    Raises
    ------
    SystemExit
        There is no full-band clip.
    """
    listed = tracks(folder)
    each = max(per_source, -(-clips // max(len(listed), 1)))
    streams = {source: windows(source, files, each) for source, files in listed.items()}
    full: list[Clip] = []
    dark: dict[str, Clip] = {}
    turn = 0
    while streams and (turn < per_source or len(full) < clips):
        for source, stream in list(streams.items()):
            found = _next_full(stream, dark)
            if found is None:
                del streams[source]
            else:
                full.append(found)
        turn += 1
    if not full:
        raise SystemExit(f"no full-band music in {folder}")
    full.sort(key=lambda clip: (clip.source, clip.track, clip.second))
    step = max(len(full) // max(low_passed, 1), 1)
    filtered = [filter_clip(clip) for clip in full[::step][:low_passed]]
    return Choice(full, [*filtered, *list(dark.values())[: DULL if low_passed else 0]])


def tracks(folder: Path) -> dict[str, list[Path]]:
    """List the tracks of each source, in the order of their names; files that are too short are left out."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS and path.is_file()):
        parts = path.relative_to(folder).parts
        try:
            seconds = sound_length(path)
        except RiffusionError:
            continue
        if seconds >= _MIN_SECONDS:
            found.setdefault(parts[0] if len(parts) > 1 else folder.resolve().name, []).append(path)
    return found


def windows(source: str, files: Sequence[Path], count: int) -> Iterator[Clip]:
    """Yield the windows with sound of a source, different tracks first."""
    order = spread(list(files), count)
    for place in _PLACES:
        for path in order:
            clip = _read(source, path, place)
            if clip is not None:
                yield clip


def _next_full(stream: Iterator[Clip], dark: dict[str, Clip]) -> Clip | None:
    """Return the next full-band clip of a source; keep the first dull one that comes before it."""
    for clip in stream:
        if clip.kind == FULL:
            return clip
        if clip.kind == DARK:
            dark.setdefault(clip.source, clip)
    return None


def _read(source: str, path: Path, place: float) -> Clip | None:
    """Read a window; None if there is a pause in it, or if it is neither full-band nor dull."""
    seconds = CLIP_SAMPLES / recipes.SAMPLE_RATE
    try:
        start = place * (sound_length(path) - seconds - 1)
        part = read_audio(path, start=start, duration=seconds + 0.5).to_mono().resample(recipes.SAMPLE_RATE)
    except RiffusionError:
        return None
    samples = part.samples[0, :CLIP_SAMPLES]
    if len(samples) < CLIP_SAMPLES or min(float((x**2).mean()) for x in np.array_split(samples, 5)) < _QUIET**2:
        return None
    kind = kind_of(samples)
    return Clip(source, path.stem, start, kind, level(samples)) if kind else None


def kind_of(samples: np.ndarray) -> str:
    """Return :data:`FULL`, :data:`DARK`, or an empty string for a waveform [S] that ends between 9 and 12 kHz."""

    def ratio(high: tuple[float, float], low: tuple[float, float]) -> float:
        return decibels(*(band_power(samples, recipes.SAMPLE_RATE, *band) for band in (high, low)))

    if ratio((12000.0, 16000.0), (5000.0, 10000.0)) >= _FULL_RATIO:
        return FULL
    dark = ratio((DULL_CUTOFF, TOP), (DULL_CUTOFF / 2, DULL_CUTOFF)) < _DARK_RATIO
    return DARK if dark else ""


def level(samples: np.ndarray) -> np.ndarray:
    """Scale a waveform [S] to a peak of :data:`PEAK`: the measures depend on the level."""
    return np.asarray(samples * (PEAK / max(float(np.abs(samples).max()), 1e-9)), dtype=np.float32)


def filter_clip(clip: Clip) -> Clip:
    """Remove everything above :data:`DULL_CUTOFF` from a clip."""
    samples = low_pass(clip.samples, recipes.SAMPLE_RATE, DULL_CUTOFF - 150)
    return replace(clip, kind=FILTERED, samples=level(samples))
