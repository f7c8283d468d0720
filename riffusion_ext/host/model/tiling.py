"""Seamless images in time, for loops: circular padding of all convolutions in the horizontal direction.

The webui's own tiling also joins top and bottom, by which the highest notes would affect the lowest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["wrap_in_time"]


@contextmanager
def wrap_in_time(models: Iterable[torch.nn.Module]) -> Iterator[None]:
    """Make the convolutions of models circular in time, inside a ``with`` statement.

    Parameters
    ----------
    models
        The denoiser and the decoder. Layers without zero padding in time are not changed.
    """
    undo: list[tuple[torch.nn.Conv2d, Any, Any]] = []
    try:
        for model in models:
            for layer in model.modules():
                if isinstance(layer, torch.nn.Conv2d) and _time_padding(layer):
                    padding: Any = layer.padding
                    handle = layer.register_forward_pre_hook(_padding_hook(_time_padding(layer)))
                    undo.append((layer, padding, handle))
                    layer.padding = (padding[0], 0)
        yield
    finally:
        for layer, padding, handle in undo:
            handle.remove()
            layer.padding = padding


def _time_padding(layer: torch.nn.Conv2d) -> int:
    return int(layer.padding[1]) if isinstance(layer.padding, tuple) and layer.padding_mode == "zeros" else 0


def _padding_hook(width: int) -> Any:
    def wrap(layer: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (torch.nn.functional.pad(inputs[0], (width, width, 0, 0), mode="circular"), *inputs[1:])

    return wrap
