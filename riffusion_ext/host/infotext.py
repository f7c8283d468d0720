"""Our settings in webui's generation parameters, and back into the controls.

``Riffusion sound`` is written whenever sound is made; the other keys only where they differ from their default. Pasting
an image's parameters therefore sets every control as it was, and one made without us changes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import CONTROLS, CUSTOM, SoundOptions, control

__all__ = ["KEYS", "reader", "remove", "write"]

KEYS = tuple(item.infotext for item in CONTROLS)
"""Keys that belong to us, for "Send to" buttons."""

_MARKER_KEY = control("mode").infotext


def write(params: MutableMapping[str, object], options: SoundOptions) -> None:
    """Put the options into a job's extra generation parameters, in place.

    The cells of an X/Y/Z plot share one mapping, so a key that is not wanted is taken out again.
    """
    for item in CONTROLS:
        value = getattr(options, item.id)
        if item.id == "custom" and options.preset != CUSTOM:
            value = item.default  # not in use
        if item.infotext == _MARKER_KEY or value != item.default:
            params[item.infotext] = f"{value:g}" if item.kind == "slider" else str(value)
        else:
            params.pop(item.infotext, None)


def remove(params: MutableMapping[str, object]) -> None:
    """Take our keys out of a job's extra generation parameters, in place."""
    for key in KEYS:
        params.pop(key, None)


def reader(item: Option) -> Callable[[Mapping[str, object]], str | bool | float | None]:
    """Return the function that takes the control's value out of parsed parameters; None leaves the control alone."""

    def read(params: Mapping[str, object]) -> str | bool | float | None:
        if _MARKER_KEY not in params:
            return None
        try:
            value = item.clean(params.get(item.infotext, item.default))
        except RiffusionError:  # written by a later version, or edited by hand
            return item.default
        return value if not item.choices or value in item.offered() else item.default

    return read
