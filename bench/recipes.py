"""The original recipes, restated in plain torch without torchaudio and without their dead parts.

INC-SGD is the recipe published with the model: ``torchaudio.transforms.InverseMelScale`` before version 2.1 (200 steps
of gradient descent), then ``GriffinLim`` with 32 iterations. INC-LSTSQ is the same with torchaudio from 2.1 on, whose
``InverseMelScale`` solves least squares: as run by patched installations today. The encoder has not changed.

tests/unit/test_bench.py compares them with torchaudio if it can be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image

SAMPLE_RATE = 44100
HOP_LENGTH = 441
WIN_LENGTH = 4410
N_FFT = 17640
N_MELS = 512
MAX_FREQUENCY = 10000.0
POWER = 0.25
ITERATIONS = 32
MOMENTUM = 0.99


@lru_cache(maxsize=4)
def filterbank(device: str = "cpu") -> torch.Tensor:
    """Compute mel filters [n_fft // 2 + 1, n_mels] as torchaudio's ``melscale_fbanks(norm=None, mel_scale="htk")``.

    Float32 throughout, as in torchaudio: the filters differ from exact ones by up to 1e-4.
    """
    frequencies = torch.linspace(0, SAMPLE_RATE // 2, N_FFT // 2 + 1)
    top = 2595.0 * float(np.log10(1.0 + MAX_FREQUENCY / 700.0))
    corners = 700.0 * (10.0 ** (torch.linspace(0.0, top, N_MELS + 2) / 2595.0) - 1.0)
    widths = corners[1:] - corners[:-1]
    slopes = corners[None, :] - frequencies[:, None]
    rising, falling = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp_min(0.0).to(device)


@lru_cache(maxsize=4)
def _window(device: str) -> torch.Tensor:
    return torch.hann_window(WIN_LENGTH, device=device)


def _stft(waveform: torch.Tensor) -> torch.Tensor:
    window = _window(str(waveform.device))
    return torch.stft(waveform, N_FFT, HOP_LENGTH, WIN_LENGTH, window, pad_mode="reflect", return_complex=True)


def _istft(spectra: torch.Tensor) -> torch.Tensor:
    return torch.istft(spectra, N_FFT, HOP_LENGTH, WIN_LENGTH, _window(str(spectra.device)))


# -- sound to image


@torch.no_grad()
def encode_mel(waveform: torch.Tensor) -> torch.Tensor:
    """Compute the mel magnitudes [n_mels, T] of a waveform [S] in 16-bit sample units: full STFT, dense product."""
    magnitude = _stft(waveform).abs()
    return (magnitude.transpose(-1, -2) @ filterbank(str(waveform.device))).transpose(-1, -2)


def mel_to_levels(mel: np.ndarray, max_value: float) -> np.ndarray:
    """Convert mel magnitudes to pixel levels [n_mels, T], lowest band first; 255 is silence."""
    return (255 - np.power(mel / max_value, POWER) * 255).astype(np.uint8)


def encode(waveform: torch.Tensor) -> tuple[Image.Image, float]:
    """Encode a waveform [S] in 16-bit sample units; return the image and the magnitude of black."""
    mel = encode_mel(waveform).numpy()
    max_value = float(mel.max())
    grey = mel_to_levels(mel, max_value)
    image = Image.fromarray(np.stack([grey] * 3, axis=-1)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return image, max_value


# -- image to sound


def image_levels(image: Image.Image) -> np.ndarray:
    """Return the levels [n_mels, T] of an image's red channel, lowest band first."""
    return np.asarray(image.convert("RGB"))[::-1, :, 0]


def levels_to_mel(levels: np.ndarray, max_value: float) -> np.ndarray:
    """Convert pixel levels to mel magnitudes [n_mels, T], float32."""
    return (((255 - levels.astype(np.float32)) / 255) ** (1 / POWER) * np.float32(max_value)).astype(np.float32)


@torch.no_grad()
def unmel_lstsq(mel: torch.Tensor) -> torch.Tensor:
    """Invert mel bands [n_mels, T] to magnitudes [n_fft // 2 + 1, T] by least squares, as torchaudio from 2.1 on."""
    filters = filterbank(str(mel.device)).transpose(-1, -2)[None]
    return torch.relu(torch.linalg.lstsq(filters, mel[None], driver="gels").solution)[0]


def unmel_sgd(mel: torch.Tensor, steps: int = 200, seed: int = 0) -> torch.Tensor:
    """Invert mel bands [n_mels, T] to magnitudes [n_fft // 2 + 1, T] by gradient descent, as torchaudio up to 2.0."""
    filters = filterbank(str(mel.device))
    target = mel.transpose(-1, -2)
    generator = torch.Generator(mel.device).manual_seed(seed)
    guess = torch.rand(target.shape[0], filters.shape[0], generator=generator, device=mel.device, requires_grad=True)
    optimiser = torch.optim.SGD([guess], lr=0.1, momentum=0.9)
    last = float("inf")
    for _ in range(steps):
        optimiser.zero_grad()
        # Summed over the bands but averaged over the frames: the wider the image, the smaller the steps.
        loss = (target - guess @ filters).pow(2).sum(dim=-1).mean()
        loss.backward()
        optimiser.step()
        guess.data.clamp_(min=0)
        value = loss.item()
        if value < 1e-5 or abs(last - value) < 1e-8:
            break
        last = value
    return guess.detach().transpose(-1, -2)


@torch.no_grad()
def griffin_lim(magnitude: torch.Tensor, iterations: int = ITERATIONS, seed: int = 0) -> torch.Tensor:
    """Reconstruct a waveform [(T - 1) * hop] from magnitudes [n_fft // 2 + 1, T] like torchaudio's ``GriffinLim``.

    The random initial phases are only in the first quadrant, because both parts of the complex numbers are positive.
    """
    momentum = MOMENTUM / (1 + MOMENTUM)
    generator = torch.Generator(magnitude.device).manual_seed(seed)
    angles = torch.rand(magnitude.shape, dtype=torch.complex64, generator=generator, device=magnitude.device)
    previous = torch.tensor(0.0, device=magnitude.device)
    for _ in range(iterations):
        rebuilt = _stft(_istft(magnitude * angles))
        angles = rebuilt - previous.mul_(momentum)
        angles = angles.div(angles.abs().add(1e-16))
        previous = rebuilt
    return _istft(magnitude * angles)


def _decode(
    unmel: Callable[[torch.Tensor], torch.Tensor],
    image: Image.Image,
    max_value: float,
    seed: int,
    device: str,
    iterations: int,
) -> np.ndarray:
    mel = torch.from_numpy(levels_to_mel(image_levels(image), max_value)).to(device)
    return griffin_lim(unmel(mel), iterations, seed).cpu().numpy()


def inc_lstsq(
    image: Image.Image, max_value: float = 30e6, *, seed: int = 0, device: str = "cpu", iterations: int = ITERATIONS
) -> np.ndarray:
    """Decode an image by least squares and Griffin-Lim to a waveform [S] in 16-bit sample units."""
    return _decode(unmel_lstsq, image, max_value, seed, device, iterations)


def inc_sgd(image: Image.Image, max_value: float = 30e6, *, seed: int = 0, device: str = "cpu") -> np.ndarray:
    """Decode an image by gradient descent and Griffin-Lim to a waveform [S] in 16-bit sample units."""
    return _decode(unmel_sgd, image, max_value, seed, device, ITERATIONS)


def append_clips(clips: Sequence[np.ndarray], crossfade: int) -> np.ndarray:
    """Concatenate waveforms [S] like riffusion's ``stitch_segments``, which uses pydub.

    Each is normalised to 16-bit full scale; fades are linear, and the whole result is copied each time.

    Parameters
    ----------
    crossfade
        Length of the crossfade in samples.
    """
    joined: np.ndarray | None = None
    rising = np.linspace(0.0, 1.0, crossfade, dtype=np.float32)
    for clip in clips:
        levelled = (clip * (32767.0 / max(float(np.abs(clip).max()), 1e-9))).astype(np.int16)
        if joined is None:
            joined = levelled
            continue
        fade = joined[-crossfade:] * (1 - rising) + levelled[:crossfade] * rising if crossfade else levelled[:0]
        joined = np.concatenate([joined[: len(joined) - crossfade], fade.astype(np.int16), levelled[crossfade:]])
    return np.zeros(0, np.int16) if joined is None else joined
