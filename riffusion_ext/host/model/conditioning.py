"""Interpolation of the webui's conditionings between two prompts.

A conditioning is a list of composables (parts separated by AND), each with a weight and a schedule (from
``[a:b:0.5]``): embeddings, each valid up to a step. Inputs are never changed, as the webui caches conditionings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from riffusion_ext.host.base import HostObject

__all__ = ["mix_composables", "mix_embeddings", "mix_schedules"]


def mix_embeddings(a: HostObject, b: HostObject, alpha: float) -> HostObject:
    """Interpolate two embeddings linearly.

    Parameters
    ----------
    a, b : torch.Tensor [shape=(tokens, features)], or mappings of tensors
        The last row of the shorter one is repeated, as the webui does for prompts of a batch.
    alpha
        0 gives `a`, 1 gives `b`, each with its own number of tokens.

    Returns
    -------
    As the inputs
        A new embedding, or `a` or `b` itself at the ends.
    """
    if alpha <= 0 or alpha >= 1:
        return a if alpha <= 0 else b
    if isinstance(a, Mapping):
        return type(a)({name: mix_embeddings(a[name], b[name], alpha) for name in a})  # type: ignore[call-arg]
    tokens = max(a.shape[0], b.shape[0])
    return torch.lerp(_padded(a, tokens), _padded(b, tokens), alpha)


def mix_schedules(
    a: Sequence[HostObject], b: Sequence[HostObject], alpha: float, make: Callable[[int, HostObject], HostObject]
) -> list[HostObject]:
    """Interpolate two schedules; the result has an entry wherever one of them changes.

    Parameters
    ----------
    a, b
        Entries with ``end_at_step``, ascending, and ``cond``.
    alpha
        0 to 1.
    make
        Creates an entry from a step and an embedding.
    """
    last = max(a[-1].end_at_step, b[-1].end_at_step)
    ends = sorted({entry.end_at_step for entry in (*a[:-1], *b[:-1])} | {last})
    return [make(end, mix_embeddings(_valid(a, end), _valid(b, end), alpha)) for end in ends]


def mix_composables(
    a: Sequence[HostObject],
    b: Sequence[HostObject],
    alpha: float,
    make: Callable[[list[HostObject], float], HostObject],
    entry: Callable[..., HostObject],
) -> list[HostObject]:
    """Interpolate two lists of composables pairwise; surplus ones fade in or out by their weights.

    Parameters
    ----------
    a, b
        Composables with ``schedules`` and ``weight``.
    alpha
        0 to 1.
    make
        Creates a composable from a schedule and a weight.
    entry
        Creates an entry of a schedule.
    """
    if alpha <= 0 or alpha >= 1:
        return list(a if alpha <= 0 else b)
    shared = min(len(a), len(b))
    mixed = [
        make(
            mix_schedules(first.schedules, second.schedules, alpha, entry),
            first.weight + alpha * (second.weight - first.weight),
        )
        for first, second in zip(a, b)  # noqa: B905 - the rest of the longer list follows
    ]
    mixed += [make(list(rest.schedules), rest.weight * (1 - alpha)) for rest in a[shared:]]
    return mixed + [make(list(rest.schedules), rest.weight * alpha) for rest in b[shared:]]


def _valid(schedule: Sequence[HostObject], step: int) -> HostObject:
    return next((entry.cond for entry in schedule if entry.end_at_step >= step), schedule[-1].cond)


def _padded(embedding: torch.Tensor, tokens: int) -> torch.Tensor:
    missing = tokens - embedding.shape[0]
    return embedding if not missing else torch.cat([embedding, embedding[-1:].expand(missing, -1)])
