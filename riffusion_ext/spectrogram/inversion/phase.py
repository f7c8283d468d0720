"""Phase from magnitude by phase gradient heap integration, as a maximum spanning tree computed in parallel.

For a Gaussian window, and nearly for a Hann window, the phase's partial derivatives follow from those of the log
magnitude. Prusa, Balazs and Sondergaard ("A Noniterative Method for Reconstruction of Phase From STFT Magnitude",
IEEE/ACM TASLP 25(5), 2017) integrate them along the loudest path with a heap, cell by cell. The loudest paths form a
maximum spanning tree of the time-frequency grid, which can also be built in parallel: in Boruvka's algorithm (1926)
every component joins its loudest neighbour, in about ten rounds. This is plain tensor arithmetic: it requires no
compiler, and runs on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import torch

from riffusion_ext.spectrogram.inversion import spanning_tree
from riffusion_ext.spectrogram.inversion.kernels import kernels
from riffusion_ext.spectrogram.inversion.spanning_tree import break_pairs, contract
from riffusion_ext.spectrogram.stft import FrameGrid
from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup

__all__ = ["phase_from_magnitude"]

_HANN_GAMMA = 0.25645  # Gaussian of the same width as a Hann window: gamma = 0.25645 * win_length ** 2 (Prusa, 2017)
_FLOOR = 1e-8  # relative magnitude below which a cell is silent
_NO_EDGE = -1e30  # loudness of an edge that leaves the image
_LOUDER_CELL_WEIGHT = 0.2  # loudness of an edge: that of its quieter cell plus a fifth of its louder one


def phase_from_magnitude(
    magnitude: torch.Tensor, grid: FrameGrid, known: torch.Tensor | None = None, *, threads: ThreadGroup = SERIAL
) -> torch.Tensor:
    """Estimate the phase of each cell.

    Parameters
    ----------
    magnitude : torch.Tensor [shape=(B, T, K), non-negative]
        Magnitudes on the lowest K bins of the grid.
    grid
        Grid of the magnitudes.
    known : torch.Tensor [shape=(B, F, K), complex], optional
        Spectra of the first F frames, whose phase is kept and continued.
    threads
        Each thread builds trees in its share of the frames; then the trees are joined. Except for rounding, the result
        does not depend on their number.

    Returns
    -------
    torch.Tensor [shape=(B, T, K)]
        Phase in radians, relative to the start of each frame.
    """
    batch, frames, bins = magnitude.shape
    shares = threads.shares(frames)
    while known is not None and known.shape[1] > shares[0][1]:
        shares = [(0, shares[1][1]), *shares[2:]]  # the known frames lie in the first share
    floor = _FLOOR * magnitude.amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)
    centre = torch.arange(bins, device=magnitude.device).mul(-2 * math.pi * grid.half / grid.n_fft)
    past = None if known is None else torch.angle(known) - centre  # relative to an event in the centre of the window

    trees: dict[int, _Trees] = {}

    def grow(start: int, stop: int) -> None:
        low, high = max(start - 1, 0), min(stop + 1, frames)
        log = torch.log(magnitude[:, low:high] + floor).nan_to_num_()  # NaN cannot be ordered, and would cause cycles
        trees[start] = _grow(log, grid, start - low, stop - low, past if start == 0 else None)

    threads.run(grow, shares)
    offsets: list[torch.Tensor] = []
    threads.run(lambda _start, _stop: offsets.extend(_offsets([trees[start] for start, _ in shares])), [(0, 1)])

    phase = torch.empty_like(magnitude)

    def settle(start: int, stop: int) -> None:
        part = trees[start]
        offset = offsets[shares.index((start, stop))]
        whole = offset.index_select(0, part.component).add_(part.delta)
        torch.add(whole.view(batch, stop - start, bins), centre, out=phase[:, start:stop])

    threads.run(settle, shares)
    if past is not None:
        phase += past[:, :1, :1] + centre[0] - phase[:, :1, :1]
    return phase


@dataclass(frozen=True)
class _Trees:
    """Trees in a share of the frames, after the first round.

    Attributes
    ----------
    component, delta : torch.Tensor [shape=(B * t * K,)]
        Tree of each cell, numbered from 0, and its phase relative to the tree's root.
    count
        Number of trees.
    edges
        Edges between trees: from, to, phase of one root relative to the other, loudness; each [E].
    last_step, last_weight : torch.Tensor [shape=(B, K)]
        Phase and loudness of the edges from the last frame to the first of the next share.
    shape
        (B, t, K)
    """

    component: torch.Tensor
    delta: torch.Tensor
    count: int
    edges: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
    last_step: torch.Tensor
    last_weight: torch.Tensor
    shape: torch.Size


def _grow(log: torch.Tensor, grid: FrameGrid, start: int, stop: int, past: torch.Tensor | None) -> _Trees:
    """Run the first round: every cell of frames `start` to `stop` of `log` [B, t, K] joins its loudest neighbour.

    Frames outside this range serve only as neighbours. A cell whose loudest neighbour is there becomes a root.
    """
    compiled = kernels(log.device)
    if compiled is not None:
        return _grow_compiled(compiled, log, grid, start, stop, past)
    all_steps, all_weights = _steps(log, grid), _loudness(log)
    jump, delta = _loudest_neighbour(all_steps, all_weights)
    steps, weights = ([x[:, start:stop].contiguous() for x in pair] for pair in (all_steps, all_weights))
    jump, delta = jump[:, start:stop].contiguous(), delta[:, start:stop].contiguous()
    if stop < log.shape[1]:  # edges to the next share
        _make_roots(jump[:, -1], delta[:, -1], jump[:, -1] == log.shape[2])
    if start > 0:
        _make_roots(jump[:, 0], delta[:, 0], jump[:, 0] == -log.shape[2])
    shape = jump.shape
    cell = torch.arange(jump.numel(), device=log.device, dtype=torch.int32)
    parent = jump.view(-1).add_(cell)
    if past is not None:
        # The cells of known frames are children of the first cell, at the difference of their phases.
        known = past.shape[1]
        parent.view(shape)[:, :known] = cell.view(shape)[:, :1, :1]
        delta[:, :known] = past - past[:, :1, :1]
    component, flat_delta, count = contract(*break_pairs(cell, parent, delta.view(-1)))
    edges = _boundary(component, flat_delta, steps, weights)
    return _Trees(component, flat_delta, count, edges, steps[0][:, -1], weights[0][:, -1], shape)


def _grow_compiled(
    compiled: ModuleType, log: torch.Tensor, grid: FrameGrid, start: int, stop: int, past: torch.Tensor | None
) -> _Trees:
    """Run the first round in compiled functions."""
    advance, slopes = _advance(log, grid), _slopes(grid)
    component, delta, count, edges = compiled.grow(log, advance, slopes, _LOUDER_CELL_WEIGHT, (start, stop), past)
    last = log[:, max(stop - 2, 0) : stop + 1]
    steps, weights = (pair[0][:, min(stop - 1, 1)] for pair in (_steps(last, grid), _loudness(last)))
    return _Trees(component, delta, count, edges, steps, weights, log[:, start:stop].shape)


def _make_roots(jump: torch.Tensor, delta: torch.Tensor, outside: torch.Tensor) -> None:
    jump.masked_fill_(outside, 0)
    delta.masked_fill_(outside, 0.0)


def _offsets(parts: list[_Trees]) -> list[torch.Tensor]:
    """Join the trees of all shares; return the phase of each root, by share."""
    edges = []
    base = 0
    for number, part in enumerate(parts):
        u, v, step, weight = part.edges
        edges.append((u + base, v + base, step, weight))
        if number + 1 < len(parts):
            edges.append(_edges_between_shares(part, parts[number + 1], base))
        base += part.count
    join = (kernels(parts[0].component.device) or spanning_tree).join
    offset = join(base, *(torch.cat(column) for column in zip(*edges, strict=True)))
    return list(torch.split(offset, [part.count for part in parts]))


def _edges_between_shares(
    part: _Trees, following: _Trees, base: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the edges from the last frame of a share to the first of the next."""
    u, v = part.component.view(part.shape)[:, -1], following.component.view(following.shape)[:, 0]
    step = part.last_step + part.delta.view(part.shape)[:, -1] - following.delta.view(following.shape)[:, 0]
    return (
        u.reshape(-1).long() + base,
        v.reshape(-1).long() + base + part.count,
        step.reshape(-1),
        part.last_weight.reshape(-1),
    )


def _steps(log: torch.Tensor, grid: FrameGrid) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the phase steps from each cell to the next frame and, beyond `centre`, to the next bin: two [B, T, K].

    Full turns are omitted, so that sums over a whole image are exact to about 1e-4 rad. The steps of the last frame
    and the last bin lead nowhere and are never read.
    """
    by_frame, by_bin = _slopes(grid)
    along_frequency = torch.zeros_like(log)
    torch.sub(log[..., 2:], log[..., :-2], out=along_frequency[..., 1:-1])
    to_frame = torch.zeros_like(log)
    torch.add(along_frequency[:, 1:], along_frequency[:, :-1], out=to_frame[:, :-1])
    to_frame.mul_(by_frame).add_(_advance(log, grid))
    along_time = torch.zeros_like(log)
    torch.sub(log[:, :-2], log[:, 2:], out=along_time[:, 1:-1])
    to_bin = torch.zeros_like(log)
    torch.add(along_time[..., 1:], along_time[..., :-1], out=to_bin[..., :-1])
    return to_frame, to_bin.mul_(by_bin)


def _advance(log: torch.Tensor, grid: FrameGrid) -> torch.Tensor:
    """Return the phase from frame to frame of a sinusoid at the centre of each bin [K], without full turns."""
    turns = torch.arange(log.shape[-1], device=log.device).mul_(grid.hop_length).remainder_(grid.n_fft).div(grid.n_fft)
    return (turns - turns.round()) * (2 * math.pi)


def _slopes(grid: FrameGrid) -> tuple[float, float]:
    """Return the factors from differences of logarithms to phase steps, to the next frame and to the next bin."""
    ratio = grid.hop_length * grid.n_fft / (_HANN_GAMMA * grid.win_length**2)
    return 0.25 * ratio, 0.25 / ratio


def _loudness(log: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loudness of the edges from each cell to the next frame and to the next bin: two [B, T, K]."""
    to_frame, to_bin = torch.full_like(log, _NO_EDGE), torch.full_like(log, _NO_EDGE)
    for edge, a, b in (
        (to_frame[:, :-1], log[:, 1:], log[:, :-1]),
        (to_bin[..., :-1], log[..., 1:], log[..., :-1]),
    ):
        torch.add(torch.minimum(a, b), torch.maximum(a, b), alpha=_LOUDER_CELL_WEIGHT, out=edge)
    return to_frame, to_bin


def _loudest_neighbour(
    steps: tuple[torch.Tensor, torch.Tensor], weights: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the loudest neighbour of every cell: its offset in cells (int32), and the phase relative to it; [B, T, K].

    Ties are broken in the order next frame, previous frame, next bin, previous bin. This is a strict order of all
    edges, so the only cycles are pairs that chose each other.
    """
    by_frame = _louder_side(steps[0], weights[0], steps[0].shape[2], dim=1)
    by_bin = _louder_side(steps[1], weights[1], 1, dim=2)
    across = by_bin[0] > by_frame[0]
    return torch.where(across, by_bin[1], by_frame[1]), torch.where(across, by_bin[2], by_frame[2])


def _louder_side(
    step: torch.Tensor, weight: torch.Tensor, distance: int, *, dim: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Select the louder of the next and the previous edge: its weight, offset, and the phase from there."""
    previous_weight, previous_step = torch.full_like(weight, _NO_EDGE), torch.zeros_like(step)
    length = weight.shape[dim] - 1
    previous_weight.narrow(dim, 1, length).copy_(weight.narrow(dim, 0, length))
    previous_step.narrow(dim, 1, length).copy_(step.narrow(dim, 0, length))
    back = previous_weight > weight
    jump = torch.where(back, -distance, distance).to(torch.int32)
    return torch.maximum(weight, previous_weight), jump, torch.where(back, previous_step, -step)


def _boundary(
    component: torch.Tensor, delta: torch.Tensor, steps: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the edges between components: from, to, phase of one root relative to the other, loudness; each [E]."""
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
