"""Phase from magnitude by gradient heap integration, as a minimum spanning tree computed in parallel.

For a Gaussian window, and nearly for a Hann window, the phase's partial derivatives follow from those of the log
magnitude. Prusa, Balazs and Sondergaard ("A Noniterative Method for Reconstruction of Phase From STFT Magnitude",
IEEE/ACM TASLP 25(5), 2017) integrate them along the loudest path with a heap, cell after cell. The loudest path is a
maximum spanning tree of the time-frequency grid, and a spanning tree can also be grown everywhere at once: Boruvka's
algorithm (1926) lets every component join its loudest neighbour, round after round, about ten times. That is plain
tensor arithmetic: no compiler, and it runs on a GPU.
"""

from __future__ import annotations

import math

import torch

from riffusion_ext.spectrogram.stft import FrameGrid

__all__ = ["phase_from_magnitude"]

_HANN_GAMMA = 0.25645  # Gaussian of the same width as a Hann window: gamma = 0.25645 * win_length ** 2 (Prusa, 2017)
_FLOOR = 1e-8  # relative magnitude under which a cell is taken for silence
_TIE = 0.2  # an edge is as loud as its quieter cell, and a fifth of its louder one


def phase_from_magnitude(magnitude: torch.Tensor, grid: FrameGrid, known: torch.Tensor | None = None) -> torch.Tensor:
    """Estimate the phase of each cell.

    Parameters
    ----------
    magnitude : torch.Tensor [shape=(B, T, K), non-negative]
        Magnitudes on the lowest K bins of the grid.
    grid
        The grid they lie on.
    known : torch.Tensor [shape=(B, F, K), complex], optional
        Spectra of the first F frames, whose phase is kept and from which the others follow.

    Returns
    -------
    torch.Tensor [shape=(B, T, K)]
        Phase in radians, relative to the start of each frame.
    """
    batch, frames, bins = magnitude.shape
    log = torch.log(magnitude + _FLOOR * magnitude.amax(dim=(1, 2), keepdim=True).clamp_min(1e-30))
    time_step, frequency_step = _steps(log, grid)
    time_weight, frequency_weight = _loudness(log[:, 1:], log[:, :-1]), _loudness(log[..., 1:], log[..., :-1])
    centre = _centre(grid, bins, magnitude.device)

    parent, delta = _loudest_neighbour(time_step, frequency_step, time_weight, frequency_weight)
    start = None
    if known is not None:
        # The cells of the known frames hang from the picture's first cell, at the distance their phases have.
        relative = torch.angle(known) - centre
        start = relative[:, :1, :1]
        first = torch.arange(batch, device=log.device).view(-1, 1, 1) * (frames * bins)
        parent[:, : known.shape[1]] = first
        delta[:, : known.shape[1]] = relative - start
    component, delta, count = _contract(parent.view(-1), delta.view(-1))

    component, delta = component.view_as(log), delta.view_as(log)
    u, v, step, weight = _boundary(component, delta, time_step, frequency_step, time_weight, frequency_weight)
    order = torch.argsort(weight)
    offset = _join(count, u[order], v[order], step[order])
    phase = offset[component] + delta
    if start is not None:
        phase += start - phase[:, :1, :1]
    return phase.add_(centre)


def _centre(grid: FrameGrid, bins: int, device: torch.device) -> torch.Tensor:
    """Phase of an event in the middle of the window at each bin [K]: phases refer to the start of the frame."""
    return torch.arange(bins, device=device) * (-2 * math.pi * grid.half / grid.n_fft)


def _steps(log: torch.Tensor, grid: FrameGrid) -> tuple[torch.Tensor, torch.Tensor]:
    """Phase from frame to frame [B, T - 1, K], and, beyond `_centre`, from bin to bin [B, T, K - 1].

    Whole turns are left out, so that sums over a whole picture stay exact to about 1e-4 rad.
    """
    turns = torch.arange(log.shape[-1], device=log.device) * grid.hop_length % grid.n_fft / grid.n_fft
    advance = (turns - turns.round()) * (2 * math.pi)
    gamma = _HANN_GAMMA * grid.win_length**2
    along_frequency = torch.zeros_like(log)
    along_frequency[..., 1:-1] = (log[..., 2:] - log[..., :-2]) * (0.5 * grid.hop_length * grid.n_fft / gamma)
    along_time = torch.zeros_like(log)
    along_time[:, 1:-1] = (log[:, :-2] - log[:, 2:]) * (0.5 * gamma / (grid.hop_length * grid.n_fft))
    time_step = (along_frequency[:, 1:] + along_frequency[:, :-1]).mul_(0.5).add_(advance)
    frequency_step = (along_time[..., 1:] + along_time[..., :-1]).mul_(0.5)
    return time_step, frequency_step


def _loudness(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.minimum(a, b).add_(torch.maximum(a, b), alpha=_TIE)


def _loudest_neighbour(
    time_step: torch.Tensor, frequency_step: torch.Tensor, time_weight: torch.Tensor, frequency_weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hang every cell from its loudest neighbour: index of it [B, T, K] and phase relative to it.

    Equal weights are broken in the order next frame, previous frame, next bin, previous bin. That is a strict order
    of all edges, so the only cycles are pairs that chose each other; in each, the first cell becomes a root.
    """
    batch, rows, bins = frequency_step.shape[0], frequency_step.shape[1], time_step.shape[2]
    none = -1e30
    pad = torch.nn.functional.pad
    best = pad(time_weight, (0, 0, 0, 1), value=none)
    delta = pad(-time_step, (0, 0, 0, 1))
    jump = torch.full_like(best, bins, dtype=torch.int64)
    for weight, value, distance in (
        (pad(time_weight, (0, 0, 1, 0), value=none), pad(time_step, (0, 0, 1, 0)), -bins),
        (pad(frequency_weight, (0, 1), value=none), pad(-frequency_step, (0, 1)), 1),
        (pad(frequency_weight, (1, 0), value=none), pad(frequency_step, (1, 0)), -1),
    ):
        louder = weight > best
        best = torch.where(louder, weight, best)
        delta = torch.where(louder, value, delta)
        jump.masked_fill_(louder, distance)
    cell = torch.arange(batch * rows * bins, device=best.device).view_as(jump)
    return _break_pairs(cell, jump.add_(cell), delta)


def _break_pairs(node: torch.Tensor, parent: torch.Tensor, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of two nodes that chose each other, make the first a root."""
    root = (parent.view(-1)[parent] == node) & (node <= parent)
    return torch.where(root, node, parent), delta.masked_fill(root, 0.0)


def _contract(parent: torch.Tensor, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Follow every node to its root by pointer doubling.

    Returns the component of each node, numbered from 0, its phase relative to the component's root, and their number.
    """
    while True:
        grandparent = parent[parent]
        if torch.equal(grandparent, parent):
            break
        delta = delta + delta[parent]
        parent = grandparent
    root = torch.eq(parent, torch.arange(parent.shape[0], device=parent.device))
    number = torch.cumsum(root, 0) - 1
    return number[parent], delta, int(number[-1]) + 1


def _boundary(
    component: torch.Tensor,
    delta: torch.Tensor,
    time_step: torch.Tensor,
    frequency_step: torch.Tensor,
    time_weight: torch.Tensor,
    frequency_weight: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edges between components: from, to, phase of the one root relative to the other, loudness; each [E]."""
    across = component[:, 1:] != component[:, :-1]
    along = component[..., 1:] != component[..., :-1]
    u = torch.cat([component[:, :-1][across], component[..., :-1][along]])
    v = torch.cat([component[:, 1:][across], component[..., 1:][along]])
    step = torch.cat(
        [
            (time_step + delta[:, :-1] - delta[:, 1:])[across],
            (frequency_step + delta[..., :-1] - delta[..., 1:])[along],
        ]
    )
    return u, v, step, torch.cat([time_weight[across], frequency_weight[along]])


def _join(count: int, u: torch.Tensor, v: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Join components along their loudest edges until none is left: the phase of each component's root [count].

    Edges come in rising order of loudness and stay in it, so that an edge's position is its rank.
    """
    levels = []
    while u.shape[0]:
        rank = torch.arange(u.shape[0], device=u.device)
        best = torch.full((count,), -1, dtype=torch.int64, device=u.device)
        best.scatter_reduce_(0, u, rank, "amax").scatter_reduce_(0, v, rank, "amax")
        alone, best = best < 0, best.clamp_min_(0)
        node = torch.arange(count, device=u.device)
        is_u = torch.eq(u[best], node)
        parent = torch.where(alone, node, torch.where(is_u, v[best], u[best]))
        delta = torch.where(is_u, -step[best], step[best]).masked_fill_(alone, 0.0)
        component, delta, count = _contract(*_break_pairs(node, parent, delta))
        levels.append((component, delta))
        step = step + delta[u] - delta[v]
        u, v = component[u], component[v]
        between = u != v
        u, v, step = u[between], v[between], step[between]
    offset = torch.zeros(count, device=u.device)
    for component, delta in reversed(levels):
        offset = offset[component] + delta
    return offset
