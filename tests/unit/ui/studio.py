"""The context of pages with a fake backend, and what pages show in the end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from riffusion_ext.services.model_provider import BackendModel
from riffusion_ext.ui.layout.generation_page import PageUpdate
from riffusion_ext.ui.layout.page_context import PageContext
from tests.unit.generate.fake_backends import InterruptibleBackend


class Studio(InterruptibleBackend):
    """A backend that makes the context of pages which use it."""

    def context(self, folder: Path, **more: Any) -> PageContext:
        values: dict[str, Any] = {
            "output_dir": lambda: folder,
            "url_of": lambda path: f"URL/{path.parent.name}/{path.name}",
            "device": lambda: "cpu",
            "model": BackendModel(lambda: self, ["Euler", "DPM++ 2M"]),
        }
        return PageContext(**values | more)


def page_of(steps: Iterable[PageUpdate]) -> dict[str, Any]:
    """Return what the page shows in the end: status, result, stretches by number, extra."""
    page: dict[str, Any] = {"status": "", "result": "", "stretches": {}, "extra": {}}
    for shown in steps:
        for name in ("status", "result"):
            if getattr(shown, name) is not None:
                page[name] = getattr(shown, name)
        page["stretches"] |= dict(shown.segments)
        page["extra"] |= dict(shown.extra)
    return page


def sources(html: str) -> list[str]:
    """Return the addresses of all players."""
    return re.findall(r'<audio[^>]* src="([^"]+)"', html)
