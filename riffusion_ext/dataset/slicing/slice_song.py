"""Slice one song into images, and describe them in a record."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis import beat_tracking as beats_of
from riffusion_ext.analysis.key import estimate_key
from riffusion_ext.audio.integrity.truncation import split_notes
from riffusion_ext.dataset.analysis.features import Features, window_features
from riffusion_ext.dataset.analysis.measure import Tick, measure_song, mel_of_song
from riffusion_ext.dataset.settings import SliceSettings
from riffusion_ext.dataset.slicing.windows import window_starts
from riffusion_ext.dataset.songs import Song
from riffusion_ext.files.paths import shorten_name

__all__ = ["SongRecord", "draw_windows", "largest_magnitude", "slice_song"]

_Array = npt.NDArray[np.float32]
_MAX_STEM_LENGTH = 80
_MAX_CELLS_IN_MEMORY = 120_000 * 512  # in float32: 245 MB; 20 minutes of a mono song


@dataclass(frozen=True, eq=False)
class SongRecord:
    """Measurements, images and features of a sliced song.

    Attributes
    ----------
    name, digest
        As in :class:`~riffusion_ext.dataset.songs.Song`.
    duration, sample_rate, channels, loudness
        Properties of the file, in s, Hz and LUFS.
    tempo, tempo_confidence, key, key_confidence
        Measured tempo in beats per minute, and key such as ``"A minor"``. The tempo's confidence is that of
        :class:`~riffusion_ext.analysis.beat_tracking.Beats`.
    starts
        First column of each window.
    files
        Name of each window's image.
    blacks
        Mel magnitude that black stands for in each image.
    features
        Features of the windows, for curation.
    trouble
        Parts of the file that are missing or were not used; empty if all of it was used.
    notes
        Sentences about repaired samples, and about windows that do not begin where requested.
    """

    name: str
    digest: str
    duration: float
    sample_rate: int
    channels: int
    loudness: float
    tempo: float
    tempo_confidence: float
    key: str
    key_confidence: float
    starts: list[int]
    files: list[str]
    blacks: list[float]
    features: Features
    trouble: str = ""
    notes: list[str] = field(default_factory=list)


def largest_magnitude(song: Song, settings: SliceSettings, tick: Tick) -> float:
    """Return the largest mel magnitude of a song, to draw several songs on one scale."""
    return max((float(mel.max()) for mel in mel_of_song(song.path, settings.params, tick)), default=0.0)


def slice_song(
    song: Song, digest: str, settings: SliceSettings, folder: Path, tick: Tick, max_value: float | None = None
) -> SongRecord:
    """Measure a song, slice it into windows and write their images.

    Memory use does not grow with the length of the song, except for a few numbers per column.

    Parameters
    ----------
    song, digest
        The song, and the digest of its bytes.
    settings
        Settings for slicing.
    folder
        Folder for the images.
    tick
        Called regularly; may raise to end the work. The next run reuses the images written so far.
    max_value
        Magnitude of black if ``settings.scale`` is ``"set"``.

    Raises
    ------
    AudioError
        The song cannot be read.
    ImageError
        An image cannot be written.
    """
    params = settings.params
    measure, full_mel = measure_song(
        song.path, params, keep_columns=_MAX_CELLS_IN_MEMORY // params.num_frequencies // params.channels, tick=tick
    )
    beats = beats_of.track(
        beats_of.onset_strength(measure.sketch), params.sample_rate / params.hop_length, sketch=measure.sketch
    )
    marks, alignment_notes = _alignment_columns(beats, settings, params.sample_rate / params.hop_length)
    starts = window_starts(measure.columns, settings, marks)
    scale = {"window": None, "song": measure.max_value, "set": max_value}[settings.scale]
    mels = mel_of_song(song.path, params, tick) if full_mel is None else [full_mel]
    files, blacks = draw_windows(mels, starts, song, settings, folder, scale, tick)
    key = estimate_key(measure.chroma)
    trouble, notes = split_notes(measure.notes)
    return SongRecord(
        name=song.name,
        digest=digest,
        duration=measure.duration,
        sample_rate=measure.sample_rate,
        channels=measure.channels,
        loudness=measure.loudness,
        tempo=beats.tempo,
        tempo_confidence=beats.confidence,
        key=key.name,
        key_confidence=key.confidence,
        starts=starts,
        files=files,
        blacks=blacks,
        features=window_features(measure, np.array(starts, dtype=np.int64), settings.columns),
        trouble="; ".join(trouble),
        notes=[*notes, *alignment_notes],
    )


def draw_windows(
    mels: Iterable[_Array],
    starts: list[int],
    song: Song,
    settings: SliceSettings,
    folder: Path,
    max_value: float | None,
    tick: Tick,
) -> tuple[list[str], list[float]]:
    """Write the images of a song's windows.

    Parameters
    ----------
    mels
        Mel magnitudes of the song, as from :func:`~riffusion_ext.dataset.analysis.measure.mel_of_song`.
    starts
        First column of each window, ascending.
    song, settings, folder, tick
        As in :func:`slice_song`.
    max_value
        Magnitude of black; None for the loudest cell of each window.

    Returns
    -------
    files, blacks
        Name of each image, and the magnitude that its black stands for.

    Raises
    ------
    ImageError
        An image cannot be written.
    """
    files, blacks = [], []
    for start, window in _iter_windows(mels, starts, settings.columns):
        tick()
        file, peak = _draw(window, max_value, song, start, settings, folder)
        files.append(file)
        blacks.append(peak)
    return files, blacks


def _alignment_columns(
    beats: beats_of.Beats, settings: SliceSettings, columns_per_second: float
) -> tuple[npt.NDArray[np.int64] | None, list[str]]:
    """Return the columns where windows may begin (None for anywhere), and a note if that differs from the setting.

    Beats tracked at half or twice the tempo are still on beats; at two thirds of it they are not.
    """
    if settings.align == "none":
        return None, []
    if beats.on_beats < beats_of.MIN_CONFIDENCE:
        return None, [f"where its beats are is not sure, so its windows do not begin on a {settings.align}"]
    notes = []
    if settings.align == "bar" and beats.confidence < beats_of.MIN_CONFIDENCE:
        notes = ["how many beats it has is not sure, so some windows may begin on a beat inside a bar"]
    times = beats.downbeats if settings.align == "bar" else beats.times
    return np.unique(np.rint(times * columns_per_second).astype(np.int64)), notes


def _iter_windows(mels: Iterable[_Array], starts: list[int], columns: int) -> Iterator[tuple[int, _Array]]:
    """Yield windows [C, columns, n_mels] and their start columns from consecutive pieces, padded with silence."""
    held: _Array | None = None
    first = 0  # first column of `held`
    pending = list(reversed(starts))
    for mel in mels:
        held = mel if held is None else np.concatenate([held, mel], axis=1)
        while pending and pending[-1] + columns <= first + held.shape[1]:
            start = pending.pop()
            yield start, held[:, start - first : start - first + columns]
        keep = min(pending[-1] - first if pending else held.shape[1], held.shape[1])
        held, first = held[:, keep:], first + keep
    while pending and held is not None:
        start = pending.pop()
        tail = held[:, max(start - first, 0) :]
        yield start, np.pad(tail, ((0, 0), (0, columns - tail.shape[1]), (0, 0)))


def _draw(
    window: _Array, max_value: float | None, song: Song, start: int, settings: SliceSettings, folder: Path
) -> tuple[str, float]:
    """Write a window's image; return its name and the magnitude of its black."""
    from riffusion_ext.metadata import save_image
    from riffusion_ext.spectrogram.image import mel_to_image
    from riffusion_ext.spectrogram.pixel_law import full_scale_of

    params = settings.params
    peak = full_scale_of(params, float(window.max()) if max_value is None else max_value)
    image = mel_to_image(window, params, peak)
    origin = f"{song.name}\n{start}\n{params}\n{peak!r}\n".encode("utf-8", "surrogatepass")  # names need not be UTF-8
    content = hashlib.sha256(origin + image.tobytes()).hexdigest()[:12]
    milliseconds = round(1000 * start * params.hop_length / params.sample_rate)
    name = shorten_name(f"{_ascii_slug(_title(song))}_{milliseconds:08d}_{content}", ".png")
    path = folder / name
    if not path.exists():
        save_image(image, path, params, peak)
    return name, peak


def _title(song: Song) -> str:
    return Path(song.name).stem if song.whole is None else f"{song.whole.stem} {song.path.stem}"


def _ascii_slug(stem: str) -> str:
    """Reduce a name to at most 80 ASCII letters, digits and dashes, which are safe for trainers and shells."""
    text = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:_MAX_STEM_LENGTH] or "song"
