"""Prompts that a host would not generate in a batch as alone are kept apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from riffusion_ext.host.model.batches import MixedBatchError, check_uniform


def _prompt(*weights: float, tokens: int = 77, cross: bool = False) -> list[Any]:
    cond: Any = torch.zeros(tokens, 4)
    entries = [SimpleNamespace(end_at_step=5, cond={"crossattn": cond, "vector": cond[0]} if cross else cond)]
    return [SimpleNamespace(schedules=entries, weight=weight) for weight in weights]


@pytest.mark.parametrize("one_weight", [False, True])
def test_prompts_with_equal_structure_share_a_batch(one_weight: bool) -> None:
    check_uniform([_prompt(1.0), _prompt(1.0)], one_weight=one_weight)
    check_uniform([_prompt(1.0, 0.5), _prompt(1.0, 0.5, cross=True)], one_weight=one_weight)


@pytest.mark.parametrize("one_weight", [False, True])
def test_prompts_of_different_length_are_not_batched(one_weight: bool) -> None:
    with pytest.raises(MixedBatchError) as caught:
        check_uniform([_prompt(1.0), _prompt(1.0, tokens=154), _prompt(1.0)], one_weight=one_weight)
    assert [kind[0] for kind in caught.value.kinds] == [77, 154, 77]


@pytest.mark.parametrize("other", [(1.0, 1.0), (0.5,), (1.0, 0.0)], ids=["more parts", "another weight", "faded out"])
def test_prompts_with_differing_part_weights_are_not_batched(other: tuple[float, ...]) -> None:
    batch = [_prompt(1.0), _prompt(*other), _prompt(1.0)]
    check_uniform(batch, one_weight=False)
    with pytest.raises(MixedBatchError) as caught:
        check_uniform(batch, one_weight=True)
    kinds = caught.value.kinds
    assert kinds == [(77, (1.0,)), (77, other), (77, (1.0,))]
    assert sorted(set(kinds)), "they can be put in an order"
