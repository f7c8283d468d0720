"""The standalone server: the pages of the tab, without a webui."""

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
from riffusion_ext.ui.gradio_types import Blocks
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.pages.tab import add_pages

__all__ = ["add_page_routes", "build_app", "serve", "serve_pages"]


def _read_checkout_file(name: str) -> str:
    """Return the text of a file of the checkout, such as ``style.css``; "" if the package is installed without it."""
    path = Path(riffusion_ext.__file__).resolve().parent.parent / name
    return path.read_text("utf-8") if path.is_file() else ""


def build_app(output_dir: Path, *, folders: bool = True, model: ModelProvider | None = None) -> Blocks:
    """Build the page: a heading and the tab's pages.

    Parameters
    ----------
    output_dir
        Folder for results.
    folders
        Whether users may name folders of this machine.
    model
        Generates images; None for no model.

    Returns
    -------
    gr.Blocks
    """
    import gradio as gr

    context = PageContext(output_dir=lambda: output_dir, folders=folders, model=model or NoModel())
    with page("Riffusion", _read_checkout_file("style.css")) as app:
        gr.Markdown("# Riffusion\nSpectrogram images to sound, and sound to images.")
        add_pages(context)
        run_script(app, _read_checkout_file("javascript/riffusion_gallery.js"))  # here: one player at a time, and Space
        for part in ("_player", "_screen", ""):
            run_script(app, _read_checkout_file(f"javascript/riffusion_live{part}.js"))
    return app


def add_page_routes(web: Any) -> None:
    """Add the routes that the pages need to a server: clips and images by id, and those of live sessions."""
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
        Address to listen on, and who has access. Users may name folders of this machine only if no other machine has
        access.
    output_dir
        Folder for results.
    open_browser
        Open the page in the user's browser.
    api
        Whether the routes of :mod:`riffusion_ext.api` are served, too.
    webuis
        Addresses of webuis that generate images for the pages and the routes.

    Returns
    -------
    int
        Exit code: 0, or 1 if the port is taken, the folder cannot be used, or no webui answers.
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
    """Serve the page with a given model until Ctrl-C. The other parameters are those of :func:`serve`.

    Parameters
    ----------
    model
        Generates images.
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
    cache, tempfile.tempdir = own / "gradio", str(own)  # gradio 4 leaves aborted uploads there
    cache.mkdir()
    os.environ["GRADIO_TEMP_DIR"] = str(cache)  # read when the components are made
    url = f"{access.url}:{bound.getsockname()[1]}"
    blocks = build_app(folder, folders=access.is_private, model=model)
    open_queue(blocks)

    def add_routes(web: Any) -> None:
        add_page_routes(web)
        if api:
            from riffusion_ext.api.app import mount
            from riffusion_ext.api.context import ApiContext

            # With a login for the whole server, the routes need no passwords of their own.
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
