"""No float64 is used on the device, because Apple's MPS refuses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from riffusion_ext.host.model.conditioning import mix_embeddings
from riffusion_ext.host.model.noise import MixedNoise, slerp
from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.encode import mel_spectrogram
from riffusion_ext.spectrogram.inversion import phase
from riffusion_ext.spectrogram.inversion.blocks import reconstruct_long
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS, reconstruct
from riffusion_ext.spectrogram.inversion.loop import reconstruct_loop
from tests.unit.no_float64 import DEVICE, Device, OnDevice, on_device

PARAMS = SpectrogramParams()
QUICK = replace(PROGRAMS["fast"], stages=tuple(replace(stage, iterations=1) for stage in PROGRAMS["fast"].stages))


@pytest.fixture
def device() -> Iterator[None]:
    with torch.no_grad(), Device():
        yield


def test_fake_device_refuses_only_float64(device: None) -> None:
    tensor = on_device(torch.ones(2, 3))
    assert isinstance(tensor * 2, OnDevice)
    assert (tensor + 1).sum().cpu().item() == 12
    for make in (
        tensor.double,
        lambda: torch.zeros(2, dtype=torch.float64, device=DEVICE),
        lambda: torch.tensor(np.ones(2), device=DEVICE),
        lambda: torch.from_numpy(np.ones(2)).to(DEVICE),
        lambda: tensor.to(torch.complex128),
        lambda: tensor.sum(dtype=torch.float64),
    ):
        with pytest.raises(TypeError, match=r"float64|complex128"):
            make()
    assert torch.from_numpy(np.ones(2)).to(DEVICE, torch.float32).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_noises_are_mixed_in_float64_and_returned_in_the_type_of_the_device(device: None, dtype: torch.dtype) -> None:
    a, b = (torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(seed)).to(dtype) for seed in (1, 2))
    mixed = slerp(on_device(a), on_device(b), 0.3)
    assert isinstance(mixed, OnDevice)
    assert (mixed.dtype, mixed.shape) == (dtype, a.shape)
    x, y = a.double().flatten(), b.double().flatten()
    angle = math.acos(float(x @ y / (x.norm() * y.norm())))
    expected = (math.sin(0.7 * angle) * x + math.sin(0.3 * angle) * y) / math.sin(angle)
    assert torch.equal(mixed.cpu(), expected.reshape(a.shape).to(dtype))


def test_nearly_equal_noises_are_mixed_on_the_device(device: None) -> None:
    a = torch.randn(4, 8, 8)
    assert torch.allclose(slerp(on_device(a), on_device(a * 1.001), 0.5).cpu(), a * 1.0005)


def test_noise_of_a_batch_stays_on_the_device(device: None) -> None:
    class Noise:
        def next(self) -> torch.Tensor:
            return on_device(torch.randn(2, 4, 8, 8))

    mixed = MixedNoise(Noise(), Noise(), [0.25, 1.0]).next()
    assert isinstance(mixed, OnDevice)
    assert mixed.shape == (2, 4, 8, 8)


def test_prompts_are_mixed_on_the_device(device: None) -> None:
    mixed = mix_embeddings(on_device(torch.ones(77, 8)), on_device(torch.zeros(154, 8)), 0.25)
    assert torch.equal(mixed.cpu(), torch.full((154, 8), 0.75))


def _loud(frames: int) -> torch.Tensor:
    return 1e6 * torch.rand(1, frames, PARAMS.num_frequencies, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "invert",
    [
        lambda mel: reconstruct(mel, PARAMS, QUICK).cpu().numpy(),
        lambda mel: reconstruct_long(lambda start, stop: mel[:, start:stop], mel.shape[1], PARAMS, QUICK),
        lambda mel: reconstruct_loop(mel, PARAMS, QUICK),
        lambda mel: mel_spectrogram(1e3 * mel[0, :40].flatten()[None], PARAMS).cpu().numpy(),
    ],
    ids=["reconstruct", "reconstruct_long", "reconstruct_loop", "mel_spectrogram"],
)
def test_images_and_sound_need_no_float64(
    invert: Callable[[torch.Tensor], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phase, "kernels", lambda device: None)  # other rounding, which noise amplifies
    expected = invert(_loud(64))
    with torch.no_grad(), Device():
        found = invert(on_device(_loud(64)))
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
