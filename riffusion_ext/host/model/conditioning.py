"""What a model is told, between two prompts: webui's own conditionings, mixed.

A conditioning is a list of composables (the parts between AND), each with a weight and a schedule (what ``[a:b:0.5]``
makes of it): embeddings, each valid up to a step. Everything is made anew: webui keeps conditionings from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

__all__ = ["mix_composables", "mix_embeddings", "mix_schedules"]


def mix_embeddings(a: Any, b: Any, alpha: float) -> Any:
    """Interpolate two embeddings linearly.

    Parameters
    ----------
    a, b : torch.Tensor [shape=(tokens, features)], or mappings of tensors
        Where one has fewer tokens, its last row is repeated, as webui does it for prompts of a batch.
    alpha
        0 gives `a`, 1 gives `b`, each with its own number of tokens.

    Returns
    -------
    As the inputs
        They themselves stay as they are.
    """
    if alpha <= 0 or alpha >= 1:
        return a if alpha <= 0 else b
    if isinstance(a, Mapping):
        return type(a)({name: mix_embeddings(a[name], b[name], alpha) for name in a})  # type: ignore[call-arg]
    tokens = max(a.shape[0], b.shape[0])
    return torch.lerp(_padded(a, tokens), _padded(b, tokens), alpha)


def mix_schedules(a: Sequence[Any], b: Sequence[Any], alpha: float, make: Callable[[int, Any], Any]) -> list[Any]:
    """Mix two schedules: wherever either changes, the mixture does.

    Parameters
    ----------
    a, b
        Rising entries with ``end_at_step`` and ``cond``.
    alpha
        0 to 1.
    make
        Makes an entry from a step and an embedding.
    """
    last = max(a[-1].end_at_step, b[-1].end_at_step)
    ends = sorted({entry.end_at_step for entry in (*a[:-1], *b[:-1])} | {last})
    return [make(end, mix_embeddings(_valid(a, end), _valid(b, end), alpha)) for end in ends]


def mix_composables(
    a: Sequence[Any], b: Sequence[Any], alpha: float, make: Callable[[list[Any], float], Any], entry: Callable[..., Any]
) -> list[Any]:
    """Mix two lists of composables: one by one, and what one list has more fades in or out by its weight.

    Parameters
    ----------
    a, b
        With ``schedules`` and ``weight``.
    alpha
        0 to 1.
    make
        Makes a composable from a schedule and a weight.
    entry
        Makes an entry of a schedule.
    """
    if alpha <= 0 or alpha >= 1:
        return list(a if alpha <= 0 else b)
    shared = min(len(a), len(b))
    mixed = [
        make(
            mix_schedules(first.schedules, second.schedules, alpha, entry),
            first.weight + alpha * (second.weight - first.weight),
        )
        for first, second in zip(a, b)  # noqa: B905 - the longer one's rest follows
    ]
    mixed += [make(list(rest.schedules), rest.weight * (1 - alpha)) for rest in a[shared:]]
    return mixed + [make(list(rest.schedules), rest.weight * alpha) for rest in b[shared:]]


def _valid(schedule: Sequence[Any], step: int) -> Any:
    return next((entry.cond for entry in schedule if entry.end_at_step >= step), schedule[-1].cond)


def _padded(embedding: torch.Tensor, tokens: int) -> torch.Tensor:
    missing = tokens - embedding.shape[0]
    return embedding if not missing else torch.cat([embedding, embedding[-1:].expand(missing, -1)])
