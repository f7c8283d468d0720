"""User defaults in the webui's ``ui-config.json`` that are stored under labels of earlier versions.

The webui stores the defaults of a tab's inputs by label, as ``riffusion/Sampler/value``. For a label that was renamed,
the value of the old one is applied to the component before the webui looks up the new one. The file is only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.regular import read_regular
from riffusion_ext.ui.gradio_types import Blocks, Component
from riffusion_ext.validation.json_text import loads

__all__ = ["OLD_CHOICES", "OLD_LABELS", "apply_stored_defaults", "read_stored"]

OLD_LABELS: dict[str, str] = {
    "Channels to generate": "What is painted",
    "Convert to audio": "Turn into sound",
    "Convert to images": "Turn into pictures",
    "Denoising strength of beat or init image": "Denoising of beat or picture",
    "Image file": "Picture file",
    "Image width": "Width of a picture",
    "Remix without generating": "Mix anew, without painting",
    "Seconds generated ahead": "Seconds painted ahead",
}
"""Labels of inputs and buttons, and their former labels."""

OLD_CHOICES: dict[str, str] = {"One wide picture": "One wide image"}
"""Former choices of radio buttons and dropdowns, and their present names."""

_FIELDS = ("value", "visible", "minimum", "maximum", "step")


def read_stored(path: str | Path) -> dict[str, object]:
    """Return the content of ``ui-config.json``; {} if it cannot be read, which the webui itself reports."""
    with suppress(OSError, ValueError, RiffusionError):
        stored = loads(read_regular(path))
        if isinstance(stored, dict):
            return stored
    return {}


def apply_stored_defaults(blocks: Blocks, stored: Mapping[str, object], tab: str) -> None:
    """Apply defaults that are stored under former labels, or as former choices, to components.

    Parameters
    ----------
    blocks
        The tab's ``gr.Blocks``.
    stored
        The content of ``ui-config.json``.
    tab
        Id of the tab, with which its keys begin.
    """
    for component in blocks.blocks.values():
        label = _label(component)
        if label is None or getattr(component, "do_not_save_to_config", False):
            continue
        for field in _FIELDS:
            key = f"{tab}/{label}/{field}"
            if key not in stored:
                key = f"{tab}/{OLD_LABELS.get(label, label)}/{field}"
            elif field != "value" or not _is_old_choice(stored[key]):
                continue  # the webui applies it
            if key in stored and hasattr(component, field) and not (field == "value" and _is_button(component)):
                _apply(component, field, stored[key])


def _label(component: Component) -> str | None:
    """Return the label under which the webui stores a component; of a button its text."""
    label = getattr(component, "label", None)
    if label is None and _is_button(component):
        label = component.value
    return label if isinstance(label, str) else None


def _is_old_choice(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value in OLD_CHOICES


def _is_button(component: Component) -> bool:
    return type(component).__name__ == "Button"


def _apply(component: Component, field: str, value: object) -> None:
    """Set a field as the webui does: values that are not among the choices are ignored."""
    choices = getattr(component, "choices", None)
    if field == "value" and choices:
        names = [choice[0] if isinstance(choice, tuple) else choice for choice in choices]  # pairs since gradio 3.41
        value = OLD_CHOICES[value] if _is_old_choice(value) else value
        if value not in names:
            return
    if type(value) is not type(getattr(component, field)) and not _are_numbers(value, getattr(component, field)):
        return
    setattr(component, field, value)


def _are_numbers(*values: object) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
