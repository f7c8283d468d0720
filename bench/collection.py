"""Song files, the input of the sections on training sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import recipes
from bench.material import SOUNDS, spread

_SECONDS = 180.0
_ALL = 20
_SEMITONES = 5  # largest transposition of a verse, up or down
_HISS = 0.003


def songs(music: Path | None, count: int, folder: Path) -> list[Path]:
    """Select songs of a folder, searched recursively, evenly spaced in the order of their names; deterministic.

    Parameters
    ----------
    music
        The folder; None synthesises songs of three minutes.
    count
        Number of songs; 0 for all, or for twenty synthesised ones, one hour.
    folder
        Output folder of synthesised songs.

    Raises
    ------
    SystemExit
        The folder contains no sound files.
    """
    if music is None:
        return [write_song(folder / f"song-{number + 1}.flac", _SECONDS, number) for number in range(count or _ALL)]
    tracks = sorted(path.resolve() for path in music.rglob("*") if path.suffix.lower() in SOUNDS)
    if not tracks:
        raise SystemExit(f"no sound files in {music}")
    return spread(tracks, count)[:count] if count else tracks


def write_song(path: Path, seconds: float, seed: int) -> Path:
    """Write repetitions of the demo's tune, each in another key and loudness, with noise: stereo, 16 bits.

    Written verse by verse, so that memory does not grow with the duration.
    """
    import soundfile

    from riffusion_ext.demo.tune import make_tune

    tune = make_tune()[0]
    rng = np.random.default_rng(seed)
    left = round(seconds * recipes.SAMPLE_RATE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", recipes.SAMPLE_RATE, channels=2, subtype="PCM_16") as file:
        while left:
            speed = 2 ** (rng.integers(-_SEMITONES, _SEMITONES + 1) / 12)
            verse = np.interp(np.arange(0, len(tune) - 1, speed), np.arange(len(tune)), tune)[:left]
            verse = verse * rng.uniform(0.2, 0.8) + _HISS * rng.standard_normal(len(verse))
            file.write(np.stack([verse, 0.8 * verse], axis=1))
            left -= len(verse)
    return path
