"""The tab by itself, with a painter of clouds in place of a model: ``live_server.py PORT FOLDER SECONDS``."""

from __future__ import annotations

import sys
from pathlib import Path

from riffusion_ext.ui.app import build_app, open_doors
from riffusion_ext.ui.render import open_queue
from tests.unit.ui.painting import Studio


def main(port: int, folder: Path, seconds: float) -> None:
    """Serve until the process is ended; each window takes so many seconds."""
    place = Studio(max_batch=1, delay=seconds).place(folder)
    app = build_app(folder, backend=place.backend, samplers=place.samplers)
    open_queue(app)
    launched = app.launch(
        server_name="127.0.0.1",
        server_port=port,
        allowed_paths=[str(folder)],
        show_api=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    open_doors(launched[0])
    app.block_thread()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
