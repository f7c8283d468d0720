"""From sound to mel magnitudes and images: equal to the original library, and their properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip
from riffusion_ext.spectrogram import PRESETS, SpectrogramParams, encode
from riffusion_ext.spectrogram.codec import audio_to_image
from riffusion_ext.spectrogram.encode import mel_spectrogram

V1 = PRESETS["riffusion-v1"]


def original_mel(torchaudio: Any, waveform: torch.Tensor, params: SpectrogramParams) -> torch.Tensor:
    """Return the original library's mel magnitudes: [C, n_mels, T]."""
    spectrogram = torchaudio.transforms.Spectrogram(
        n_fft=params.n_fft, hop_length=params.hop_length, win_length=params.win_length, power=None
    )
    mel_scale = torchaudio.transforms.MelScale(
        n_mels=params.num_frequencies, sample_rate=params.sample_rate, f_min=params.min_frequency,
        f_max=params.max_frequency, n_stft=params.n_fft // 2 + 1, norm=None, mel_scale="htk",
    )  # fmt: skip
    mel: torch.Tensor = mel_scale(torch.abs(spectrogram(waveform)))
    return mel


def original_image(mel: np.ndarray, params: SpectrogramParams) -> np.ndarray:
    """Draw magnitudes [C, n_mels, T] as the original library does: [H, W, 3]."""
    data = 255 - np.power(mel / np.max(mel), params.power_for_image) * 255
    rows = data.astype(np.uint8)[:, ::-1]
    return np.stack([np.zeros_like(rows[0]), *rows] if params.stereo else [rows[0]] * 3, axis=-1)


@pytest.mark.parametrize(
    "params",
    [
        pytest.param(V1, id="v1"),
        pytest.param(V1.replace(stereo=True), id="v1 stereo"),
        pytest.param(PRESETS["20khz-stereo"], id="20 kHz"),
        pytest.param(V1.replace(sample_rate=48000), id="48 kHz"),
        pytest.param(V1.replace(sample_rate=22050, num_frequencies=256), id="22 kHz"),
    ],
)
def test_images_equal_those_of_the_original_library(torchaudio: Any, tune: Any, params: SpectrogramParams) -> None:
    clip = tune(1.5, channels=params.channels, rate=params.sample_rate, seed=3)
    waveform = torch.from_numpy(clip.samples * np.float32(32768))
    theirs = original_mel(torchaudio, waveform, params).numpy()
    ours = mel_spectrogram(waveform, params).numpy().transpose(0, 2, 1)
    assert ours == pytest.approx(theirs, rel=2e-5, abs=2e-6 * theirs.max())

    image = audio_to_image(clip, params)
    assert image.max_value == pytest.approx(float(theirs.max()), rel=1e-6)
    pixels = np.asarray(image.image).astype(int)
    difference = np.abs(pixels - original_image(theirs, params))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.9999


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(0, 9000), channels=st.integers(1, 2), seed=st.integers(0, 9))
def test_number_of_columns_is_exact_for_any_length(samples: int, channels: int, seed: int) -> None:
    params = SpectrogramParams(sample_rate=8000, max_frequency=4000, num_frequencies=32, padded_duration_ms=200)
    waveform = torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))
    mel = mel_spectrogram(waveform, params)
    assert mel.shape == (channels, 1 + samples // 80, 32)
    assert bool(torch.isfinite(mel).all())
    assert bool((mel >= 0).all())


def test_block_size_does_not_change_the_spectrogram(
    tune: Any, monkeypatch: pytest.MonkeyPatch, small: SpectrogramParams
) -> None:
    waveform = torch.from_numpy(tune(1.5, rate=16000).samples)
    whole = mel_spectrogram(waveform, small)
    monkeypatch.setattr(encode, "_BLOCK", 7)
    assert mel_spectrogram(waveform, small).numpy() == pytest.approx(whole.numpy(), rel=1e-5, abs=1e-5)


def test_channels_are_encoded_independently(tune: Any, small: SpectrogramParams) -> None:
    waveform = torch.from_numpy(tune(1.0, channels=2, rate=16000).samples)
    both = mel_spectrogram(waveform, small)
    for channel in range(2):
        assert torch.equal(both[channel : channel + 1], mel_spectrogram(waveform[channel : channel + 1], small))


def test_magnitudes_follow_gain_and_delay(tune: Any, small: SpectrogramParams) -> None:
    waveform = torch.from_numpy(tune(1.5, rate=16000).samples)
    mel = mel_spectrogram(waveform, small)
    np.testing.assert_allclose(
        mel_spectrogram(8 * waveform, small).numpy(), 8 * mel.numpy(), rtol=1e-5, equal_nan=False
    )
    delayed = mel_spectrogram(torch.nn.functional.pad(waveform, (10 * small.hop_length, 0)), small)
    inner = slice(6, -6)  # elsewhere the mirrored ends are visible
    assert delayed[:, 10:][:, inner].numpy() == pytest.approx(mel[:, inner].numpy(), rel=1e-4, abs=1e-4)
    assert not mel_spectrogram(torch.zeros(1, 16000), small).any()


@pytest.mark.parametrize("frequency", [100.0, 440.0, 2000.0, 9000.0])
def test_a_sine_is_loudest_in_the_row_of_its_frequency(frequency: float) -> None:
    time = np.arange(44100) / 44100
    clip = AudioClip(np.sin(2 * np.pi * frequency * time)[None].astype(np.float32), 44100)
    column = np.asarray(audio_to_image(clip).image)[:, 50, 0]
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 10000 / 700), 514) / 2595) - 1)
    band = int(np.argmin(np.abs(corners[1:-1] - frequency)))
    assert abs((511 - int(np.argmin(column))) - band) <= 1


def test_a_click_is_drawn_at_its_column() -> None:
    samples = np.zeros((1, 44100), np.float32)
    samples[0, 60 * 441] = 0.9
    pixels = np.asarray(audio_to_image(AudioClip(samples, 44100)).image)[..., 0]
    darkness = (255.0 - pixels).sum(axis=0)
    assert int(darkness.argmax()) == 60
    assert np.array_equal(np.nonzero(darkness)[0], np.arange(56, 65))  # 100 ms of window, whose ends are zero
