"""The tab by itself, with a painter of clouds in place of a model: ``painting_server.py PORT FOLDER SECONDS``."""

from __future__ import annotations

import sys
from pathlib import Path

from riffusion_ext.ui.app import build_app
from riffusion_ext.ui.tabs.place import Place
from tests.browser.served import serve
from tests.unit.ui.painting import Studio


def main(port: int, folder: Path, seconds: float) -> None:
    """Serve until the process is ended; each batch of two takes so many seconds."""
    studio = Studio(delay=seconds)
    place: Place = studio.place(folder)
    app = build_app(folder, backend=place.backend, samplers=place.samplers)
    serve(app, port)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
