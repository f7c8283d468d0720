"""Choosing the device, and falling back to the CPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.spectrogram import SpectrogramParams, codec
from riffusion_ext.spectrogram.codec import DecodeSettings, images_to_audio
from riffusion_ext.spectrogram.device import resolve_device, with_fallback

CPU = torch.device("cpu")
OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 20.00 GiB"


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake a CUDA device."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["auto", "cpu", "mps", "mps:0", "privateuseone", "privateuseone:0", "xpu", "xpu:0"])
def test_devices_without_complex_tensors_use_the_cpu(no_cuda: None, name: str) -> None:
    assert resolve_device(name) == CPU


@pytest.mark.parametrize(
    ("name", "expected"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), ("mps", "cpu"), ("cpu", "cpu")]
)
def test_cuda_is_used_when_available(cuda: None, name: str, expected: str) -> None:
    assert resolve_device(name) == torch.device(expected)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_missing_cuda_is_reported(no_cuda: None, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "riffusion"):
        assert resolve_device(name) == CPU
    assert "no CUDA device" in caplog.text


@pytest.mark.parametrize("name", ["banana", "", "cuda:first", "gpu", "CUDA", "cpu cuda"])
def test_unknown_device_name_is_refused(cuda: None, name: str) -> None:
    with pytest.raises(RiffusionError, match=f"must be auto, cpu, cuda, cuda:1 or another .* got '{name}'"):
        resolve_device(name)


def failing_on_cuda(error: BaseException) -> tuple[Callable[[torch.device], str], list[str]]:
    seen: list[str] = []

    def compute(device: torch.device) -> str:
        seen.append(device.type)
        if device.type == "cuda":
            raise error
        return "done"

    return compute, seen


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError(OUT_OF_MEMORY), RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR"), RuntimeError()],
)
def test_work_that_fails_on_the_gpu_is_done_on_the_cpu(error: RuntimeError, caplog: pytest.LogCaptureFixture) -> None:
    compute, seen = failing_on_cuda(error)
    with caplog.at_level(logging.WARNING, "riffusion"):
        assert with_fallback(torch.device("cuda"), compute) == "done"
    assert seen == ["cuda", "cpu"]
    assert (str(error) or "RuntimeError") in caplog.text


def test_failure_to_free_gpu_memory_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "empty_cache", refuse)
    compute, _ = failing_on_cuda(torch.cuda.OutOfMemoryError(OUT_OF_MEMORY))
    assert with_fallback(torch.device("cuda"), compute) == "done"


def test_other_errors_are_raised() -> None:
    compute, seen = failing_on_cuda(ValueError("a mistake"))
    with pytest.raises(ValueError, match="a mistake"):
        with_fallback(torch.device("cuda"), compute)
    assert seen == ["cuda"]


def test_errors_on_the_cpu_are_not_retried() -> None:
    seen: list[str] = []

    def compute(device: torch.device) -> None:
        seen.append(device.type)
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        with_fallback(CPU, compute)
    assert seen == ["cpu"]


def test_batch_that_exceeds_gpu_memory_sounds_as_on_the_cpu(
    cuda: None, monkeypatch: pytest.MonkeyPatch, small: SpectrogramParams
) -> None:
    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 256, (96, width), dtype=np.uint8)) for width in (30, 40, 30)]
    on_cpu = images_to_audio(images, DecodeSettings(params=small, device="cpu"))
    tried: list[tuple[str, int]] = []

    def together(sources: Any, settings: Any, tick: Any, device: torch.device, threads: Any) -> Any:
        tried.append((device.type, len(sources)))
        if device.type == "cuda":
            raise torch.cuda.OutOfMemoryError(OUT_OF_MEMORY)
        return real(sources, settings, tick, device, threads)

    real = codec._invert_batch
    monkeypatch.setattr(codec, "_invert_batch", together)
    fallen_back = images_to_audio(images, DecodeSettings(params=small, device="cuda"))
    # The two images of equal width are one batch on the GPU, and decoded singly on the CPU.
    assert tried == [("cuda", 2), ("cpu", 1), ("cpu", 1), ("cuda", 1), ("cpu", 1)]
    for ours, theirs in zip(fallen_back, on_cpu, strict=True):
        assert not isinstance(ours, Exception)
        assert not isinstance(theirs, Exception)
        np.testing.assert_allclose(ours.clip.samples, theirs.clip.samples, rtol=0, atol=1e-4, equal_nan=False)
