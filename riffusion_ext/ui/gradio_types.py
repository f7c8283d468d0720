"""Names for objects of gradio, which has no types, in signatures of the pages."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["Blocks", "Component", "Update", "Value"]

Component: TypeAlias = Any
"""A component, a layout block, or a class of components."""

Blocks: TypeAlias = Any
"""A whole page, ``gr.Blocks``."""

Value: TypeAlias = Any
"""A value of a component, as gradio passes it to the function of an event."""

Update: TypeAlias = Any
"""A new value of a component, or ``gr.update(...)``, as the function of an event returns it."""
