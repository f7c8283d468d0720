"""Interface of the host, the webui in which the extension runs.

:mod:`riffusion_ext.host.webui` implements it for A1111, Forge and their relatives; tests use small fakes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeAlias

__all__ = ["Host", "HostObject"]

HostObject: TypeAlias = Any
"""An object of the webui's own, such as a job (``p``), its result or a module. They have no types, and differ among
webuis."""


class Host(Protocol):
    """A program that shows the extension's controls and plays its clips."""

    name: str
    """Name of the host in messages."""

    def device(self) -> str:
        """Return the name of the torch device; ``"auto"`` leaves the choice to the codec."""
        ...

    def setting(self, key: str, default: object) -> object:
        """Return the value of a setting, or the default if the host does not have it."""
        ...

    def checkpoint_is_riffusion(self, title: str = "") -> tuple[bool, str]:
        """Return whether a checkpoint looks like a Riffusion model, and its name; "" stands for the selected one."""
        ...

    def output_folder(self) -> Path:
        """Return the absolute path of the folder for results. It may not exist yet."""
        ...

    def scratch_folder(self) -> Path:
        """Return the absolute path of an existing folder for clips that are not kept."""
        ...

    def report(self, text: str, error: BaseException | None = None) -> None:
        """Write to the host's log, with the traceback of an error."""
        ...
