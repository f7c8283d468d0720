"""The tab by itself, served without a webui."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import riffusion_ext
from riffusion_ext.addresses import is_loopback
from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.render import open_queue, page, run_script
from riffusion_ext.ui.tabs.convert import add_pages
from riffusion_ext.ui.tabs.place import Place

__all__ = ["build_app", "open_doors", "serve"]


def _beside(name: str) -> str:
    """Return a text that lies beside the package in a checkout, where a webui looks for it; "" elsewhere."""
    path = Path(riffusion_ext.__file__).resolve().parent.parent / name
    return path.read_text("utf-8") if path.is_file() else ""


def build_app(output_dir: Path, *, folders: bool = True, **more: Any) -> Any:
    """Build the page: a heading and the tab's pages.

    Parameters
    ----------
    output_dir
        Folder for results.
    folders
        Whether users may name folders of this machine.
    more
        Other fields of :class:`~riffusion_ext.ui.tabs.place.Place`.

    Returns
    -------
    gr.Blocks
    """
    import gradio as gr

    place = Place(output_dir=lambda: output_dir, folders=folders, **more)
    with page("Riffusion", _beside("style.css")) as app:
        gr.Markdown("# Riffusion\nSpectrogram pictures to sound, and sound to pictures.")
        add_pages(place)
        run_script(app, _beside("javascript/riffusion_gallery.js"))  # of it: one player at a time, Space plays
        for part in ("_player", "_screen", ""):
            run_script(app, _beside(f"javascript/riffusion_live{part}.js"))
    return app


def open_doors(app: Any) -> None:
    """Put the routes that the pages themselves need into the server of a page that was launched."""
    from riffusion_ext.api.live import mount_live
    from riffusion_ext.generate.jams import JAMS

    mount_live(app, JAMS)


def _painting(addresses: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a Place, and of the routes' service, about painting; the webuis must be there."""
    if not addresses:
        return {}
    from riffusion_ext.generate.webuis import Webuis

    webuis = Webuis(addresses)
    webuis.backend()  # for the names of the samplers, and so that a typing error shows at once
    return {"backend": webuis.backend, "samplers": webuis.samplers, "usual_sampler": webuis.usual_sampler}


def _close_to_other_sites(app: Any) -> None:
    """Take away gradio 3's leave for every site that the user visits to call this server and read its answers."""
    app.user_middleware = [item for item in app.user_middleware if item.cls.__name__ != "CORSMiddleware"]
    app.middleware_stack = app.build_middleware_stack()


def serve(
    *,
    host: str,
    port: int,
    output_dir: Path,
    open_browser: bool = False,
    api: bool = False,
    credentials: Mapping[str, str] | None = None,
    webuis: Sequence[str] = (),
) -> int:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    host, port
        Where to listen. Users may name folders of this machine only where nobody else can reach the page.
    output_dir
        Folder for results; the browser may fetch what lies below it.
    open_browser
        Open the page in the user's browser.
    api
        Whether other programs find the routes of :mod:`riffusion_ext.api` there.
    credentials
        Their passwords, by user; None: none is asked for.
    webuis
        Addresses of webuis that paint for the pages, and for the routes.

    Returns
    -------
    int
        Exit code: 0, or 1 where the port is taken, the folder cannot be used, or no webui is there.
    """
    folder = output_dir.expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.stderr.write(f"riffusion-ext ui: cannot use {folder} for results: {error.strerror}\n")
        return 1
    if any(part.startswith(".") for part in folder.parts):
        sys.stderr.write(
            f"note: gradio 3 plays nothing from hidden folders such as {folder}; choose another --output-dir\n"
        )
    try:
        painting = _painting(webuis)
    except RiffusionError as error:
        sys.stderr.write(f"riffusion-ext ui: {error}\n")
        return 1
    app = build_app(folder, folders=is_loopback(host), **painting)
    open_queue(app)
    try:
        launched = app.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            allowed_paths=[str(folder)],
            prevent_thread_lock=True,
            show_api=False,
            quiet=True,
        )
    except OSError as error:
        sys.stderr.write(f"riffusion-ext ui: cannot listen on {host}:{port}: {error}. Try another --port.\n")
        return 1
    _close_to_other_sites(launched[0])
    open_doors(launched[0])
    if api:
        from riffusion_ext.api.app import mount
        from riffusion_ext.api.service import Service

        mount(launched[0], Service(output=lambda: folder, **painting), credentials)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    sys.stdout.write(f"Riffusion runs on http://{shown}:{port}  (results go to {folder}; stop with Ctrl-C)\n")
    sys.stdout.flush()
    try:
        app.block_thread()
    finally:
        from riffusion_ext.generate.jams import JAMS

        JAMS.close()
    return 0
