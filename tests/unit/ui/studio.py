"""A place with a backend instead of a model, and songs to regenerate."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from riffusion_ext.generate.backends.base import OnImage, Request
from riffusion_ext.services.model_provider import BackendModel
from riffusion_ext.ui.layout.generation_page import PageUpdate
from riffusion_ext.ui.layout.page_context import PageContext
from tests.unit.generate.fake_backends import FakeBackend, by_seed


class Studio(FakeBackend):
    """Generates clouds; can be interrupted as a webui is, held, and made to fail."""

    def __init__(self, *, max_batch: int = 2, delay: float = 0.0, fail_at: int | None = None) -> None:
        super().__init__(self._clouds, max_batch=max_batch, name="studio")
        self.delay, self.fail_at = delay, fail_at
        self.go_on = threading.Event()
        self.go_on.set()
        self.wish = threading.Event()
        self.at_work = threading.Event()

    def _clouds(self, request: Request) -> Image.Image:
        if self.fail_at is not None and self.generated >= self.fail_at:
            raise ZeroDivisionError("out of paint")
        return by_seed(request)

    def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
        self.wish.clear()
        self.interrupted = False
        self.at_work.set()
        end = time.monotonic() + self.delay
        while not self.wish.is_set() and (time.monotonic() < end or not self.go_on.is_set()):
            time.sleep(0.01)
        if self.wish.is_set():
            self.interrupted = True
            return []
        return super().generate(requests, on_image)

    def interrupt(self) -> None:
        self.wish.set()

    def context(self, folder: Path, **more: Any) -> PageContext:
        values: dict[str, Any] = {
            "output_dir": lambda: folder,
            "serve": lambda path: f"URL/{path.parent.name}/{path.name}",
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
