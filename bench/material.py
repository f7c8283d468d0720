"""What is measured on: clips of music drawn as images, and images that a model made.

Both sets, always. An image made by a model is no sound's spectrogram: a method can win on music and lose there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

from bench import recipes
from riffusion_ext.audio import AudioClip, read_audio
from riffusion_ext.errors import RiffusionError
from riffusion_ext.metadata import read_record
from riffusion_ext.spectrogram.image import read_image

COLUMNS = 512
CLIP_SAMPLES = (COLUMNS - 1) * recipes.HOP_LENGTH
"""511 hops, 5.11 s: what an image of 512 columns holds."""

FULL_SCALE = 32768.0
SOUNDS = {".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
IMAGES = {".jpeg", ".jpg", ".png", ".webp"}
_QUIET = 1e-3  # RMS below which a window is taken for a pause
_PLACES = (0.4, 0.25, 0.55, 0.7, 0.1)  # where in a track to look for a window, in shares of its length


@dataclass(frozen=True, eq=False)
class Piece:
    """One image to decode.

    Attributes
    ----------
    kind
        ``"music"``: drawn from `source` by the original encoder. ``"model"``: made by a model.
    max_value
        Magnitude of black, in 16-bit sample units.
    source : np.ndarray [shape=(S,), float32] or None
        The sound it was drawn from, in 16-bit sample units.
    """

    name: str
    kind: str
    image: Image.Image
    max_value: float
    source: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """All that is measured on, and a word on where it is from."""

    music: tuple[Piece, ...]
    model: tuple[Piece, ...]
    songs: tuple[tuple[str, AudioClip], ...]
    origin: str

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Music first, then what a model made, by turns: any beginning of it has both."""
        mixed: list[Piece] = []
        for i in range(max(len(self.music), len(self.model))):
            mixed.extend(self.music[i : i + 1])
            mixed.extend(self.model[i : i + 1])
        return tuple(mixed)


def load(music: Path | None, images: Sequence[Path], *, quick: bool) -> Material:
    """Load the material, or make what is not given.

    Parameters
    ----------
    music
        Folder of sound files, searched through; tracks are picked at even distances in the order of their names.
    images
        Image files, or folders of them.
    quick
        Two of each, and a short song.

    Raises
    ------
    SystemExit
        A folder holds nothing that can be used.
    """
    clips, tiles = (2, 3) if quick else (6, 6)
    song_samples = (tiles * COLUMNS - 1) * recipes.HOP_LENGTH
    if music is None:
        windows, songs = _synthesised_music(clips), _synthesised_songs(song_samples)
    else:
        windows = list(_windows(music, clips, CLIP_SAMPLES))
        songs = list(_windows(music, 1 if quick else 3, song_samples, shift=1))
    if not windows or not songs:
        raise SystemExit(f"no sound files that are long enough in {music}")
    drawn = tuple(draw(name, clip) for name, clip in windows)
    if images:
        model = tuple(_model_pieces(images, 2 if quick else 8))
        if not model:
            raise SystemExit("no picture of a model among those given; see bench/README.md")
    else:
        model = tuple(_imitate(piece, seed) for seed, piece in enumerate(drawn[: 2 if quick else 4]))
    origin = f"music: {'synthesised' if music is None else f'{len(drawn)} tracks'}, "
    origin += f"model: {'imitated' if not images else f'{len(model)} pictures'}"
    return Material(drawn, model, tuple(songs), origin)


def draw(name: str, clip: AudioClip) -> Piece:
    """Draw a clip by the original encoder."""
    source = np.ascontiguousarray(clip.samples[0] * np.float32(FULL_SCALE))
    image, max_value = recipes.encode(torch.from_numpy(source))
    return Piece(name, "music", image, max_value, source)


# -- given


def _windows(folder: Path, count: int, samples: int, *, shift: int = 0) -> Iterable[tuple[str, AudioClip]]:
    """Mono windows of different tracks, evenly spread over the folder; the same ones each time."""
    tracks = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS)
    found = 0
    for path in spread(tracks, count, shift):
        clip = _window(path, samples)
        if clip is not None:
            yield path.stem, clip
            found += 1
        if found == count:
            return


def spread(tracks: list[Path], count: int, shift: int = 0) -> list[Path]:
    """Order tracks so that any beginning of the list is spread over all of them."""
    if not tracks:
        return []
    stride = max(len(tracks) // count, 1)
    order = [i for start in range(stride) for i in range(start, len(tracks), stride)]
    return [tracks[(i + shift) % len(tracks)] for i in order]


def _window(path: Path, samples: int) -> AudioClip | None:
    """Return the first window of a track that is not a pause, as mono at 44100 Hz; None where there is none."""
    try:
        clip = read_audio(path).to_mono().resample(recipes.SAMPLE_RATE)
    except RiffusionError:
        return None
    room = clip.samples.shape[1] - samples
    if room < 0:
        return None
    for place in _PLACES:
        start = int(room * place)
        part = np.ascontiguousarray(clip.samples[:, start : start + samples])
        if float(np.sqrt((part**2).mean())) > _QUIET:
            return AudioClip(part, recipes.SAMPLE_RATE)
    return None


def _model_pieces(paths: Sequence[Path], count: int) -> Iterable[Piece]:
    """Images of 512 x 512 that record no parameters and whose columns differ: no encodings, no masks."""
    files = [path for path in paths if not path.is_dir()]
    for folder in paths:
        if folder.is_dir():
            files += sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    found = 0
    for path in files:
        image = read_image(path)
        levels = np.asarray(image.convert("RGB"))
        still = bool((levels == levels[:, :1]).all())
        if image.size != (COLUMNS, recipes.N_MELS) or still or read_record(image).source != "none":
            continue
        # The same three channels for every method, whatever the mode of the file.
        yield Piece(path.stem, "model", Image.fromarray(levels), 30e6)
        found += 1
        if found == count:
            return


# -- made here


def _synthesised_songs(samples: int) -> list[tuple[str, AudioClip]]:
    from riffusion_ext.demo.tune import make_tune

    tune = make_tune()[0]
    song = np.tile(tune, samples // len(tune) + 1)[None, :samples]
    return [("tune", AudioClip(np.ascontiguousarray(song, dtype=np.float32), recipes.SAMPLE_RATE))]


def _synthesised_music(count: int) -> list[tuple[str, AudioClip]]:
    """Windows of the demo's tune, a plucked string, and noise that comes and goes."""
    from riffusion_ext.demo.tune import make_tune

    tune = make_tune()[0]
    starts = [0, CLIP_SAMPLES, len(tune) - CLIP_SAMPLES]
    made = {f"tune-{i + 1}": tune[start : start + CLIP_SAMPLES] for i, start in enumerate(starts)}
    time = np.arange(CLIP_SAMPLES) / recipes.SAMPLE_RATE
    rng = np.random.default_rng(7)
    beat = time % 0.32
    string = sum(
        np.sin(2 * np.pi * 110 * k * np.sqrt(1 + 2e-4 * k * k) * time) * np.exp(-beat * (2 + k)) / k
        for k in range(1, 24)
    )
    made["string"] = 0.3 * np.asarray(string)
    made["noise"] = 0.3 * rng.standard_normal(CLIP_SAMPLES) * np.exp(-beat * 18)
    made["glide"] = 0.5 * np.sin(2 * np.pi * np.cumsum(200 + 3000 * (time / 5.11) ** 2) / recipes.SAMPLE_RATE)
    order = ["tune-1", "string", "tune-2", "noise", "tune-3", "glide"]
    return [
        (name, AudioClip(np.ascontiguousarray(made[name], dtype=np.float32)[None], recipes.SAMPLE_RATE))
        for name in order[:count]
    ]


def _imitate(piece: Piece, seed: int) -> Piece:
    """Make an image that is no sound's spectrogram: blurred, and stained in patches as large as a latent pixel."""
    rng = np.random.default_rng(seed)
    patches = rng.normal(128, 12, (COLUMNS // 8, COLUMNS // 8)).clip(0, 255).astype(np.uint8)
    stain = np.asarray(Image.fromarray(patches).resize((COLUMNS, recipes.N_MELS), Image.Resampling.BICUBIC), np.float32)
    soft = np.asarray(piece.image.convert("L").filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    grain = rng.normal(0, 4, soft.shape)
    grey = (soft + stain - 128 + grain).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(np.stack([grey] * 3, axis=-1))
    return Piece(f"imitated-{piece.name}", "model", image, 30e6)
