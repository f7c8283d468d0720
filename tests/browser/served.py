"""Serve a page as the server by itself does, on whichever gradio is installed."""

from __future__ import annotations

from typing import Any


def serve(app: Any, port: int) -> None:
    """Serve until the process is ended."""
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from riffusion_ext.api.page import mount_media
    from riffusion_ext.library import LIBRARY
    from riffusion_ext.ui.app import open_doors
    from riffusion_ext.ui.render import mount_options, open_queue

    open_queue(app)
    server = gr.mount_gradio_app(FastAPI(openapi_url=None), app, path="/", **mount_options(app))
    open_doors(server)
    mount_media(server, LIBRARY)
    uvicorn.run(server, host="127.0.0.1", port=port, log_level="warning")
