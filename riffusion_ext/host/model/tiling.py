"""Seamless images in time, for loops: circular padding of all convolutions in the horizontal direction.

The webui's own tiling also joins top and bottom, by which the highest notes would affect the lowest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.utils.hooks import RemovableHandle

__all__ = ["wrap_in_time"]

Inputs = tuple[torch.Tensor, ...]


@contextmanager
def wrap_in_time(models: Iterable[torch.nn.Module]) -> Iterator[None]:
    """Make the convolutions of models circular in time, inside a ``with`` statement.

    Parameters
    ----------
    models
        The denoiser and the decoder. Layers without zero padding in time are not changed.
    """
    undo: list[tuple[torch.nn.Conv2d, tuple[int, ...], RemovableHandle]] = []
    try:
        for model in models:
            for layer in model.modules():
                if isinstance(layer, torch.nn.Conv2d) and isinstance(layer.padding, tuple) and _time_padding(layer):
                    handle = layer.register_forward_pre_hook(_padding_hook(_time_padding(layer)))
                    undo.append((layer, layer.padding, handle))
                    layer.padding = (layer.padding[0], 0)
        yield
    finally:
        for layer, padding, handle in undo:
            handle.remove()
            layer.padding = padding


def _time_padding(layer: torch.nn.Conv2d) -> int:
    return int(layer.padding[1]) if isinstance(layer.padding, tuple) and layer.padding_mode == "zeros" else 0


def _padding_hook(width: int) -> Callable[[torch.nn.Module, Inputs], Inputs]:
    def wrap(layer: torch.nn.Module, inputs: Inputs) -> Inputs:
        return (torch.nn.functional.pad(inputs[0], (width, width, 0, 0), mode="circular"), *inputs[1:])

    return wrap
