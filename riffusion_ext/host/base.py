"""What the rest of the package may ask of the program it runs inside of.

:class:`Host` is small enough to fake in a few lines. webui and Forge answer it in :mod:`riffusion_ext.host.webui`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

__all__ = ["Host"]


class Host(Protocol):
    """A program that shows our controls and plays our clips."""

    name: str
    """What the host is called in messages."""

    def device(self) -> str:
        """Name of the torch device to compute on; ``"auto"`` leaves the choice to the codec."""
        ...

    def setting(self, key: str, default: Any) -> Any:
        """Value of a setting, or the default where the host has none of that name."""
        ...

    def checkpoint_is_riffusion(self, title: str = "") -> tuple[bool, str]:
        """Whether the checkpoint of a title, or the one that is chosen, looks like a Riffusion model; and its name."""
        ...

    def output_folder(self) -> Path:
        """Folder for files the user keeps, absolute. It need not exist yet."""
        ...

    def scratch_folder(self) -> Path:
        """Folder for clips that are only played, absolute. It exists."""
        ...

    def report(self, text: str, error: BaseException | None = None) -> None:
        """Write to the host's log; with an error, its traceback too."""
        ...
