"""``riffusion-ext ui``: serve the Riffusion tab without a webui."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.commands.shared.options import add_control
from riffusion_ext.commands.shared.webui import add_webui_option, webuis_of
from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.server import SERVER
from riffusion_ext.signals import exit_code, received_signal

if TYPE_CHECKING:
    from riffusion_ext.api.server import Access

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "ui",
        help="open the tab in a browser, without a webui",
        description="Serve the Riffusion tab without a webui. The pages Song, Riff, Loop and Live generate with the "
        "model of a webui that runs with --api, on this machine or another one (--webui). Press Ctrl-C to stop.",
    )
    add_control(parser, SERVER["host"], metavar="HOST")
    add_control(parser, SERVER["port"], metavar="PORT")
    add_control(parser, SERVER["open"], action="store_true")
    add_control(parser, SERVER["output_dir"], metavar="DIR")
    add_control(parser, SERVER["api"], action="store_true")
    parser.add_argument(
        "--auth",
        action="append",
        default=[],
        metavar="USER:PASSWORD",
        help="password for all pages and routes; required if --host lets other machines in. Repeat the option for "
        "several users. The environment variable RIFFUSION_AUTH can hold one user",
    )
    parser.add_argument(
        "--api-auth",
        action="append",
        default=[],
        metavar="USER:PASSWORD",
        help="password for the routes of --api. Repeat the option for several users",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another host name under which the server is reached, such as that of a reverse proxy",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin of a site whose pages may call the server, such as https://music.example",
    )
    add_webui_option(parser)
    parser.add_argument("--verbose", "-v", action="store_true", help="show the details of errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command until the server is stopped, and return the exit code."""
    if importlib.util.find_spec("gradio") is None:
        sys.stderr.write(
            'riffusion-ext ui needs gradio, which is not installed here: pip install "riffusion-ext[ui]"\n'
        )
        return 1
    try:
        access = _access(args)
    except RiffusionError as error:
        sys.stderr.write(f"riffusion-ext ui: {error}\n")
        return 2
    from riffusion_ext.ui.app import serve

    code = serve(access, Path(args.output_dir), open_browser=args.open, api=args.api, webuis=webuis_of(args))
    if received_signal() is None:
        return code
    sys.stderr.write(f"stopped; results and recordings are in {args.output_dir}\n")
    return exit_code()


def _access(args: argparse.Namespace) -> Access:
    """Return the access rules; raise a RiffusionError if they are ambiguous, or let anybody in."""
    from riffusion_ext.api.access.auth import parse_credential
    from riffusion_ext.api.server import Access

    if args.api_auth and not args.api:
        raise RiffusionError("--api-auth is about the routes of --api, which are not asked for; --auth protects all")
    variable = os.environ.get("RIFFUSION_AUTH")
    access = Access(
        args.host,
        args.port,
        dict(parse_credential(text) for text in [*args.auth, *([variable] if variable else [])]),
        dict(parse_credential(text) for text in args.api_auth),
        args.allow_host,
        args.allow_origin,
    )
    access.check()
    return access
