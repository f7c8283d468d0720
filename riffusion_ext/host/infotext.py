"""The panel's controls in the webui's generation parameters (infotext).

``Riffusion sound`` is written whenever sound is made, the other keys only if they differ from their default. Pasting an
infotext therefore restores every control, and an infotext without sound changes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import CONTROLS, CUSTOM, SoundOptions, control

__all__ = ["KEYS", "reader", "remove", "write"]

KEYS = tuple(item.infotext for item in CONTROLS)
"""Keys of the extension, for "Send to" buttons."""

_MARKER_KEY = control("mode").infotext


def write(params: MutableMapping[str, object], options: SoundOptions) -> None:
    """Write the options into a job's extra generation parameters, in place.

    The cells of an X/Y/Z plot share one mapping, so keys with default values are removed.
    """
    for item in CONTROLS:
        value = getattr(options, item.id)
        if item.id == "custom" and options.preset != CUSTOM:
            value = item.default  # not used
        if item.infotext == _MARKER_KEY or value != item.default:
            params[item.infotext] = f"{value:g}" if item.kind == "slider" else str(value)
        else:
            params.pop(item.infotext, None)


def remove(params: MutableMapping[str, object]) -> None:
    """Remove the extension's keys from a job's extra generation parameters, in place."""
    for key in KEYS:
        params.pop(key, None)


def reader(item: Option) -> Callable[[Mapping[str, object]], str | bool | float | None]:
    """Return a function that reads a control's value from a parsed infotext; None leaves the control unchanged."""

    def read(params: Mapping[str, object]) -> str | bool | float | None:
        if _MARKER_KEY not in params:
            return None
        try:
            value = item.clean(params.get(item.infotext, item.default))
        except RiffusionError:  # from a later version, or edited
            return item.default
        return value if not item.choices or value in item.offered() else item.default

    return read
