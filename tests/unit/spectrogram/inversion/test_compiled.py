"""The compiled spanning trees equal those of torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from riffusion_ext.spectrogram import SpectrogramParams
from riffusion_ext.spectrogram.inversion import kernels as module
from riffusion_ext.spectrogram.inversion import phase as phases
from riffusion_ext.spectrogram.inversion import spanning_tree
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS, reconstruct
from riffusion_ext.spectrogram.inversion.kernels import kernels
from riffusion_ext.spectrogram.inversion.phase import phase_from_magnitude
from riffusion_ext.spectrogram.stft import frame_grid
from riffusion_ext.spectrogram.threads import ThreadGroup
from tests.unit.magnitudes import mel_of_clip

CPU = torch.device("cpu")
GRID = frame_grid(SpectrogramParams(), 1, CPU)


@pytest.fixture
def compiled() -> Any:
    """Return the compiled functions; the test is skipped where numba is not installed."""
    pytest.importorskip("numba")
    found = kernels(CPU)
    assert found is not None, "numba is installed, but did not compile"
    return found


@contextmanager
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(phases, "kernels", lambda device: None)
        yield


def made(kind: str, shape: tuple[int, int, int] = (2, 60, 150)) -> torch.Tensor:
    """Return magnitudes whose cells have few equal neighbours, or many."""
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(3))
    return {
        "music": 1e6 * noise**6,
        "levels": torch.round(8 * noise) ** 4,
        "silent parts": torch.where(noise > 0.7, noise, 0.0),
        "constant": torch.ones(shape),
    }[kind]


def angle(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest angle between phases, in radians."""
    turns = (one - other) / (2 * np.pi)
    return float((turns - turns.round()).abs().max() * 2 * np.pi)


@pytest.mark.parametrize("kind", ["music", "levels", "silent parts", "constant"])
@pytest.mark.parametrize("known", [0, 12])
@pytest.mark.parametrize("size", [1, 3])
def test_phases_equal_those_of_torch(
    kind: str, known: int, size: int, compiled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    magnitude = made(kind, (2, 160, 150))
    turned = torch.rand((2, known, 150), generator=torch.Generator().manual_seed(4)) * 6.0
    past = torch.polar(magnitude[:, :known], turned) if known else None
    with ThreadPoolExecutor(size) as pool:
        threads = ThreadGroup(pool, size)
        ours = phase_from_magnitude(magnitude, GRID, past, threads=threads)
        with torch_alone(monkeypatch):
            theirs = phase_from_magnitude(magnitude, GRID, past, threads=threads)
    assert angle(ours, theirs) < 2e-3


@pytest.mark.parametrize("equal", [False, True])
def test_components_are_joined_as_by_torch(equal: bool, compiled: Any) -> None:
    generator = torch.Generator().manual_seed(5)
    u, v = torch.randint(0, 400, (2, 3000), generator=generator)
    apart = u != v
    u, v = u[apart], v[apart]
    step, weight = torch.rand((2, len(u)), generator=generator)
    weight = weight.mul(4).round() if equal else weight
    before = [x.clone() for x in (u, v, step, weight)]
    ours, theirs = (join(400, u, v, step, weight) for join in (compiled.join, spanning_tree.join))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-5, equal_nan=False)
    assert all(torch.equal(x, y) for x, y in zip(before, (u, v, step, weight), strict=True))


def test_nothing_to_join(compiled: Any) -> None:
    empty = torch.zeros(0)
    assert torch.equal(compiled.join(3, empty.long(), empty.long(), empty, empty), torch.zeros(3))


def test_sound_equals_that_of_torch(
    compiled: Any, monkeypatch: pytest.MonkeyPatch, tune: Any, small: SpectrogramParams
) -> None:
    mel = mel_of_clip(tune(1.2, rate=16000), small)
    ours = reconstruct(mel, small, PROGRAMS["fast"])
    with torch_alone(monkeypatch):
        theirs = reconstruct(mel, small, PROGRAMS["fast"])
    difference = float((ours - theirs).norm() / theirs.norm())
    assert 20 * np.log10(max(difference, 1e-12)) < -60


@pytest.fixture
def fresh() -> Iterator[None]:
    """Let the next call look for numba again, and the one after the test."""
    module._load.cache_clear()
    yield
    module._load.cache_clear()


def broken(name: str) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise SystemError(f"{name} does not fit this numpy")

    return fail


@pytest.mark.usefixtures("fresh")
def test_without_numba_torch_computes_the_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, f"{phases.__package__}.compiled", raising=False)
    assert kernels(CPU) is None
    assert bool(phase_from_magnitude(made("music"), GRID).isfinite().all())


@pytest.mark.usefixtures("fresh")
def test_a_numba_that_fails_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib, "import_module", broken("numba"))
    assert kernels(CPU) is None


def test_a_gpu_uses_torch() -> None:
    assert kernels(torch.device("cuda")) is None


@pytest.mark.parametrize("error", [RuntimeError("no folder"), EOFError("Ran out of input")])
def test_compiles_without_a_usable_cache(monkeypatch: pytest.MonkeyPatch, compiled: Any, error: Exception) -> None:
    import numba

    def njit(*_: object, cache: bool = False, **__: object) -> Callable[[Any], Any]:
        if cache:
            raise error
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled._compiled("f4(f4)")(abs) is abs
