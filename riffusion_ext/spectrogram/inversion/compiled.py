"""The spanning trees of :mod:`riffusion_ext.spectrogram.inversion.phase`, compiled by numba.

numba is not a requirement: many webuis bring it, and where it is missing, torch computes the phases. Both build the
same trees, because they compare the same logarithms in the same order. Their phases differ by rounding, because the
steps along a branch are added in a different order.

Importing this module imports numba, and compiles; see :mod:`riffusion_ext.spectrogram.inversion.kernels`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch

__all__ = ["grow", "join"]

if numba.config.DISABLE_JIT:
    raise ImportError("the compiler of numba is switched off")

# Logarithms, advance, slopes, share of the louder cell, first and last frame.
_CELLS = "f4[:,:,::1],f4[::1],f4,f4,f4,i8,i8"


def _compiled(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for these types at once; store the result where numba finds a folder that it can write to."""

    def compile_it(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(signature, nogil=True, cache=True)(function)
        except Exception:  # no such folder, or what is stored there is damaged
            return numba.njit(signature, nogil=True)(function)

    return compile_it


def grow(
    log: torch.Tensor,
    advance: torch.Tensor,
    slopes: tuple[float, float],
    share: float,
    frames: tuple[int, int],
    past: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, int, tuple[torch.Tensor, ...]]:
    """Let every cell of some frames join its loudest neighbour.

    Parameters
    ----------
    log : torch.Tensor [shape=(B, t, K)]
        Logarithms of the magnitudes.
    advance : torch.Tensor [shape=(K,)]
        Phase from frame to frame of a sinusoid at the centre of the bin.
    slopes
        Factors from differences of logarithms to phase steps, to the next frame and to the next bin.
    share
        Weight of the louder cell in the loudness of an edge.
    frames
        First and last frame, exclusive. The others serve only as neighbours.
    past : torch.Tensor [shape=(B, F, K)], optional
        Known phases of the first frames.

    Returns
    -------
    tuple
        Tree of each cell [N] and its phase relative to the tree's root [N], the number of trees, and the edges between
        trees: from, to, phase of one root relative to the other, loudness; each [E].
    """
    shape = (log.shape[0], frames[1] - frames[0], log.shape[2])
    graph = (log.contiguous().numpy(), advance.numpy(), *(np.float32(x) for x in (*slopes, share)), *frames)
    parent, delta, component = (np.empty(shape, kind) for kind in (np.int32, np.float32, np.int32))
    _choose(*graph, parent, delta)
    if past is not None:
        # The cells of known frames are children of the first cell, at the difference of their phases.
        parent[:, : past.shape[1]] = np.arange(shape[0])[:, None, None] * (shape[1] * shape[2])
        delta[:, : past.shape[1]] = (past - past[:, :1, :1]).numpy()
    flat = parent.reshape(-1), delta.reshape(-1), component.reshape(-1)
    count = _contract(*flat)
    edges = [np.empty(2 * component.size, kind) for kind in (np.int32, np.int32, np.float32, np.float32)]
    size = _border(*graph, component, delta, *edges)
    return torch.from_numpy(flat[2]), torch.from_numpy(flat[1]), count, tuple(torch.from_numpy(x[:size]) for x in edges)


def join(count: int, u: torch.Tensor, v: torch.Tensor, step: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Join components along their loudest edges until none are left; return the phase of each root [count]."""
    edges = [x.to(torch.int32).numpy().copy() for x in (u, v)]
    edges += [step.numpy().copy(), (weight - weight.min()).numpy() if len(weight) else weight.numpy()]
    levels = []
    while len(edges[0]):
        parent, delta, component = (np.empty(count, kind) for kind in (np.int32, np.float32, np.int32))
        _join_loudest(*edges, parent, delta)
        count = _contract(parent, delta, component)
        size = _relabel(*edges, component, delta)
        edges = [x[:size] for x in edges]
        levels.append((component, delta))
    offset = np.zeros(count, np.float32)
    for component, delta in reversed(levels):
        offset = offset[component] + delta
    return torch.from_numpy(offset)


# -- compiled: loops over arrays, whose types are in the signatures


@numba.njit(inline="always")
def _loudness(a, b, share):  # type: ignore[no-untyped-def]
    # In double precision, because torch rounds only the sum. A single rounding decides between equals.
    return np.float32(np.float64(min(a, b)) + np.float64(share) * np.float64(max(a, b)))


@numba.njit(inline="always")
def _to_frame(log, advance, slope, b, t, k):  # type: ignore[no-untyped-def]
    """Return the phase step to the next frame."""
    if k == 0 or k == log.shape[2] - 1:
        return advance[k]
    after = log[b, t + 1, k + 1] - log[b, t + 1, k - 1]
    return (after + (log[b, t, k + 1] - log[b, t, k - 1])) * slope + advance[k]


@numba.njit(inline="always")
def _to_bin(log, slope, b, t, k):  # type: ignore[no-untyped-def]
    """Return the phase step to the next bin."""
    if t == 0 or t == log.shape[1] - 1:
        return slope * np.float32(0.0)
    after = log[b, t - 1, k + 1] - log[b, t + 1, k + 1]
    return (after + (log[b, t - 1, k] - log[b, t + 1, k])) * slope


@_compiled(f"void({_CELLS},i4[:,:,::1],f4[:,:,::1])")
def _choose(log, advance, to_frame, to_bin, share, start, stop, parent, delta):  # type: ignore[no-untyped-def]
    """Let each cell point to its loudest neighbour; it is a root if that is outside the frames.

    Ties are broken in the order next frame, previous frame, next bin, previous bin.
    """
    batch, frames, bins = log.shape
    rows = stop - start
    for b in range(batch):
        for t in range(start, stop):
            for k in range(bins):
                here = log[b, t, k]
                best, way = np.float32(-1e30), 0
                if t + 1 < frames:
                    best, way = _loudness(here, log[b, t + 1, k], share), 1
                if t > 0:
                    loudness = _loudness(here, log[b, t - 1, k], share)
                    if loudness > best:
                        best, way = loudness, 2
                if k + 1 < bins:
                    loudness = _loudness(here, log[b, t, k + 1], share)
                    if loudness > best:
                        best, way = loudness, 3
                if k > 0:
                    loudness = _loudness(here, log[b, t, k - 1], share)
                    if loudness > best:
                        way = 4
                cell = (b * rows + t - start) * bins + k
                step = np.float32(0.0)
                if way == 1 and t + 1 < stop:
                    cell += bins
                    step = -_to_frame(log, advance, to_frame, b, t, k)
                elif way == 2 and t > start:
                    cell -= bins
                    step = _to_frame(log, advance, to_frame, b, t - 1, k)
                elif way == 3:
                    cell += 1
                    step = -_to_bin(log, to_bin, b, t, k)
                elif way == 4:
                    cell -= 1
                    step = _to_bin(log, to_bin, b, t, k - 1)
                parent[b, t - start, k] = cell
                delta[b, t - start, k] = step


@_compiled("i8(i4[::1],f4[::1],i4[::1])")
def _contract(parent, delta, component):  # type: ignore[no-untyped-def]
    """Return the number of trees; write theirs into `component`, and phases relative to the roots into `delta`.

    The first node of each pair that chose each other is a root.
    """
    count = 0
    for node in range(len(parent)):
        up = parent[node]
        if up == node or (node < up and parent[up] == node):
            parent[node], delta[node], component[node] = node, 0.0, count
            count += 1
        else:
            component[node] = -1
    path = np.empty(len(parent), np.int32)
    for node in range(len(parent)):
        length, end = 0, node
        while component[end] < 0:
            path[length] = end
            length += 1
            end = parent[end]
        for place in range(length - 1, -1, -1):
            cell = path[place]
            component[cell] = component[end]
            delta[cell] += delta[end]
            end = cell
    return count


@_compiled(f"i8({_CELLS},i4[:,:,::1],f4[:,:,::1],i4[::1],i4[::1],f4[::1],f4[::1])")
def _border(  # type: ignore[no-untyped-def]
    log, advance, to_frame, to_bin, share, start, stop, component, delta, u, v, step, weight
):
    """Write the edges between trees, and return their number: those to the next frame, then those to the next bin."""
    batch, _, bins = log.shape
    size = 0
    for b in range(batch):
        for t in range(stop - start - 1):
            for k in range(bins):
                one, other = component[b, t, k], component[b, t + 1, k]
                if one != other:
                    u[size], v[size] = one, other
                    edge = _to_frame(log, advance, to_frame, b, t + start, k)
                    step[size] = edge + delta[b, t, k] - delta[b, t + 1, k]
                    weight[size] = _loudness(log[b, t + start, k], log[b, t + start + 1, k], share)
                    size += 1
    for b in range(batch):
        for t in range(stop - start):
            for k in range(bins - 1):
                one, other = component[b, t, k], component[b, t, k + 1]
                if one != other:
                    u[size], v[size] = one, other
                    edge = _to_bin(log, to_bin, b, t + start, k)
                    step[size] = edge + delta[b, t, k] - delta[b, t, k + 1]
                    weight[size] = _loudness(log[b, t + start, k], log[b, t + start, k + 1], share)
                    size += 1
    return size


@_compiled("void(i4[::1],i4[::1],f4[::1],f4[::1],i4[::1],f4[::1])")
def _join_loudest(u, v, step, weight, parent, delta):  # type: ignore[no-untyped-def]
    """Let each component point to the other end of its loudest edge; of equals, the last one."""
    best = np.full(len(parent), -1, np.int32)
    for edge in range(len(u)):
        for end in (u[edge], v[edge]):
            if best[end] < 0 or not weight[edge] < weight[best[end]]:
                best[end] = edge
    for node in range(len(parent)):
        edge = best[node]
        if edge < 0:
            parent[node], delta[node] = node, 0.0
        elif u[edge] == node:
            parent[node], delta[node] = v[edge], -step[edge]
        else:
            parent[node], delta[node] = u[edge], step[edge]


@_compiled("i8(i4[::1],i4[::1],f4[::1],f4[::1],i4[::1],f4[::1])")
def _relabel(u, v, step, weight, component, delta):  # type: ignore[no-untyped-def]
    """Let edges connect the joined components, drop those within one, in place; return the number left."""
    size = 0
    for edge in range(len(u)):
        one, other = component[u[edge]], component[v[edge]]
        if one != other:
            step[size] = step[edge] + delta[u[edge]] - delta[v[edge]]
            u[size], v[size], weight[size] = one, other, weight[edge]
            size += 1
    return size
