"""Verify that images sound like their songs: decode a sample of them and measure the difference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from riffusion_ext.audio import RAW, AudioClip, read_audio
from riffusion_ext.dataset.curation.apply import song_locator
from riffusion_ext.dataset.manifest import Manifest, WindowEntry
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Check", "sample_windows", "summarize", "verify"]

_MAX_LEVEL_DB, _MAX_PIXEL_ERROR, _MAX_CLIPPED = 3.0, 6.0, 0.001


@dataclass(frozen=True)
class Check:
    """Measurements of a decoded image.

    Attributes
    ----------
    file
        Name of the image.
    level_db
        Level of the decoded sound relative to that part of the song, in dB.
    error
        Mean pixel error of the image when the decoded sound is encoded again, in levels of 255.
    other
        Mean pixel difference from that part of the song as it is encoded now, in levels of 255.
    clipped
        Fraction of the samples that would exceed full scale at the song's own level.
    problem
        Why the image cannot be decoded, or what is wrong with it; empty if nothing is.
    """

    file: str
    level_db: float = 0.0
    error: float = 0.0
    other: float = 0.0
    clipped: float = 0.0
    problem: str = ""


def sample_windows(manifest: Manifest, count: int) -> list[WindowEntry]:
    """Choose kept windows, evenly spread over the set."""
    kept = manifest.kept
    places = np.unique(np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)) if kept else []
    return [kept[locate] for locate in places]


def verify(store: Store, windows: list[WindowEntry]) -> Iterator[Check]:
    """Decode images, and compare the sound with the songs.

    Parameters
    ----------
    store
        The training set.
    windows
        Windows whose images are checked.

    Yields
    ------
    Check
        One for each window.
    """
    locate = song_locator(store)
    for window in windows:
        try:
            yield _check(store.images / window.file, window, locate(window.song))
        except RiffusionError as error:
            yield Check(window.file, problem=str(error))


def _check(path: Path, window: WindowEntry, song: Path) -> Check:
    from riffusion_ext.spectrogram.codec import DecodeSettings, audio_to_image, image_to_audio, read_image

    image = read_image(path)
    decoded = image_to_audio(image, DecodeSettings(level=RAW))
    again = audio_to_image(decoded.clip, decoded.params, max_value=decoded.max_value)
    original = read_audio(song, start=window.start, duration=decoded.clip.duration)
    source = audio_to_image(original, decoded.params, max_value=decoded.max_value)
    margin = decoded.params.win_length // decoded.params.hop_length + 1  # beyond the ends, the song goes on
    error, other = _difference(image, again.image, 0), _difference(image, source.image, margin)
    level = _level(decoded.clip) - _level(original.to_channels(decoded.clip.channels))
    clipped = float((np.abs(decoded.clip.samples) > 1.0).mean())
    problem = _problem(level, error, other, clipped)
    return Check(path.name, round(level, 2), round(error, 2), round(other, 2), round(clipped, 5), problem)


def _difference(one: Image.Image, two: Image.Image, margin: int) -> float:
    """Return the mean difference of two images in levels of 255, without a margin at both sides."""
    stop = min(one.width, two.width) - margin
    a, b = (np.asarray(image.convert("RGB"), np.float32)[:, margin:stop] for image in (one, two))
    return float(np.abs(a - b).mean()) if a.size else 0.0


def _level(clip: AudioClip) -> float:
    return 20 * math.log10(max(clip.rms, 1e-6))


def _problem(level: float, error: float, other: float, clipped: float) -> str:
    found = []
    if abs(level) > _MAX_LEVEL_DB:
        found.append(f"{abs(level):.1f} dB {'louder' if level > 0 else 'softer'} than the song")
    if error > _MAX_PIXEL_ERROR:
        found.append(f"drawn again it differs by {error:.1f} levels")
    if other > _MAX_PIXEL_ERROR:
        found.append(f"it is not that part of the song, from which it differs by {other:.1f} levels")
    if clipped > _MAX_CLIPPED:
        found.append(f"{clipped:.1%} of it is clipped")
    return "; ".join(found)


def summarize(checks: Sequence[Check]) -> str:
    """Summarize all checks in one line: level, pixel error, clipping, problems."""
    decoded_checks = [check for check in checks if check.file and (check.error or not check.problem)]
    wrong = sum(bool(check.problem) for check in checks)
    images = f"{len(checks)} images" if len(checks) != 1 else "1 image"
    if not decoded_checks:
        return f"none of {images} can be heard"
    level = float(np.median([check.level_db for check in decoded_checks]))
    error = float(np.mean([check.error for check in decoded_checks]))
    clipped = max(check.clipped for check in decoded_checks)
    text = (
        f"{images}: level {level:+.1f} dB, drawn again {error:.1f} of 255 levels "
        f"off, {f'up to {clipped:.2%}' if clipped >= 5e-5 else 'nothing'} clipped"
    )
    return f"{text}; {wrong} with a problem" if wrong else text
