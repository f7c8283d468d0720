"""Griffin-Lim inversion: waveforms whose spectrogram images equal the given ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from riffusion_ext.audio import AudioClip
from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.encode import mel_spectrogram
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS, Known, reconstruct
from riffusion_ext.spectrogram.inversion.resample import to_sample_rate
from riffusion_ext.spectrogram.stft import working_rate
from riffusion_ext.spectrogram.threads import ThreadGroup
from tests.unit.magnitudes import mel_of_clip

FAST, BEST = PROGRAMS["fast"], PROGRAMS["best"]


def error(mel: torch.Tensor, signal: torch.Tensor, params: SpectrogramParams) -> float:
    """Return the mean absolute difference of the images, in levels."""
    again = mel_spectrogram(torch.from_numpy(to_sample_rate(signal.numpy(), params)), params)
    assert again.shape == mel.shape
    images = [255 * (x / mel.max()).clamp(0, 1) ** 0.25 for x in (mel, again)]
    return float((images[0] - images[1]).abs().mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_image_is_restored_and_best_is_more_accurate_than_fast(tune: Any, small: SpectrogramParams, seed: int) -> None:
    mel = mel_of_clip(tune(2.0, rate=16000, seed=seed), small)
    fast = error(mel, reconstruct(mel, small, FAST), small)
    best = error(mel, reconstruct(mel, small, BEST), small)
    assert fast < 3.6
    assert best < 0.5 * fast


def test_default_parameters_restore_the_image(tune: Any) -> None:
    params = SpectrogramParams()
    mel = mel_of_clip(tune(1.5), params)
    signal = reconstruct(mel, params, FAST)
    assert signal.shape == (1, (mel.shape[1] - 1) * 210)
    assert error(mel, signal, params) < 1.5


def test_level_is_kept_at_any_window_and_padding(tune: Any, small: SpectrogramParams) -> None:
    for window, padded in ((100, 200), (100, 100), (100, 150), (60, 400)):
        params = small.replace(window_duration_ms=window, padded_duration_ms=padded)
        clip = tune(2.0, rate=16000)
        signal = to_sample_rate(reconstruct(mel_of_clip(clip, params), params, FAST).numpy(), params)
        ours = AudioClip(signal / np.float32(32768), 16000)
        assert abs(20 * np.log10(ours.rms / clip.rms)) < 0.4


def test_reconstruction_is_deterministic(tune: Any, small: SpectrogramParams) -> None:
    mel = mel_of_clip(tune(1.2, rate=16000), small)
    assert torch.equal(reconstruct(mel, small, FAST), reconstruct(mel, small, FAST))


@pytest.mark.parametrize("exponent", [-100, -24, -1, 1, 10, 60])
def test_gain_by_power_of_two_is_exact_to_the_bit(exponent: int, tune: Any, small: SpectrogramParams) -> None:
    mel, gain = mel_of_clip(tune(1.2, rate=16000), small), 2.0**exponent
    one, other = reconstruct(mel, small, FAST), reconstruct(gain * mel, small, FAST)
    assert torch.equal(other, gain * one)


@pytest.mark.parametrize("exponent", [-5, 13])
def test_gain_by_power_of_two_is_exact_with_a_known_beginning(
    exponent: int, tune: Any, small: SpectrogramParams
) -> None:
    mel, gain = mel_of_clip(tune(1.2, rate=16000), small), 2.0**exponent
    signal = reconstruct(mel, small, FAST)
    share = torch.linspace(1.0, 0.0, 4800)
    one, other = (
        reconstruct(level * mel, small, FAST, known=Known(level * signal[:, :4800], share, 10)) for level in (1.0, gain)
    )
    assert torch.equal(other, gain * one)


def test_images_of_a_batch_do_not_affect_each_other(tune: Any, small: SpectrogramParams) -> None:
    mels = [mel_of_clip(tune(1.2, rate=16000, seed=seed), small) * 4**seed for seed in range(3)]
    mels.append(torch.zeros_like(mels[0]))
    together = reconstruct(torch.cat(mels), small, FAST)
    for alone, item in zip(mels[:3], together, strict=False):
        expected = reconstruct(alone, small, FAST)[0]
        assert item.numpy() == pytest.approx(expected.numpy(), abs=5e-3 * float(expected.abs().max()))
    assert float(together[3].abs().max()) < 1e-3


def test_input_magnitudes_are_not_changed(tune: Any, small: SpectrogramParams) -> None:
    mel = mel_of_clip(tune(1.2, rate=16000), small)
    before = mel.clone()
    reconstruct(mel, small, FAST)
    assert torch.equal(mel, before)


@pytest.mark.parametrize("kind", ["silence", "full", "noise", "half silent", "one cell"])
def test_extreme_magnitudes_give_finite_sound(kind: str, small: SpectrogramParams) -> None:
    mel = torch.zeros(1, 40, 96)
    if kind == "full":
        mel += 1e15
    elif kind == "noise":
        mel = 1e7 * torch.rand(1, 40, 96, generator=torch.Generator().manual_seed(1)) ** 8
    elif kind == "half silent":
        mel[:, :20] = 1e6
    elif kind == "one cell":
        mel[0, 20, 30] = 1e-6
    signal = reconstruct(mel, small, FAST)
    assert bool(torch.isfinite(signal).all())
    assert bool(signal.any()) is (kind != "silence")


def test_bands_between_the_bins_of_the_encoder_give_finite_sound() -> None:
    # 1 Hz wide each, with an FFT of 3.3 Hz: two thirds of the rows are white in any real image.
    params = SpectrogramParams(
        sample_rate=16000, window_duration_ms=200, padded_duration_ms=300, num_frequencies=33, min_frequency=67,
        max_frequency=100,
    )  # fmt: skip
    mel = 30e6 * torch.rand(1, 40, 33, generator=torch.Generator().manual_seed(1)) ** 4
    signal = reconstruct(mel, params, FAST)
    assert bool(torch.isfinite(signal).all())
    assert float(signal.abs().max()) < 30e6


def test_known_samples_are_kept_and_continued(tune: Any, small: SpectrogramParams) -> None:
    mel = mel_of_clip(tune(2.4, rate=16000), small)
    up, down = working_rate(small)
    hop = small.hop_length * up // down
    whole = reconstruct(mel, small, FAST)
    share = torch.ones(50 * hop)
    share[-4 * hop :] = torch.linspace(1, 0, 4 * hop)
    start = 100
    known = Known(whole[:, start * hop : (start + 50) * hop], share, 41)
    rest = reconstruct(mel[:, start:], small, FAST, known=known)
    scale = float(whole.abs().max())
    kept = slice(0, 46 * hop)
    assert rest[:, kept].numpy() == pytest.approx(known.signal[:, kept].numpy(), abs=1e-4 * scale)
    joined = torch.cat([whole[:, : start * hop], rest], dim=1)
    assert error(mel, joined, small) < 1.1 * error(mel, whole, small)
    # Without the known samples, the phases of the rest are unrelated, and the image breaks at the border.
    apart = torch.cat([whole[:, : (start + 23) * hop], reconstruct(mel[:, start:], small, FAST)[:, 23 * hop :]], dim=1)
    near = slice(start + 17, start + 29)

    def near_the_seam(signal: torch.Tensor) -> float:
        again = mel_spectrogram(torch.from_numpy(to_sample_rate(signal.numpy(), small)), small)
        images = [255 * (x[:, near] / mel.max()).clamp(0, 1) ** 0.25 for x in (mel, again)]
        return float((images[0] - images[1]).abs().mean())

    assert near_the_seam(joined) < 0.7 * near_the_seam(apart)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_iteration_reports_progress(name: str, small: SpectrogramParams) -> None:
    ticks: list[None] = []
    reconstruct(torch.rand(1, 20, 96), small, PROGRAMS[name], tick=lambda: ticks.append(None))
    assert len(ticks) == sum(stage.iterations for stage in PROGRAMS[name].stages)


def test_number_of_threads_changes_the_result_by_rounding_only(tune: Any, small: SpectrogramParams) -> None:
    mel = mel_of_clip(tune(2.0, rate=16000), small)
    alone = reconstruct(mel, small, FAST)
    with ThreadPoolExecutor(3) as pool:
        shared, again = (reconstruct(mel, small, FAST, threads=ThreadGroup(pool, 3)) for _ in range(2))
    assert torch.equal(shared, again)
    assert error(mel, shared, small) == pytest.approx(error(mel, alone, small), rel=0.05)
