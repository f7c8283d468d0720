"""A fake device without float64, like Apple's MPS: creating a float64 tensor on it is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

DEVICE = torch.device("meta")
_WIDE = (torch.float64, torch.complex128)


class OnDevice(torch.Tensor):
    """A tensor that appears to be on the device; its numbers are in `held`, on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnDevice:
        if held.dtype in _WIDE:
            raise TypeError(f"Cannot convert a MPS Tensor to {held.dtype}: the MPS framework doesn't support it")
        made = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made  # type: ignore[no-any-return]

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def tolist(self) -> Any:
        """Return the numbers; torch refuses this method for subclasses."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class Device(TorchDispatchMode):
    """A context in which the device exists. Its name is torch's "meta", the only one that needs no driver."""

    def __enter__(self) -> Device:
        self._tensor = torch.tensor
        torch.tensor = self._new  # makes a real meta tensor without numbers, which no mode can intercept
        return super().__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *reason: Any) -> Any:
        torch.tensor = self._tensor
        return super().__exit__(*reason)

    def _new(self, *args: Any, device: Any = None, **kwargs: Any) -> torch.Tensor:
        made = self._tensor(*args, **kwargs)
        return made if device is None else made.to(device)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})


def on_device(tensor: torch.Tensor) -> OnDevice:
    """Move a tensor to the device."""
    return OnDevice(tensor)


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    flat: list[Any] = []
    tree_map(flat.append, [*args, *kwargs.values()])
    tensors = [item for item in flat if isinstance(item, OnDevice)]
    wanted = kwargs.get("device")
    there = bool(tensors) if wanted is None else torch.device(wanted).type == DEVICE.type
    if wanted is not None and there:
        kwargs = {**kwargs, "device": "cpu"}
    known = {id(item.held): item for item in tensors}

    def inner(item: Any) -> Any:
        return item.held if isinstance(item, OnDevice) else item

    def outer(item: Any) -> Any:
        if not isinstance(item, torch.Tensor) or not there:
            return item
        return known[id(item)] if id(item) in known else OnDevice(item)

    name = func.__name__
    result = func(*tree_map(inner, args), **tree_map(inner, kwargs))
    if name.startswith("copy_") and not isinstance(args[0], OnDevice):
        return args[0]
    return tree_map(outer, result)
