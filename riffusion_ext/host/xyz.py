"""The extension's axes in the webui's X/Y/Z plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from riffusion_ext.errors import RiffusionError
from riffusion_ext.host.base import HostObject
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import control

__all__ = ["AXES", "OVERRIDE", "add_axes"]

OVERRIDE = "_riffusion_override"
"""Attribute of the host's job that holds a cell's values for the Script."""

AXES = {
    "[Riffusion] Sound": "mode",
    "[Riffusion] Engine": "engine",
    "[Riffusion] Level": "level",
    "[Riffusion] Channels": "channels",
    "[Riffusion] Spectrogram": "preset",
    "[Riffusion] High frequencies": "high_frequencies",
}
"""Id of the control that an axis sets, by label of the axis."""


def _apply(item: Option) -> Callable[[HostObject, object, object], None]:
    def apply(p: HostObject, value: object, _: object) -> None:
        # A new mapping: the jobs of the cells are shallow copies of one another.
        setattr(p, OVERRIDE, {**getattr(p, OVERRIDE, {}), item.id: item.clean(value)})

    return apply


def _confirm(item: Option) -> Callable[[HostObject, Iterable[object]], None]:
    def confirm(_: HostObject, values: Iterable[object]) -> None:
        for value in values:
            chosen = item.clean(value)
            if chosen not in item.offered():
                raise RiffusionError(f"Riffusion: {item.id} {chosen} is not available here.")

    return confirm


def _choices(item: Option) -> Callable[[], list[str]]:
    return lambda: list(item.offered())


def add_axes(scripts_data: Iterable[HostObject]) -> int:
    """Add the axes to the plot if they are missing; return the number of added ones.

    Parameters
    ----------
    scripts_data
        The host's loaded scripts, each with ``path`` and ``module``.
    """
    added = 0
    for data in scripts_data:
        if Path(data.path).name != "xyz_grid.py" or not hasattr(data.module, "axis_options"):
            continue
        module = data.module
        present = {option.label for option in module.axis_options}
        for label, id_ in AXES.items():
            if label in present:
                continue
            item = control(id_)
            module.axis_options.append(
                module.AxisOption(label, str, _apply(item), confirm=_confirm(item), choices=_choices(item))
            )
            present.add(label)
            added += 1
    return added
