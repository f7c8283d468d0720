"""Phase from magnitude: the maximum spanning tree, and signals of known phase."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.spectrogram.inversion import phase as phase_module
from riffusion_ext.spectrogram.inversion.phase import phase_from_magnitude
from riffusion_ext.spectrogram.stft import FrameGrid
from riffusion_ext.spectrogram.threads import ThreadGroup

GAMMA, FLOOR, TIE = 0.25645, 1e-8, 0.2


def grid_of(hop: int = 20, win: int = 200, oversampling: int = 2) -> FrameGrid:
    window = torch.nn.functional.pad(torch.hann_window(win), (0, -win % hop))
    return FrameGrid(2000.0, hop, win, win * oversampling, window)


GRID = grid_of()


@pytest.fixture(scope="module", params=["torch", "numba"], autouse=True)
def implementation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test with torch alone, and with numba where it is installed."""
    if request.param == "numba":
        pytest.importorskip("numba")
        yield
        return
    with mock.patch.object(phase_module, "kernels", return_value=None):
        yield


@pytest.fixture(scope="module")
def crews() -> Iterator[list[ThreadGroup]]:
    """Yield crews of one to three threads that split even the smallest grids."""
    with ThreadPoolExecutor(3) as pool:
        yield [Eager(pool, size) for size in (1, 2, 3)]


class Eager(ThreadGroup):
    """A crew that splits even a few frames."""

    def shares(self, frames: int) -> list[tuple[int, int]]:
        size = max(1, min(self.size, frames // 2))
        return list(pairwise(frames * i // size for i in range(size + 1)))


# The spanning tree, compared with Kruskal's


Edge = tuple[float, int, int, float]  # weight, from, to, phase from the one to the other


def edges_of(magnitude: np.ndarray, grid: FrameGrid) -> list[Edge]:
    """Return the edges of a grid [T, K] by their definition: Prusa's gradients between all neighbours."""
    frames, bins = magnitude.shape
    log = np.log(magnitude.astype(np.float64) + FLOOR * max(float(magnitude.max()), 1e-30))
    gamma = GAMMA * grid.win_length**2
    ratio = grid.hop_length * grid.n_fft / gamma
    along_frequency, along_time = np.zeros_like(log), np.zeros_like(log)
    along_frequency[:, 1:-1] = (log[:, 2:] - log[:, :-2]) / 2 * ratio
    along_time[1:-1] = -(log[2:] - log[:-2]) / 2 / ratio
    edges: list[Edge] = []
    for t in range(frames):
        for k in range(bins):
            # Relative to the middle of the window, where an event has no phase slope along frequency.
            neighbours = []
            if t + 1 < frames:
                turn = 2 * math.pi * k * grid.hop_length / grid.n_fft
                neighbours.append((t + 1, k, (along_frequency[t, k] + along_frequency[t + 1, k]) / 2 + turn))
            if k + 1 < bins:
                middle = -2 * math.pi * grid.half / grid.n_fft
                neighbours.append((t, k + 1, (along_time[t, k] + along_time[t, k + 1]) / 2 + middle))
            for other_t, other_k, phase in neighbours:
                a, b = sorted((log[t, k], log[other_t, other_k]))
                edges.append((a + TIE * b, t * bins + k, other_t * bins + other_k, phase))
    return edges


def heaviest_tree(nodes: int, edges: list[Edge]) -> tuple[float, int]:
    """Return the weight of the maximum spanning forest and its number of edges, by Kruskal's algorithm."""
    parent = list(range(nodes))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    total, count = 0.0, 0
    for weight, u, v, _ in sorted(edges, key=lambda edge: -edge[0]):
        if (a := root(u)) != (b := root(v)):
            parent[a] = b
            total, count = total + weight, count + 1
    return total, count


def turns_apart(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """Return the distance of two phases in radians, modulo whole turns."""
    return np.abs((np.asarray(a) - b + math.pi) % (2 * math.pi) - math.pi)


def assert_spanning(magnitude: np.ndarray, phase: np.ndarray, grid: FrameGrid) -> None:
    """Check that the edges consistent with the phase contain a spanning tree of maximum weight."""
    flat, edges = phase.ravel(), edges_of(magnitude, grid)
    obeyed = [edge for edge in edges if turns_apart(flat[edge[2]] - flat[edge[1]], edge[3]) < 2e-3]
    weight, count = heaviest_tree(flat.size, obeyed)
    assert count == flat.size - 1
    assert weight == pytest.approx(heaviest_tree(flat.size, edges)[0], rel=1e-5, abs=1e-3)


shapes = st.tuples(st.integers(1, 2), st.integers(2, 9), st.integers(2, 9))


@settings(max_examples=80, deadline=None)
@given(shape=shapes, seed=st.integers(0, 10_000), size=st.integers(0, 2))
def test_phases_follow_the_heaviest_spanning_tree(
    crews: list[ThreadGroup], shape: tuple[int, int, int], seed: int, size: int
) -> None:
    magnitude = np.random.default_rng(seed).lognormal(0, 1.5, shape).astype(np.float32)
    phase = phase_from_magnitude(torch.from_numpy(magnitude), GRID, threads=crews[size]).numpy()
    for one, phases in zip(magnitude, phase, strict=True):
        assert_spanning(one, phases, GRID)


@settings(max_examples=80, deadline=None)
@given(
    shape=shapes,
    levels=st.integers(1, 3),
    silent=st.floats(0, 0.9),
    seed=st.integers(0, 10_000),
    size=st.integers(0, 2),
)
def test_ties_and_silence_give_a_heaviest_spanning_tree(
    crews: list[ThreadGroup], shape: tuple[int, int, int], levels: int, silent: float, seed: int, size: int
) -> None:
    rng = np.random.default_rng(seed)
    magnitude = (2.0 ** rng.integers(0, levels, shape) * (rng.random(shape) >= silent)).astype(np.float32)
    phase = phase_from_magnitude(torch.from_numpy(magnitude), GRID, threads=crews[size]).numpy()
    for one, phases in zip(magnitude, phase, strict=True):
        assert_spanning(one, phases, GRID)


@pytest.mark.parametrize("level", [0.0, 1e-30, 1.0, 1e12])
@pytest.mark.parametrize("shape", [(1, 1, 7), (1, 7, 1), (2, 40, 30)])
def test_constant_magnitudes_give_finite_phase(level: float, shape: tuple[int, int, int]) -> None:
    phase = phase_from_magnitude(torch.full(shape, level), GRID)
    assert phase.shape == shape
    assert bool(torch.isfinite(phase).all())


@settings(max_examples=60, deadline=None)
@given(shape=shapes, value=st.sampled_from([math.nan, math.inf, -1.0]), share=st.floats(0, 1), seed=st.integers(0, 999))
def test_non_finite_and_negative_magnitudes_terminate(
    shape: tuple[int, int, int], value: float, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    magnitude = torch.from_numpy(np.where(rng.random(shape) < share, value, rng.random(shape)).astype(np.float32))
    assert phase_from_magnitude(magnitude, GRID).shape == shape


def test_images_of_a_batch_do_not_affect_each_other() -> None:
    magnitude = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(1))
    magnitude[1] *= 1e6
    magnitude[2, :, 10:] = 0
    together = phase_from_magnitude(magnitude, GRID)
    for number in range(3):
        alone = phase_from_magnitude(magnitude[number : number + 1], GRID)[0]
        # The phase of the first cell of a tree is arbitrary; all others are relative to it.
        shift = together[number] - alone
        assert turns_apart(shift.numpy(), float(shift[0, 0])).max() < 1e-3


def test_number_of_threads_does_not_change_the_phase(crews: list[ThreadGroup]) -> None:
    magnitude = torch.rand(2, 50, 30, generator=torch.Generator().manual_seed(1)) ** 4
    one, two, three = (phase_from_magnitude(magnitude, GRID, threads=crew) for crew in crews)
    for other in (two, three):
        shift = (other - one).numpy()
        assert turns_apart(shift, shift[:, :1, :1]).max() < 1e-3


def test_gain_does_not_change_the_phase() -> None:
    magnitude = torch.rand(1, 20, 30, generator=torch.Generator().manual_seed(1))
    quiet, loud = (phase_from_magnitude(gain * magnitude, GRID).numpy() for gain in (2.0**-20, 2.0**10))
    assert turns_apart(quiet, loud).max() < 1e-3


# Known frames


@pytest.mark.parametrize("frames", [1, 3, 10, 19, 20])
@pytest.mark.parametrize("size", [0, 1, 2])
def test_known_frames_keep_their_phase_and_anchor_the_others(crews: list[ThreadGroup], frames: int, size: int) -> None:
    rng = np.random.default_rng(frames)
    magnitude = rng.lognormal(0, 1.5, (2, 20, 9)).astype(np.float32)
    given_phase = rng.uniform(-9, 9, (2, frames, 9))
    known = torch.from_numpy(np.exp(1j * given_phase).astype(np.complex64))
    phase = phase_from_magnitude(torch.from_numpy(magnitude), GRID, known, threads=crews[size]).numpy()
    assert turns_apart(phase[:, :frames], given_phase).max() < 1e-4
    for one, phases in zip(magnitude, phase, strict=True):
        # With the known frames as one node, the tree has maximum weight again.
        edges = [
            (
                weight,
                max(u - 9 * frames, -1),
                max(v - 9 * frames, -1),
                turns_apart(phases.flat[v] - phases.flat[u], step),
            )
            for weight, u, v, step in edges_of(one, GRID)
        ]
        free = [edge for edge in edges if edge[2] >= 0]
        nodes = 9 * (20 - frames) + 1
        best, count = heaviest_tree(nodes, [edge for edge in free if edge[3] < 2e-3])
        assert count == nodes - 1
        assert best == pytest.approx(heaviest_tree(nodes, free)[0], rel=1e-5, abs=1e-3)


# Signals whose phase is known


def spectra_of(signal: np.ndarray, grid: FrameGrid, frames: int) -> torch.Tensor:
    return grid.analyse(grid.frames(grid.pad(torch.from_numpy(signal.astype(np.float32))[None], frames)))


def error_where_loud(spectra: torch.Tensor, grid: FrameGrid, db: float) -> np.ndarray:
    """Return the phase errors in radians of all cells within `db` of the loudest, up to a common phase."""
    phase = phase_from_magnitude(spectra.abs(), grid)
    error = (phase - spectra.angle()).numpy()
    magnitude = spectra.abs().numpy()
    loud = magnitude > magnitude.max() * 10 ** (-db / 20)
    free = np.angle(np.exp(1j * error[loud]).sum())
    return turns_apart(error[loud], free)


@pytest.mark.parametrize("frequency", [200.0, 203.0, 207.5, 611.0])
def test_phase_of_a_steady_sinusoid_is_accurate(frequency: float) -> None:
    frames = 60
    time = np.arange((frames - 1) * 20) / 2000
    spectra = spectra_of(np.sin(2 * np.pi * frequency * time + 1.0), GRID, frames)[:, 8:-8]
    assert error_where_loud(spectra, GRID, db=12).max() < 0.6


@pytest.mark.parametrize(("position", "within"), [(600, 1e-3), (603, 1.0), (607, 1.5), (613, 1.5)])
def test_click_keeps_its_position(position: int, within: float) -> None:
    signal = np.zeros(59 * 20)
    signal[position] = 1.0
    magnitude = spectra_of(signal, GRID, 60).abs()
    phase = phase_from_magnitude(magnitude, GRID).numpy()[0]
    for frame in range(27, 34):
        slope = np.angle(np.exp(1j * np.diff(phase[frame])).sum())  # of a click: 2 pi / n_fft for each sample of delay
        delay = -slope * GRID.n_fft / (2 * math.pi) % GRID.n_fft
        assert frame * GRID.hop_length - GRID.half + delay == pytest.approx(position, abs=within)


def test_phase_of_a_gliding_tone_is_accurate() -> None:
    frames = 80
    time = np.arange((frames - 1) * 20) / 2000
    spectra = spectra_of(np.sin(2 * np.pi * (150 * time + 400 * time**2)), GRID, frames)[:, 8:-8]
    assert np.median(error_where_loud(spectra, GRID, db=12)) < 0.3


def test_estimated_phase_is_better_than_random_on_noise() -> None:
    frames = 60
    spectra = spectra_of(np.random.default_rng(1).standard_normal((frames - 1) * 20), GRID, frames)
    magnitude = spectra.abs()

    def consistency(phase: torch.Tensor) -> float:
        out = GRID.synthesise(torch.polar(magnitude, phase)) * GRID.normaliser(frames)
        GRID.reflect(out, frames)
        again = GRID.analyse(GRID.frames(out)).abs()
        return float((again - magnitude).norm() / magnitude.norm())

    random = 2 * math.pi * torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(1))
    assert consistency(phase_from_magnitude(magnitude, GRID)) < 0.75 * consistency(random)
