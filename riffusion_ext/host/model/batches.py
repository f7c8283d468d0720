"""Check whether the prompts of a batch give the same images as each prompt alone."""

from __future__ import annotations

from collections.abc import Sequence

from riffusion_ext.host.base import HostObject

__all__ = ["MixedBatchError", "PromptKind", "check_uniform"]

PromptKind = tuple[int, tuple[float, ...]]
"""Number of tokens of a prompt's longest part; and the weights of its parts, if the host uses those of one prompt."""


class MixedBatchError(Exception):
    """The prompts of a batch are of several kinds.

    Attributes
    ----------
    kinds
        Kind of each prompt.
    """

    def __init__(self, kinds: list[PromptKind]) -> None:
        super().__init__(kinds)
        self.kinds = kinds


def check_uniform(batch: Sequence[Sequence[HostObject]], *, one_weight: bool) -> None:
    """Raise an error if the host would not generate each prompt of a batch as if alone.

    The webui pads shorter embeddings. Forge and reForge drop parts (separated by AND) that not every prompt has, and
    use the weights of the last prompt's parts for all.

    Parameters
    ----------
    batch
        Composables of each prompt, with ``schedules`` and ``weight``.
    one_weight
        Whether the host uses the same weight of a part in the whole batch.

    Raises
    ------
    MixedBatchError
        The prompts are of several kinds.
    """
    kinds = [(max(map(_length, parts)), _weights(parts) if one_weight else ()) for parts in batch]
    if len(set(kinds)) > 1:
        raise MixedBatchError(kinds)


def _weights(parts: Sequence[HostObject]) -> tuple[float, ...]:
    return tuple(float(part.weight) for part in parts)


def _length(composable: HostObject) -> int:
    """Return the number of tokens of the longest embedding."""
    conds = (entry.cond for entry in composable.schedules)
    return max(int((cond["crossattn"] if isinstance(cond, dict) else cond).shape[0]) for cond in conds)
