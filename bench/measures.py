"""Error of a decoded sound against its image, and against the sound that the image was encoded from.

These are objective measures; none replaces listening. Pixels are compared after encoding the sound with the original
encoder. Free levels are fitted, so that no method gains by being louder.
"""

from __future__ import annotations

import numpy as np
import torch

from bench import recipes
from bench.material import Piece

WINDOWS = (256, 512, 1024, 2048, 4096, 16384)
"""STFT windows for the comparison with the source; hop is a quarter. Deliberately different from the image's grid."""

LOWER_IS_BETTER = {"mae", "own_mae", "sc_mel", *(f"{m}_{w}" for m in ("sc", "lsd") for w in WINDOWS)}

_LSD_RANGE_DB = 80.0


def evaluate(piece: Piece, waveform: np.ndarray) -> dict[str, float]:
    """Measure a waveform [S] decoded from an image.

    Returns
    -------
    dict
        ``mae`` (levels, 0 to 255) and ``psnr`` (dB) of the pixels at the best gain; ``own_mae`` with each image's
        loudest cell black, which is what a user sees; ``sc_mel`` (dB); ``bass`` (dB, 0 is right); and with a source
        ``sc_W`` and ``lsd_W`` (dB) for each window W.
    """
    levels = recipes.image_levels(piece.image)
    mel = recipes.encode_mel(torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))).numpy()
    mel = _fit_columns(mel, levels.shape[1])
    result = {**pixel_errors(mel, levels), "bass": bass_level(mel, recipes.levels_to_mel(levels, 1.0))}
    if piece.source is not None:
        for window in WINDOWS:
            result[f"sc_{window}"], result[f"lsd_{window}"] = spectral_errors(waveform, piece.source, window)
    return result


def _fit_columns(mel: np.ndarray, columns: int) -> np.ndarray:
    missing = columns - mel.shape[1]
    return np.pad(mel, ((0, 0), (0, missing))) if missing > 0 else mel[:, :columns]


def pixel_errors(mel: np.ndarray, levels: np.ndarray) -> dict[str, float]:
    """Compare mel magnitudes [n_mels, T] at any scale with pixel levels [n_mels, T]."""
    target = 255.0 - levels.astype(np.float64)  # loudness of the pixels, 0 to 255
    root = np.power(mel.astype(np.float64), recipes.POWER)
    gain = float((root * target).sum() / max(float((root * root).sum()), 1e-30))
    error = np.clip(root * gain, 0.0, 255.0) - target
    own = recipes.mel_to_levels(mel, max(float(mel.max()), 1e-30)).astype(np.float64) - levels
    target = recipes.levels_to_mel(levels, 1.0).astype(np.float64)
    return {
        "mae": float(np.abs(error).mean()),
        "psnr": float(10 * np.log10(255.0**2 / max(float((error**2).mean()), 1e-12))),
        "own_mae": float(np.abs(own).mean()),
        "sc_mel": spectral_convergence(mel.astype(np.float64), target),
    }


def spectral_convergence(estimate: np.ndarray, target: np.ndarray) -> float:
    """Return the norm of the difference over the norm of the target, in dB, at the best gain."""
    gain = float((estimate * target).sum() / max(float((estimate * estimate).sum()), 1e-30))
    return float(20 * np.log10(max(float(np.linalg.norm(gain * estimate - target) / np.linalg.norm(target)), 1e-12)))


def bass_level(mel: np.ndarray, target: np.ndarray) -> float:
    """Return the level of mel rows 0 to 40 against rows 200 to 400, in dB above the target; drops six edge columns."""
    inner = slice(6, mel.shape[1] - 6)

    def tilt(x: np.ndarray) -> float:
        return float(x[:40, inner].sum() / max(float(x[200:400, inner].sum()), 1e-30))

    return float(20 * np.log10(max(tilt(mel), 1e-30) / max(tilt(target), 1e-30)))


def spectral_errors(waveform: np.ndarray, source: np.ndarray, window: int) -> tuple[float, float]:
    """Return spectral convergence and log-spectral distance to the source below 10 kHz, in dB."""
    length = min(len(waveform), len(source))
    estimate, target = (_magnitudes(x[:length], window) for x in (waveform, source))
    loudness = float(np.sqrt((target**2).sum() / max(float((estimate**2).sum()), 1e-30)))
    floor = float(target.max()) * 10 ** (-_LSD_RANGE_DB / 20)
    difference = 20 * (np.log10(np.maximum(loudness * estimate, floor)) - np.log10(np.maximum(target, floor)))
    return spectral_convergence(estimate, target), float(np.sqrt((difference**2).mean(axis=0)).mean())


def _magnitudes(signal: np.ndarray, window: int) -> np.ndarray:
    taper = torch.hann_window(window, dtype=torch.float64)
    spectra = torch.stft(
        torch.from_numpy(signal.astype(np.float64)), window, window // 4, window, taper, return_complex=True
    )
    bins = int(recipes.MAX_FREQUENCY * window / recipes.SAMPLE_RATE) + 1
    return spectra[:bins].abs().numpy()
