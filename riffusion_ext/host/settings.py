"""Section of the webui's page Settings. Each value is read with a default, as the host may not have the key yet."""

from __future__ import annotations

from collections.abc import Callable

from riffusion_ext.host.base import HostObject
from riffusion_ext.options.webui import OPTIONS, SUBTYPES
from riffusion_ext.ui.gradio_types import Component

__all__ = ["DEFAULTS", "SECTION", "SUBTYPES", "add_to"]

SECTION = ("riffusion", "Riffusion")

DEFAULTS: dict[str, object] = {item.id: item.default for item in OPTIONS}
"""Default of every setting."""


def add_to(opts: HostObject, option_info: Callable[..., HostObject], radio: Component) -> None:
    """Add the section to a host's settings.

    Parameters
    ----------
    opts
        The host's settings, with ``add_option(key, info)``.
    option_info
        The host's class of a setting.
    radio
        gradio's class of radio buttons.
    """
    for item in OPTIONS:
        extra = {"component": radio, "component_args": {"choices": list(item.choices)}} if item.choices else {}
        info = option_info(item.default, item.label, section=SECTION, **extra)
        opts.add_option(item.id, info.info(item.help) if item.help else info)
