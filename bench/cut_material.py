"""Uncut music and music with cuts, by source and genre, with the features measured in them.

A source is a subfolder of the given folder. 100 s of each of its songs are measured. Cuts are made by joining pieces of
35 s at equal level, from songs of the same source or alternating with others, with and without a crossfade. Songs of
:mod:`bench.hard_songs` are also uncut.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from bench.hard_songs import GENRES, hard_song
from bench.material import SOUNDS, spread
from bench.playing import RATE

FADES = (0.0, 0.02, 0.1)
"""Lengths of the crossfades, in s."""

_SECONDS, _SKIPPED, _SHORTEST = 100.0, 10.0, 40.0
_PIECE, _PIECES = 35.0, 7
_MIN_BYTES = 400_000  # smaller files are sounds, not songs
_LEVEL = 0.1  # RMS of each piece
_SILENT = 0.1  # of that: a softer end of a piece makes no cut

_Mono = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MeasuredSound:
    """The measurements of a sound.

    Attributes
    ----------
    group
        Its source or genre.
    kind
        ``"music"``, ``"made up"``, or for cuts ``"same"`` or ``"other"``: the source of the next piece.
    terms, sounding
        As :func:`~riffusion_ext.dataset.analysis.transitions.transition_terms` returns them.
    cuts
        Times of the joints, in s.
    fade
        Length of the crossfades, in s.
    """

    group: str
    kind: str
    terms: npt.NDArray[np.float32]
    sounding: npt.NDArray[np.bool_]
    cuts: tuple[float, ...] = ()
    fade: float = 0.0


def measure_material(
    music: Path | None, *, tracks: int, seeds: int, pieces: int = _PIECES, length: float = 45.0
) -> Iterator[MeasuredSound]:
    """Measure all material.

    Parameters
    ----------
    music
        A folder of sources; None uses only synthesised songs and cuts between them.
    tracks
        Songs of each source; 0 for all.
    seeds
        Songs of each genre.
    pieces
        Number of joined pieces for each source, kind of cut and crossfade.
    length
        Duration of synthesised songs, in s.
    """
    sources: dict[str, list[_Mono]] = {}
    for genre in GENRES:
        for seed in range(seeds):
            sound = hard_song(genre, seed, length).astype(np.float32)
            if music is None:
                sources.setdefault(genre, []).append(sound)
            yield _measured(sound, genre, "made up")
    if music is not None:
        for name, paths in folders(music, tracks).items():
            songs = [sound for path in paths if (sound := _excerpt(path)) is not None]
            if songs:
                sources[name] = songs
            for sound in songs:
                yield _measured(sound, name, "music")
    for name in sources:
        for number, fade in enumerate(FADES):
            for kind in ("same", "other"):
                rng = np.random.default_rng([*name.encode(), number, len(kind)])
                sound, cuts = _join(_chosen(sources, name, kind, pieces, rng), fade)
                yield _measured(sound, name, kind, cuts, fade)


def folders(music: Path, tracks: int) -> dict[str, list[Path]]:
    """Return songs by source, evenly spaced in the order of their names."""
    found: dict[str, list[Path]] = {}
    for path in sorted(music.rglob("*")):
        if path.suffix.lower() in SOUNDS and path.stat().st_size >= _MIN_BYTES:
            place = path.relative_to(music).parts
            found.setdefault(place[0] if len(place) > 1 else music.name, []).append(path)
    return {name: spread(paths, tracks)[:tracks] if tracks else paths for name, paths in found.items()}


def _measured(sound: _Mono, group: str, kind: str, cuts: tuple[float, ...] = (), fade: float = 0.0) -> MeasuredSound:
    """Measure a sound like a song of a training set."""
    from riffusion_ext.dataset.analysis.measure import measure_song
    from riffusion_ext.dataset.analysis.transitions import transition_terms
    from riffusion_ext.params import PRESETS

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.wav"
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        found, _ = measure_song(path, PRESETS["riffusion-v1"])
    return MeasuredSound(group, kind, *transition_terms(found.sketch, found.change), cuts, fade)


def _excerpt(path: Path) -> _Mono | None:
    """Return 100 s of a song in mono; None if it is shorter than 40 s."""
    from riffusion_ext.audio.fit import fit_pieces
    from riffusion_ext.audio.stream import read_pieces

    parts: list[_Mono] = []
    samples = 0
    for piece in fit_pieces(read_pieces(path), RATE, 1):
        parts.append(np.asarray(piece, np.float32)[0])
        samples += len(parts[-1])
        if samples >= (_SKIPPED + _SECONDS) * RATE:
            break
    sound = np.concatenate(parts)[round(_SKIPPED * RATE) : round((_SKIPPED + _SECONDS) * RATE)]
    return sound if len(sound) >= _SHORTEST * RATE else None


def _chosen(sources: dict[str, list[_Mono]], name: str, kind: str, count: int, rng: np.random.Generator) -> list[_Mono]:
    """Choose pieces of songs, never the same song twice in a row; for ``"other"``, alternate between sources."""
    pieces: list[_Mono] = []
    last: _Mono | None = None
    for number in range(count):
        group = name
        if kind == "other" and number % 2:
            group = str(rng.choice([other for other in sources if other != name] or [name]))
        songs = [song for song in sources[group] if song is not last] or sources[group]
        last = songs[rng.integers(len(songs))]
        piece = _piece(last, rng)
        if piece is not None:
            pieces.append(piece)
    return pieces


def _piece(song: _Mono, rng: np.random.Generator) -> _Mono | None:
    """Take 35 s from a random position of a song, not starting or ending in silence; None if there is none."""
    samples, end = min(round(_PIECE * RATE), len(song)), RATE // 2
    for _ in range(20):
        start = int(rng.integers(len(song) - samples + 1))
        piece = song[start : start + samples]
        level = float(np.sqrt((piece**2).mean()))
        if (
            level > 0
            and min(float(np.sqrt((side**2).mean())) for side in (piece[:end], piece[-end:])) > _SILENT * level
        ):
            return piece * np.float32(_LEVEL / level)
    return None


def _join(pieces: list[_Mono], fade: float) -> tuple[_Mono, tuple[float, ...]]:
    """Join pieces with equal-power crossfades; return the sound and the times of the joints in s."""
    if not pieces:
        return np.zeros(RATE, np.float32), ()
    samples, out, cuts = round(fade * RATE), [pieces[0]], []
    at = len(pieces[0])
    for piece in pieces[1:]:
        if samples:
            angle = np.linspace(0, np.pi / 2, samples, dtype=np.float32)
            out[-1] = np.concatenate(
                [out[-1][:-samples], out[-1][-samples:] * np.cos(angle) + piece[:samples] * np.sin(angle)]
            )
            piece = piece[samples:]
        cuts.append((at - samples / 2) / RATE)
        out.append(piece)
        at += len(piece)
    whole = np.concatenate(out)
    return whole * np.float32(0.95 / max(float(np.abs(whole).max()), 0.95)), tuple(cuts)
