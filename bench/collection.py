"""Songs as files: what the sections begin with that go the way from a folder to a training set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import recipes
from bench.material import SOUNDS, spread

_SECONDS = 180.0
_ALL = 20
_SEMITONES = 5  # a verse is up to that much higher or lower than the tune
_HISS = 0.003


def songs(music: Path | None, count: int, folder: Path) -> list[Path]:
    """Songs of a folder, searched through, at even distances in the order of their names; the same ones each time.

    Parameters
    ----------
    music
        The folder; without one, songs of three minutes are synthesised.
    count
        How many; 0 for all, which are twenty, an hour, of those that are synthesised.
    folder
        Where synthesised songs are written.

    Raises
    ------
    SystemExit
        The folder holds no sound files.
    """
    if music is None:
        return [write_song(folder / f"song-{number + 1}.flac", _SECONDS, number) for number in range(count or _ALL)]
    tracks = sorted(path.resolve() for path in music.rglob("*") if path.suffix.lower() in SOUNDS)
    if not tracks:
        raise SystemExit(f"no sound files in {music}")
    return spread(tracks, count)[:count] if count else tracks


def write_song(path: Path, seconds: float, seed: int) -> Path:
    """Write the demo's tune again and again, each time in another key and loudness, with hiss: stereo, 16 bits.

    Verse by verse, so that hours take no more memory than minutes.
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
