"""Serve the tab with a fake backend: ``generation_server.py PORT FOLDER SECONDS``."""

from __future__ import annotations

import sys
from pathlib import Path

from riffusion_ext.api.server import Access
from riffusion_ext.ui.app import serve_pages
from riffusion_ext.ui.layout.page_context import PageContext
from tests.unit.ui.studio import Studio


def main(port: int, folder: Path, seconds: float) -> None:
    """Serve until the process is ended; each batch of two takes SECONDS."""
    studio = Studio(delay=seconds)
    context: PageContext = studio.context(folder)
    serve_pages(Access(port=port), folder, context.model)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
