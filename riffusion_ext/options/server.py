"""Options of the standalone server, except those of access (passwords, hosts, origins), which have no defaults."""

from __future__ import annotations

from riffusion_ext.addresses import PORTS
from riffusion_ext.options.option import Option, by_id

__all__ = ["OPTIONS", "SERVER"]

_COMMAND = ("command",)

OPTIONS: tuple[Option, ...] = (
    Option(
        "host",
        "",
        "text",
        "127.0.0.1",
        "address to listen on; 0.0.0.0 lets other machines in and needs --auth",
        interfaces=_COMMAND,
    ),
    Option("port", "", "number", 7862, "port to listen on", bounds=PORTS, step=1, interfaces=_COMMAND),
    Option("open", "", "checkbox", False, "open the page in the browser", interfaces=_COMMAND),
    Option("output_dir", "", "text", "riffusion-output", "folder for results", interfaces=_COMMAND),
    Option(
        "api",
        "",
        "checkbox",
        False,
        "serve the HTTP API for other programs; /riffusion/v1/docs lists its routes",
        interfaces=_COMMAND,
    ),
)
"""Options with a default, in the order of the command line."""

SERVER = by_id(OPTIONS)
