"""Pairs of what the network sees, from a decoded image, and what it shall predict, from the sound before."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from riffusion_ext.audio import RAW, AudioClip
from riffusion_ext.bandwidth.features import FRAMES_IN_BLOCK, band_energy, frame_spectra
from riffusion_ext.bandwidth.grid import Grid
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.spectrogram.codec import DecodeSettings, audio_to_image, image_to_audio
from training.bandwidth.alter import alter_image, alter_sound, low_pass
from training.bandwidth.songs import RATE, WINDOW, Songs, Waveform
from training.bandwidth.sources import TRAINING
from training.bandwidth.synthesis import synthesise

__all__ = ["Pairs", "make_pairs"]

_SYNTHESISED, _ALTERED_IMAGES, _OTHER_CUTOFFS = 0.1, 0.35, 0.25  # shares of the pairs
_CUTOFFS = (5500, 15900)  # Hz
_USUAL_CUTOFF = 10000
_TINY = 1e-14
_FLAT = 0.5615  # spectral flatness of white noise: exp(-Euler's constant)

Array = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Pairs:
    """N windows of T frames.

    Attributes
    ----------
    low : np.ndarray [shape=(N, T, LOW_BANDS)]
        log10 of the mean energy per bin below the cutoff, in the decoded sound.
    high : np.ndarray [shape=(N, T, HIGH_BANDS)]
        The same above the cutoff, in the sound before.
    noise : np.ndarray [shape=(N, T, 3)]
        Share of noise that the lower and the upper half of the high bins need, and how much it matters, 0 to 1.
    cutoff : np.ndarray [shape=(N,)]
        In Hz.
    """

    low: Array
    high: Array
    noise: Array
    cutoff: npt.NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Pairs:
        """Read an ``.npz`` file."""
        with np.load(path) as file:
            return cls(**{field.name: file[field.name] for field in fields(cls)})


def make_pairs(count: int, music: Path, seed: int, processes: int) -> Pairs:
    """Make pairs; pair number n depends on `seed` and n only.

    Parameters
    ----------
    count
        Number of pairs; each takes about half a second.
    music
        Folder of the packages.
    seed
        Of all random numbers.
    processes
        Number of processes that share the work.
    """
    rows = []
    with ProcessPoolExecutor(processes, initializer=_use_one_thread) as pool:
        for number, row in enumerate(pool.map(partial(_make_pair, music, seed), range(count), chunksize=16), 1):
            rows.append(row)
            if number % 100 == 0:
                print(f"{number} of {count} pairs")
    low, high, noise, cutoff = zip(*rows, strict=True)
    return Pairs(np.stack(low), np.stack(high), np.stack(noise), np.array(cutoff, np.float32))


def _use_one_thread() -> None:
    torch.set_num_threads(1)


@lru_cache(maxsize=1)  # in each process
def _songs_in(music: Path) -> Songs:
    return Songs(TRAINING, music)


def _make_pair(music: Path, seed: int, number: int) -> tuple[Array, Array, Array, float]:
    rng = np.random.default_rng([seed, number])
    sound = _draw_sound(_songs_in(music), rng)
    cutoff = _USUAL_CUTOFF if rng.random() >= _OTHER_CUTOFFS else int(rng.uniform(*_CUTOFFS))
    decoded = _decode_as_image(sound, SpectrogramParams(max_frequency=cutoff), rng)
    return *_analyse(sound, decoded, Grid(RATE, float(cutoff))), float(cutoff)


def _draw_sound(songs: Songs, rng: np.random.Generator) -> Waveform:
    while True:
        sound = synthesise(rng) if rng.random() < _SYNTHESISED else songs.draw(rng)[1]
        if len(sound) == WINDOW and np.abs(sound).max() >= 0.01:
            return alter_sound(sound, rng)


def _decode_as_image(sound: Waveform, params: SpectrogramParams, rng: np.random.Generator) -> Waveform:
    """Encode a sound, alter its image with some probability, and decode it at the level of the sound."""
    image = audio_to_image(AudioClip(sound[None], RATE), params).image
    if rng.random() < _ALTERED_IMAGES:
        image = alter_image(image, rng)
    settings = DecodeSettings(channels="mono", params=params, level=RAW)
    decoded = image_to_audio(image, settings).clip.samples[0]
    decoded = np.pad(decoded, (0, max(0, len(sound) - len(decoded))))[: len(sound)]
    below = low_pass(sound, 0.98 * params.max_frequency)
    gain = np.sqrt(np.sum(below**2) / max(np.sum(decoded**2), _TINY))
    return decoded * np.float32(min(gain, 1e3))


def _analyse(sound: Waveform, decoded: Waveform, grid: Grid) -> tuple[Array, Array, Array]:
    below, full = _spectra(decoded, grid), _spectra(sound, grid)
    low, high = band_energy(below, grid.low_edges), band_energy(full, grid.high_edges)
    first, stop = grid.first_bin, grid.stop_bin
    middle = (first + stop) // 2
    carrier = _flatness(below[0, :, first - grid.shift : first])
    wanted = [_flatness(full[0, :, first:middle]), _flatness(full[0, :, middle:stop])]
    room = carrier.neg().add(_FLAT)
    share = [((flatness - carrier) / room.clamp_min(0.05)).clamp(0, 1) for flatness in wanted]
    noise = torch.stack([*share, room.clamp_min(0)], dim=1)
    return _half(torch.log10(low[0] + _TINY)), _half(torch.log10(high[0] + _TINY)), _half(noise)


def _spectra(sound: Waveform, grid: Grid) -> torch.Tensor:
    """Return spectra [1, T, K] of whole blocks of frames."""
    padded = np.pad(sound, (grid.window - grid.hop, 0)).astype(np.float32)
    spectra = frame_spectra(torch.from_numpy(padded)[None], grid)
    return spectra[:, : spectra.shape[1] // FRAMES_IN_BLOCK * FRAMES_IN_BLOCK]


def _flatness(spectra: torch.Tensor) -> torch.Tensor:
    """Return the spectral flatness [T] of [T, bins]: geometric over arithmetic mean of the energy."""
    energy = spectra.abs().square() + 1e-12
    return energy.log().mean(1).exp() / energy.mean(1)


def _half(values: torch.Tensor) -> Array:
    return values.numpy().astype(np.float16)
