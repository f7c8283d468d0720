"""Which prompts can be told to a model in one batch, so that each image is the one it would be alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["MixedBatchError", "PromptKind", "check_uniform"]

PromptKind = tuple[int, tuple[float, ...]]
"""Tokens of a prompt's longest part; and the weights of its parts, where the host takes them to be the same for all."""


class MixedBatchError(Exception):
    """Prompts of a batch are not all of one kind.

    Attributes
    ----------
    kinds
        That of each prompt.
    """

    def __init__(self, kinds: list[PromptKind]) -> None:
        super().__init__(kinds)
        self.kinds = kinds


def check_uniform(batch: Sequence[Sequence[Any]], *, one_weight: bool) -> None:
    """Raise where the host would not generate each prompt of a batch as if alone.

    webui pads the shorter embeddings. Forge and reForge leave out the parts (those between AND) that not every prompt
    has, and give a part the weight that it has in the last prompt.

    Parameters
    ----------
    batch
        The composables of each prompt, with ``schedules`` and ``weight``.
    one_weight
        Whether the host gives a part one weight in the whole batch.

    Raises
    ------
    MixedBatchError
        They are of several kinds.
    """
    kinds = [(max(map(_length, parts)), _weights(parts) if one_weight else ()) for parts in batch]
    if len(set(kinds)) > 1:
        raise MixedBatchError(kinds)


def _weights(parts: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(part.weight) for part in parts)


def _length(composable: Any) -> int:
    """Tokens of the longest embedding."""
    conds = (entry.cond for entry in composable.schedules)
    return max(int((cond["crossattn"] if isinstance(cond, dict) else cond).shape[0]) for cond in conds)
