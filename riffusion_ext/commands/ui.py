"""``riffusion-ext ui``: the Riffusion tab by itself, without a webui."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from riffusion_ext import scratch
from riffusion_ext.commands.webui import add_webui_option, webuis_of
from riffusion_ext.signals import exit_code, received

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "ui",
        help="open the tab in a browser, without a webui",
        description="Serve the Riffusion tab by itself. Its pages Song, Riff and Loop need a model: that of a webui "
        "which runs with --api, here or on another machine. Stop it with Ctrl-C.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in (127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=7862, help="port to listen on (7862)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--output-dir", default="riffusion-output", metavar="DIR", help="folder for results (riffusion-output)"
    )
    parser.add_argument(
        "--api", action="store_true", help="let other programs convert by HTTP, too: /riffusion/v1/docs has the routes"
    )
    parser.add_argument(
        "--api-auth", default="", metavar="USER:PASSWORD", help="passwords for --api, several with commas between them"
    )
    add_webui_option(parser)
    parser.add_argument("--verbose", "-v", action="store_true", help="show the details of errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns when the server was stopped."""
    if importlib.util.find_spec("gradio") is None:
        sys.stderr.write(
            'riffusion-ext ui needs gradio, which is not installed here: pip install "riffusion-ext[ui]"\n'
        )
        return 1
    credentials: dict[str, str] = {}
    if args.api_auth:
        from riffusion_ext.api.guard import parse_credentials

        credentials = parse_credentials(args.api_auth)
        if not credentials:
            sys.stderr.write("riffusion-ext ui: --api-auth takes user:password\n")
            return 2
    _use_scratch()
    from riffusion_ext.ui.app import serve

    code = serve(
        host=args.host,
        port=args.port,
        output_dir=Path(args.output_dir),
        open_browser=args.open,
        api=args.api,
        credentials=credentials,
        webuis=webuis_of(args),
    )
    if received() is None:
        return code
    sys.stderr.write(f"stopped; results and recordings are in {args.output_dir}\n")
    return exit_code()


def _use_scratch() -> None:
    """Have gradio put uploads into a folder that goes with the server, and remove those of servers that were killed."""
    folder = scratch.new()
    os.environ.setdefault("GRADIO_TEMP_DIR", str(folder))
