"""Our section on webui's Settings page. Every value is read with a default: the host may not know the key (yet)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from riffusion_ext.options.webui import OPTIONS, SUBTYPES

__all__ = ["DEFAULTS", "SECTION", "SUBTYPES", "add_to"]

SECTION = ("riffusion", "Riffusion")

DEFAULTS: dict[str, Any] = {item.id: item.default for item in OPTIONS}
"""Default of every setting."""


def add_to(opts: Any, option_info: Callable[..., Any], radio: Any) -> None:
    """Add the section to a host's settings.

    Parameters
    ----------
    opts
        The host's settings; has ``add_option(key, info)``.
    option_info
        The host's class of one setting.
    radio
        The component for a choice.
    """
    for item in OPTIONS:
        extra = {"component": radio, "component_args": {"choices": list(item.choices)}} if item.choices else {}
        info = option_info(item.default, item.label, section=SECTION, **extra)
        opts.add_option(item.id, info.info(item.help) if item.help else info)
