"""Seams between the tiles of a song: errors in pixels, clicks and level.

A song is encoded as tiles and decoded in several ways::

    streaming      song_to_audio: blocks with continued phases
    one pass       the whole song as one reconstruction, however much memory it takes
    butt-joined    every tile separately, concatenated
    own levels     streaming, of tiles each normalised to black, with recorded levels
    no tags        the same without the recorded levels

Seams are the borders of tiles and, evaluated separately, of the streaming blocks. One pass has no blocks: its values
there are caused by the music.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.signal
import torch
from PIL import Image

from bench import recipes
from bench.material import COLUMNS, FULL_SCALE, Material
from bench.methods import PARAMS
from bench.report import Gate, Section, Table, number
from riffusion_ext.audio import AudioClip
from riffusion_ext.spectrogram.codec import DecodeSettings, audio_to_images, image_to_audio, song_to_audio
from riffusion_ext.spectrogram.image import pixels_of, pixels_to_mel
from riffusion_ext.spectrogram.inversion import blocks
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS, reconstruct
from riffusion_ext.spectrogram.inversion.resample import to_sample_rate

HOP = recipes.HOP_LENGTH
NEAR = 6  # columns on each side of a seam that count as near it, for levels of pixels
NEAR_CLICK = 2  # likewise, for clicks
_EDGE = 10  # columns at the ends of the song that are ignored
_RANGE_DB = 60.0  # columns further below the loudest are ignored for levels


@dataclass(frozen=True)
class Seams:
    """Errors at the seams of one song.

    Attributes
    ----------
    error, elsewhere
        Mean pixel error near a seam, and away from all seams, in levels.
    click
        Largest energy above 12 kHz near a seam against the 99th percentile elsewhere, in dB.
    step, largest_step
        Mean and largest change of the level's error across a seam, in dB.
    """

    error: float
    elsewhere: float
    click: float
    step: float
    largest_step: float

    @property
    def ratio(self) -> float:
        """Error near a seam over error elsewhere."""
        return self.error / self.elsewhere


@dataclass(frozen=True, eq=False)
class _Way:
    """Samples [S], the columns of the seams to evaluate, and those of other seams, which are evaluated separately."""

    samples: np.ndarray
    seams: Sequence[int]
    besides: Sequence[int] = ()


def measure(material: Material, *, engines: Sequence[str] = ("fast", "best")) -> Section:
    """Measure every song: streaming with each engine, the other ways with the first engine."""
    found: dict[str, dict[str, Seams]] = {}
    for name, clip in material.songs:
        for label, way in _ways(clip, engines).items():
            seams = inspect(way.samples, clip.samples[0], way.seams, way.besides)
            found.setdefault(label, {})[name] = seams
    return Section(
        "seams",
        [_table(found, material.songs[0][1])],
        _gates(found, engines),
        {way: {name: {**vars(s), "ratio": s.ratio} for name, s in songs.items()} for way, songs in found.items()},
    )


def _ways(clip: AudioClip, engines: Sequence[str]) -> dict[str, _Way]:
    """Decode the song in every way."""
    song = [tile.image for tile in audio_to_images(clip, PARAMS, level="song")]
    tiles = [tile.image for tile in audio_to_images(clip, PARAMS, level="tile")]
    bare = [_without_record(tile) for tile in tiles]
    columns = len(song) * COLUMNS
    joints, blocks_meet = list(range(COLUMNS, columns, COLUMNS)), _block_joints(columns)
    made: dict[str, _Way] = {}
    for engine in engines:
        settings = DecodeSettings(engine=engine, level="recorded", channels="mono", device="cpu")
        whole = song_to_audio(song, settings).clip.samples[0]
        made[f"{engine}, streaming, tiles"] = _Way(whole, joints, blocks_meet)
        made[f"{engine}, streaming, blocks"] = _Way(whole, blocks_meet, joints)
        if engine == engines[0]:
            once = _one_pass(song, engine)
            made[f"{engine}, one pass, tiles"] = _Way(once, joints, blocks_meet)
            made[f"{engine}, one pass, blocks"] = _Way(once, blocks_meet, joints)
            own = song_to_audio(tiles, settings).clip.samples[0]
            made[f"{engine}, own levels, tiles"] = _Way(own, joints, blocks_meet)
            made[f"{engine}, no tags, tiles"] = _Way(song_to_audio(bare, settings).clip.samples[0], joints)
            made[f"{engine}, butt-joined, tiles"] = _Way(_butt_joined(clip, settings), joints)
    return made


def _block_joints(columns: int) -> list[int]:
    """Return the columns where streaming fades from one block to the next."""
    stride = blocks.BLOCK - blocks._OVERLAP
    middle = blocks._KEPT - blocks._FADE // 2
    return [start + middle for start in range(stride, columns - blocks._OVERLAP, stride)]


def _without_record(image: Image.Image) -> Image.Image:
    bare = image.copy()
    bare.info = {}
    return bare


@torch.no_grad()
def _one_pass(song: Sequence[Image.Image], engine: str) -> np.ndarray:
    mel = np.concatenate([pixels_to_mel(pixels_of(tile), PARAMS, 1.0) for tile in song], axis=1)
    signal = reconstruct(torch.from_numpy(mel), PARAMS, PROGRAMS[engine])
    return to_sample_rate(signal.numpy(), PARAMS)[0]


def _butt_joined(clip: AudioClip, settings: DecodeSettings) -> np.ndarray:
    """Decode every tile separately, with one column of the next so that no hop is lost."""
    [whole] = audio_to_images(clip, PARAMS, columns=PARAMS.columns_of_samples(clip.samples.shape[1]))
    parts = []
    for start in range(0, whole.image.width - 1, COLUMNS):
        part = whole.image.crop((start, 0, min(start + COLUMNS + 1, whole.image.width), whole.image.height))
        part.info = dict(whole.image.info)
        parts.append(image_to_audio(part, settings).clip.samples[0])
    return np.concatenate(parts)


def inspect(samples: np.ndarray, source: np.ndarray, seams: Sequence[int], besides: Sequence[int] = ()) -> Seams:
    """Compare samples [S] with the original song, near `seams` and away from both `seams` and `besides`."""
    length = min(len(samples), len(source)) // HOP * HOP
    samples, source = samples[:length].astype(np.float32), source[:length].astype(np.float32)
    samples = samples * np.float32(np.sqrt((source**2).mean() / max(float((samples**2).mean()), 1e-30)))
    seams = [seam for seam in seams if _EDGE < seam < length // HOP - _EDGE]
    error = _pixel_error(samples, source)
    step = _steps(samples, source, seams)
    near = _near(seams, NEAR, len(error))
    away = ~(near | _near(besides, NEAR, len(error)))
    away[:_EDGE] = away[-_EDGE:] = False
    return Seams(
        float(error[near].mean()), float(error[away].mean()), _click(samples, seams), float(np.mean(step)), max(step)
    )


def _near(seams: Sequence[int], reach: int, columns: int) -> np.ndarray:
    mask = np.zeros(columns, dtype=bool)
    for seam in seams:
        mask[max(seam - reach, 0) : seam + reach + 1] = True
    return mask


def _pixel_error(samples: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the mean pixel error of each column, in levels."""
    drawn = [recipes.encode_mel(torch.from_numpy(x * np.float32(FULL_SCALE))).numpy() for x in (samples, source)]
    loudest = float(drawn[1].max())
    ours, expected = (np.clip(mel / loudest, 0, 1) ** recipes.POWER * 255 for mel in drawn)
    return np.asarray(np.abs(ours - expected).mean(axis=0))


def _click(samples: np.ndarray, seams: Sequence[int]) -> float:
    """Return the energy above 12 kHz by column: images hold nothing there, so it reveals discontinuities."""
    sections = scipy.signal.butter(6, 12000, "highpass", fs=recipes.SAMPLE_RATE, output="sos")
    high = scipy.signal.sosfilt(sections, samples.astype(np.float64))
    energy = (high.reshape(-1, HOP) ** 2).sum(axis=1)
    near = _near(seams, NEAR_CLICK, len(energy))
    usual = np.quantile(energy[~near], 0.99)
    return float(10 * np.log10(max(energy[near].max(), 1e-30) / max(usual, 1e-30)))


def _steps(samples: np.ndarray, source: np.ndarray, seams: Sequence[int]) -> list[float]:
    """Return the change of the level error across each seam, between the half seconds before and after it, in dB."""
    ours, expected = _levels(samples), _levels(source)
    loud = expected > expected.max() - _RANGE_DB
    error = ours - expected
    steps = []
    for seam in seams:
        before, after = slice(max(seam - 50, 0), seam - 8), slice(seam + 8, seam + 50)
        if loud[before].any() and loud[after].any():
            steps.append(abs(float(error[after][loud[after]].mean() - error[before][loud[before]].mean())))
    return steps or [float("nan")]


def _levels(samples: np.ndarray) -> np.ndarray:
    """Return the level below 10 kHz by column, in dB."""
    spectra = torch.stft(torch.from_numpy(samples), 1024, HOP, window=torch.hann_window(1024), return_complex=True)
    power = spectra[: int(recipes.MAX_FREQUENCY / recipes.SAMPLE_RATE * 1024)].abs().pow(2).sum(dim=0)
    return np.asarray(10 * torch.log10(power + 1e-12))


def _table(found: dict[str, dict[str, Seams]], clip: AudioClip) -> Table:
    table = Table(
        f"Seams, {len(found[next(iter(found))])} songs of {clip.duration:.0f} s",
        [
            "way, where",
            "error near",
            "elsewhere",
            "ratio, mean",
            "worst song",
            "click dB",
            "level step dB, mean",
            "worst",
        ],
        note="Errors in levels of pixels, means of the songs; clicks and the last column are those of the worst seam.",
    )
    for way, songs in found.items():
        all_of = list(songs.values())
        means = [float(np.mean([getattr(s, key) for s in all_of])) for key in ("error", "elsewhere", "ratio", "step")]
        worst = [max(getattr(s, key) for s in all_of) for key in ("ratio", "click", "largest_step")]
        cells = [*means[:3], worst[0], worst[1], means[3], worst[2]]
        table.rows.append([way, *(number(cell) for cell in cells)])
    return table


def _gates(found: dict[str, dict[str, Seams]], engines: Sequence[str]) -> list[Gate]:
    gates = []
    for engine in engines:
        places = [list(found[f"{engine}, streaming, {place}"].values()) for place in ("tiles", "blocks")]
        ratio = max(float(np.mean([song.ratio for song in songs])) for songs in places)
        click = max(song.click for songs in places for song in songs)
        step = max(song.largest_step for songs in places for song in songs)
        gates += [
            Gate(f"seams, {engine}: error against elsewhere, mean of songs", ratio, "<=", 1.1, "x"),
            Gate(f"seams, {engine}: click over P99, worst seam", click, "<=", 3, "dB"),
            Gate(f"seams, {engine}: level step, worst seam", step, "<=", 0.3, "dB"),
        ]
    step = max(song.largest_step for song in found[f"{engines[0]}, own levels, tiles"].values())
    gates.append(Gate(f"seams, {engines[0]}: level step, tiles with levels of their own", step, "<=", 0.3, "dB"))
    return gates
