"""Maximum spanning trees whose edges carry a phase, built in parallel (Boruvka, 1926).

A node has a phase relative to its parent: ``phase[node] = phase[parent[node]] + delta[node]``. A root is its own
parent. Nodes are numbered from 0, and parents are int32, because torch gathers int32 several times faster than int64.
"""

from __future__ import annotations

import torch

__all__ = ["break_pairs", "contract", "join"]


def break_pairs(node: torch.Tensor, parent: torch.Tensor, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Make the first node of each pair that chose each other a root; each tensor is [N]."""
    root = (parent.index_select(0, parent) == node) & (node <= parent)
    return torch.where(root, node, parent), delta.masked_fill_(root, 0.0)


def contract(parent: torch.Tensor, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
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


def join(count: int, u: torch.Tensor, v: torch.Tensor, step: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Join components along their loudest edges until none are left; return the phase of each root [count]."""
    levels = []
    if u.shape[0]:
        # Loudness in the upper 32 bits (the bits of a positive float rise with it), the edge's number in the lower.
        # NaN would give a negative key, which means no edge, and the loop would not end.
        weight = (weight - weight.min()).nan_to_num_().view(torch.int32).long() << 32
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
        component, delta, count = contract(*break_pairs(node, parent, delta))
        levels.append((component, delta))
        step = step + delta.index_select(0, u) - delta.index_select(0, v)
        u, v = component.index_select(0, u).long(), component.index_select(0, v).long()
        between = torch.ne(u, v).nonzero().squeeze(1)
        u, v, step, weight = (x.index_select(0, between) for x in (u, v, step, weight))
    offset = torch.zeros(count, device=u.device)
    for component, delta in reversed(levels):
        offset = offset.index_select(0, component).add_(delta)
    return offset
