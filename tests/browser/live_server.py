"""Serve the tab with a fake backend: ``live_server.py PORT FOLDER SECONDS``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image

from riffusion_ext.api.server import Access
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.generate.live import session
from riffusion_ext.services.model_provider import BackendModel
from riffusion_ext.ui.app import serve_pages
from tests.unit.generate.fake_backends import by_seed
from tests.unit.ui.studio import Studio


class Clouds(Studio):
    """Generates no silence, and fails at one prompt."""

    def _clouds(self, request: Request) -> Image.Image:
        if request.prompts[0] == "out of paint":
            raise RiffusionError("out of paint")
        image = by_seed(replace(request, init=None, mask=None, denoise=None)).point(lambda level: level * 2 // 3)
        if request.init is None or request.mask is None:
            return image
        return Image.composite(image, request.init, request.mask)


def main(port: int, folder: Path, seconds: float) -> None:
    """Serve until the process is ended; each window takes SECONDS."""
    session._HISTORY_S = 3600.0  # played audio is compared with the generated one from the first sample
    # One backend per session, as in a webui: ending the previous session interrupts only its own generation.
    model = BackendModel(lambda: Clouds(max_batch=1, delay=seconds), Clouds().context(folder).model.samplers())
    serve_pages(Access(port=port), folder, model)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
