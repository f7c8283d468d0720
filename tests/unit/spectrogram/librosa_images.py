"""Images of other models by the formulas of their own programs, on librosa; and a sound to draw."""

from __future__ import annotations

import librosa
import numpy as np

from riffusion_ext.params import PRESETS

OTHERS = ("auffusion", "audio-diffusion-256", "minimidi")
RANGE_LN = float(np.log(200) - np.log(1e-5))


def music(rate: int, seconds: float) -> np.ndarray:
    """Synthesise chords with overtones that decay, and noise bursts: float32, peak 0.7."""
    t = np.arange(int(rate * seconds)) / rate
    rng = np.random.default_rng(3)
    sound = np.zeros(len(t))
    for beat in range(int(seconds / 0.3)):
        since = t - 0.3 * beat
        on = np.where(since >= 0, np.exp(-np.maximum(since, 0) / 0.25), 0.0) * np.minimum(
            np.maximum(since, 0) / 0.004, 1
        )
        root = 110.0 * 2 ** (rng.integers(0, 24) / 12)
        sound += on * sum(np.sin(2 * np.pi * root * k * t + k) / k for k in range(1, 12) if root * k < 0.45 * rate)
        if beat % 2:
            sound += on**6 * 0.5 * rng.standard_normal(len(t))
    return (0.7 * sound / np.abs(sound).max()).astype(np.float32)


def prepared(y: np.ndarray, name: str) -> np.ndarray:
    """Filter or normalise as the model's program does before the analysis."""
    if name == "minimidi":
        return librosa.effects.preemphasis(y, coef=0.97)
    return librosa.util.normalize(y) * np.float32(0.95) if name == "auffusion" else y


def mel_of(y: np.ndarray, name: str) -> np.ndarray:
    """Return the bands [256, T]: magnitudes for Auffusion, else power."""
    rate = PRESETS[name].sample_rate
    if name != "auffusion":
        return librosa.feature.melspectrogram(y=y, sr=rate, n_fft=2048, hop_length=512, n_mels=256)
    padded = np.pad(y, 944, mode="reflect")
    spectrum = librosa.stft(padded, n_fft=2048, hop_length=160, win_length=1024, center=False)
    filters = librosa.filters.mel(sr=rate, n_fft=2048, n_mels=256, fmin=0, fmax=8000)
    return filters @ np.sqrt(np.abs(spectrum) ** 2 + 1e-9)


def levels_of(mel: np.ndarray, name: str) -> np.ndarray:
    """Return the grey levels [256, T] of an image."""
    if name == "auffusion":
        loudness = (np.log(np.clip(mel, 1e-5, None)) - np.log(1e-5)) / RANGE_LN
        return (loudness * 255).round().astype(np.uint8)[::-1]
    decibels = librosa.power_to_db(mel, ref=np.max, top_db=80)
    return (((decibels + 80) * 255 / 80).clip(0, 255) + 0.5).astype(np.uint8)


def sound_of(levels: np.ndarray, name: str) -> np.ndarray:
    """Decode an image by librosa's Griffin-Lim, 32 iterations, as the programs of audio-diffusion and MiniMIDI do."""
    rate = PRESETS[name].sample_rate
    if name == "auffusion":  # a column more at each end makes it a centred spectrogram
        mel = np.exp(levels[::-1] / 255 * RANGE_LN + np.log(1e-5))
        mel = np.concatenate([mel[:, :1], mel, mel[:, -1:]], axis=1)
        y = librosa.feature.inverse.mel_to_audio(mel, sr=rate, n_fft=2048, hop_length=160, win_length=1024, power=1.0)
        return y[80 : 80 + 160 * levels.shape[1]]
    mel = librosa.db_to_power(levels * 80 / 255 - 80)
    y = librosa.feature.inverse.mel_to_audio(mel, sr=rate, n_fft=2048, hop_length=512, n_iter=32)
    return librosa.effects.deemphasis(y, coef=0.97) if name == "minimidi" else y


def convergence_db(y: np.ndarray, target: np.ndarray, name: str) -> float:
    """Return the spectral convergence of a sound in magnitudes of bands, at the best gain, in dB; lower is better."""
    if name == "minimidi":
        y = np.append(y[:1], y[1:] - 0.97 * y[:-1]).astype(np.float32)
    one, other = mel_of(y, name)[:, : target.shape[1]], target
    if name != "auffusion":
        one, other = np.sqrt(one), np.sqrt(other)
    one *= (one * other).sum() / (one * one).sum()
    return float(20 * np.log10(np.linalg.norm(one - other) / np.linalg.norm(other)))
