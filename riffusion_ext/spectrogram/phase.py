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
_NONE = -1e30  # loudness of an edge that leads out of the picture
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
    steps = _steps(log, grid)
    weights = _loudness(log)
    centre = _centre(grid, bins, magnitude.device)

    parent, delta = _loudest_neighbour(steps, weights)
    start = None
    if known is not None:
        # The cells of the known frames hang from the picture's first cell, at the distance their phases have.
        relative = torch.angle(known) - centre
        start = relative[:, :1, :1]
        first = torch.arange(batch, device=log.device, dtype=torch.int32).view(-1, 1, 1) * (frames * bins)
        parent[:, : known.shape[1]] = first
        delta[:, : known.shape[1]] = relative - start
    component, delta, count = _contract(parent.view(-1), delta.view(-1))
    offset = _join(count, *_boundary(component, delta, steps, weights))
    phase = offset.index_select(0, component).add_(delta).view_as(log)
    if start is not None:
        phase = torch.add(phase, start - phase[:, :1, :1])
    return torch.add(phase, centre)


def _centre(grid: FrameGrid, bins: int, device: torch.device) -> torch.Tensor:
    """Phase of an event in the middle of the window at each bin [K]: phases refer to the start of the frame."""
    return torch.arange(bins, device=device).mul(-2 * math.pi * grid.half / grid.n_fft)


def _steps(log: torch.Tensor, grid: FrameGrid) -> tuple[torch.Tensor, torch.Tensor]:
    """Phase from each cell to the next frame's and, beyond `_centre`, to the next bin's: two of [B, T, K].

    Whole turns are left out, so that sums over a whole picture stay exact to about 1e-4 rad. The last frame's and
    the last bin's lead nowhere and are never read.
    """
    turns = torch.arange(log.shape[-1], device=log.device).mul_(grid.hop_length).remainder_(grid.n_fft).div(grid.n_fft)
    advance = (turns - turns.round()) * (2 * math.pi)
    gamma = _HANN_GAMMA * grid.win_length**2
    along_frequency = torch.zeros_like(log)
    torch.sub(log[..., 2:], log[..., :-2], out=along_frequency[..., 1:-1])
    to_frame = torch.zeros_like(log)
    torch.add(along_frequency[:, 1:], along_frequency[:, :-1], out=to_frame[:, :-1])
    to_frame.mul_(0.25 * grid.hop_length * grid.n_fft / gamma).add_(advance)
    along_time = torch.zeros_like(log)
    torch.sub(log[:, :-2], log[:, 2:], out=along_time[:, 1:-1])
    to_bin = torch.zeros_like(log)
    torch.add(along_time[..., 1:], along_time[..., :-1], out=to_bin[..., :-1])
    return to_frame, to_bin.mul_(0.25 * gamma / (grid.hop_length * grid.n_fft))


def _loudness(log: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loudness of the edge from each cell to the next frame's, and to the next bin's: two of [B, T, K]."""
    to_frame, to_bin = torch.full_like(log, _NONE), torch.full_like(log, _NONE)
    for edge, a, b in (
        (to_frame[:, :-1], log[:, 1:], log[:, :-1]),
        (to_bin[..., :-1], log[..., 1:], log[..., :-1]),
    ):
        torch.add(torch.minimum(a, b), torch.maximum(a, b), alpha=_TIE, out=edge)
    return to_frame, to_bin


def _loudest_neighbour(
    steps: tuple[torch.Tensor, torch.Tensor], weights: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hang every cell from its loudest neighbour: index of it (int32) and phase relative to it, both [B, T, K].

    Equal weights are broken in the order next frame, previous frame, next bin, previous bin. That is a strict order
    of all edges, so the only cycles are pairs that chose each other; in each, the first cell becomes a root.
    """
    frame_step, bin_step = steps
    shape = frame_step.shape
    cell = torch.arange(frame_step.numel(), device=frame_step.device, dtype=torch.int32).view(shape)
    by_frame = _louder_side(frame_step, weights[0], shape[-1], dim=1)
    by_bin = _louder_side(bin_step, weights[1], 1, dim=2)
    across = by_bin[0] > by_frame[0]
    parent = torch.where(across, by_bin[1], by_frame[1]).add_(cell)
    return _break_pairs(cell.view(-1), parent.view(-1), torch.where(across, by_bin[2], by_frame[2]).view(-1), shape)


def _louder_side(
    step: torch.Tensor, weight: torch.Tensor, distance: int, *, dim: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of the next and the previous neighbour, the louder edge: its weight, where it leads, and the phase from there."""
    previous_weight, previous_step = torch.full_like(weight, _NONE), torch.zeros_like(step)
    length = weight.shape[dim] - 1
    previous_weight.narrow(dim, 1, length).copy_(weight.narrow(dim, 0, length))
    previous_step.narrow(dim, 1, length).copy_(step.narrow(dim, 0, length))
    back = previous_weight > weight
    jump = torch.where(back, -distance, distance).to(torch.int32)
    return torch.maximum(weight, previous_weight), jump, torch.where(back, previous_step, -step)


def _break_pairs(
    node: torch.Tensor, parent: torch.Tensor, delta: torch.Tensor, shape: torch.Size | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of two nodes that chose each other, make the first a root."""
    root = (parent.index_select(0, parent) == node) & (node <= parent)
    parent, delta = torch.where(root, node, parent), delta.masked_fill_(root, 0.0)
    return (parent, delta) if shape is None else (parent.view(shape), delta.view(shape))


def _contract(parent: torch.Tensor, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Follow every node to its root by pointer doubling.

    Returns the component of each node, numbered from 0, its phase relative to the component's root, and their number.
    """
    while True:
        grandparent = parent.index_select(0, parent)
        if torch.equal(grandparent, parent):
            break
        delta = delta + delta.index_select(0, parent)
        parent = grandparent
    root = torch.eq(parent, torch.arange(parent.shape[0], device=parent.device, dtype=parent.dtype))
    number = torch.cumsum(root, 0, dtype=torch.int32).sub_(1)
    return number.index_select(0, parent), delta, int(number[-1]) + 1


def _boundary(
    component: torch.Tensor,
    delta: torch.Tensor,
    steps: tuple[torch.Tensor, torch.Tensor],
    weights: tuple[torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edges between components: from, to, phase of the one root relative to the other, loudness; each [E]."""
    grid = component.view_as(steps[0])
    parts = []
    for dim, step, weight in ((1, steps[0], weights[0]), (2, steps[1], weights[1])):
        length = grid.shape[dim] - 1
        border = torch.zeros_like(grid, dtype=torch.bool)
        torch.ne(grid.narrow(dim, 0, length), grid.narrow(dim, 1, length), out=border.narrow(dim, 0, length))
        cell = border.view(-1).nonzero().squeeze(1)
        neighbour = cell + grid.stride(dim)
        phase = step.view(-1).index_select(0, cell) + delta.index_select(0, cell) - delta.index_select(0, neighbour)
        ends = component.index_select(0, cell).long(), component.index_select(0, neighbour).long()
        parts.append((*ends, phase, weight.view(-1).index_select(0, cell)))
    u, v, phase, weight = (torch.cat(pair) for pair in zip(*parts, strict=True))
    return u, v, phase, weight


def _join(count: int, u: torch.Tensor, v: torch.Tensor, step: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Join components along their loudest edges until none is left: the phase of each component's root [count]."""
    levels = []
    if u.shape[0]:
        # Loudness in the upper 32 bits (the bits of a positive float rise with it), the edge's number in the lower.
        weight = (weight - weight.min()).view(torch.int32).long() << 32
    while u.shape[0]:
        key = weight | torch.arange(u.shape[0], device=u.device)
        best = torch.full((count,), -1, dtype=torch.int64, device=u.device)
        best.scatter_reduce_(0, u, key, "amax").scatter_reduce_(0, v, key, "amax")
        alone, best = torch.lt(best, 0), best.clamp_min_(0) & 0xFFFFFFFF
        node = torch.arange(count, device=u.device)
        from_u, from_v = u.index_select(0, best), v.index_select(0, best)
        is_u = torch.eq(from_u, node)
        parent = torch.where(alone, node, torch.where(is_u, from_v, from_u))
        phase = step.index_select(0, best)
        delta = torch.where(is_u, -phase, phase).masked_fill_(alone, 0.0)
        component, delta, count = _contract(*_break_pairs(node, parent, delta))
        levels.append((component, delta))
        step = step + delta.index_select(0, u) - delta.index_select(0, v)
        u, v = component.index_select(0, u).long(), component.index_select(0, v).long()
        between = torch.ne(u, v).nonzero().squeeze(1)
        u, v, step, weight = (x.index_select(0, between) for x in (u, v, step, weight))
    offset = torch.zeros(count, device=u.device)
    for component, delta in reversed(levels):
        offset = offset.index_select(0, component).add_(delta)
    return offset
