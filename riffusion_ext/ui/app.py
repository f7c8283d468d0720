"""The tab by itself, served without a webui."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import riffusion_ext
from riffusion_ext.api.server import Access, build_application, listen, run_until_stopped
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files import scratch
from riffusion_ext.files.paths import user_path
from riffusion_ext.services.model_provider import ModelProvider, NoModel, RemoteModel
from riffusion_ext.ui.gradio_compat import mount_options, open_queue, page, queue_token, run_script
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.pages.tab import add_pages

__all__ = ["add_page_routes", "build_app", "serve", "serve_pages"]


def _beside(name: str) -> str:
    """Return a text that lies beside the package in a checkout, where a webui looks for it; "" elsewhere."""
    path = Path(riffusion_ext.__file__).resolve().parent.parent / name
    return path.read_text("utf-8") if path.is_file() else ""


def build_app(output_dir: Path, *, folders: bool = True, model: ModelProvider | None = None) -> Any:
    """Build the page: a heading and the tab's pages.

    Parameters
    ----------
    output_dir
        Folder for results.
    folders
        Whether users may name folders of this machine.
    model
        What generates images; None for nothing.

    Returns
    -------
    gr.Blocks
    """
    import gradio as gr

    place = PageContext(output_dir=lambda: output_dir, folders=folders, model=model or NoModel())
    with page("Riffusion", _beside("style.css")) as app:
        gr.Markdown("# Riffusion\nSpectrogram images to sound, and sound to images.")
        add_pages(place)
        run_script(app, _beside("javascript/riffusion_gallery.js"))  # of it: one player at a time, Space plays
        for part in ("_player", "_screen", ""):
            run_script(app, _beside(f"javascript/riffusion_live{part}.js"))
    return app


def add_page_routes(web: Any) -> None:
    """Put the routes that the pages themselves need into a server: clips and images by id, and what plays live."""
    from riffusion_ext.api.routes.live import mount_live
    from riffusion_ext.api.routes.page import mount_media
    from riffusion_ext.generate.live.registry import JAMS
    from riffusion_ext.library import LIBRARY

    mount_media(web, LIBRARY)
    mount_live(web, JAMS)


def serve(
    access: Access, output_dir: Path, *, open_browser: bool = False, api: bool = False, webuis: Sequence[str] = ()
) -> int:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    access
        Where to listen, and who may come in. Users may name folders of this machine only where nobody else can.
    output_dir
        Folder for results.
    open_browser
        Open the page in the user's browser.
    api
        Whether other programs find the routes of :mod:`riffusion_ext.api` there.
    webuis
        Addresses of webuis that generate for the pages, and for the routes.

    Returns
    -------
    int
        Exit code: 0, or 1 where the port is taken, the folder cannot be used, or no webui is there.
    """
    folder = user_path(output_dir).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _failed(f"cannot use {folder} for results: {error.strerror}")
    try:
        model = RemoteModel(webuis) if webuis else NoModel()
    except RiffusionError as error:
        return _failed(str(error))
    return serve_pages(access, folder, model, open_browser=open_browser, api=api)


def serve_pages(
    access: Access, folder: Path, model: ModelProvider, *, open_browser: bool = False, api: bool = False
) -> int:
    """Serve the page until Ctrl-C, with the model given; the rest as for :func:`serve`.

    Parameters
    ----------
    model
        What generates images.
    """
    try:
        access.check()
        bound = listen(access)
    except RiffusionError as error:
        return _failed(str(error))
    except (OSError, OverflowError) as error:
        return _failed(f"cannot listen on {access.host}:{access.port}: {error}. Try another --port.")
    with closing(bound):
        return _serve(access, folder, bound, model, open_browser=open_browser, api=api)


def _serve(
    access: Access,
    folder: Path,
    bound: socket.socket,
    model: ModelProvider,
    *,
    open_browser: bool,
    api: bool,
) -> int:
    from riffusion_ext.generate.live.registry import JAMS

    own = scratch.new().resolve()
    cache, tempfile.tempdir = own / "gradio", str(own)  # gradio 4 leaves uploads that broke off among temporary files
    cache.mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(cache)  # read as the components are made
    url = f"{access.url}:{bound.getsockname()[1]}"
    blocks = build_app(folder, folders=access.is_private, model=model)
    open_queue(blocks)

    def add_routes(web: Any) -> None:
        add_page_routes(web)
        if api:
            from riffusion_ext.api.app import mount
            from riffusion_ext.api.context import ApiContext

            # Behind a login for everything, the routes need none of their own.
            credentials = {} if access.credentials else access.api_credentials
            mount(web, ApiContext(output=lambda: folder, model=model), credentials)

    def mount_page(web: Any) -> str:
        import gradio as gr

        gr.mount_gradio_app(web, blocks, path="/", **mount_options(blocks))
        return queue_token(blocks, f"{url}/")

    def started() -> None:
        sys.stdout.write(f"Riffusion runs on {url}  (results go to {folder}; stop with Ctrl-C)\n")
        sys.stdout.flush()
        if open_browser:
            webbrowser.open(url)

    try:
        run_until_stopped(build_application(mount_page, access, cache, add_routes), bound, started)
    except RiffusionError as error:
        return _failed(str(error))
    finally:
        JAMS.close()
    return 0


def _failed(text: str) -> int:
    sys.stderr.write(f"riffusion-ext ui: {text}\n")
    return 1
