"""The option ``--webui``: addresses of webuis that generate."""

from __future__ import annotations

import argparse
import os

__all__ = ["VARIABLE", "add_webui_option", "webuis_of"]

VARIABLE = "RIFFUSION_WEBUI"
"""Environment variable with default addresses, separated by blanks."""


def add_webui_option(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--webui",
        action="append",
        metavar="URL",
        help="webui to generate with, as http://user:password@host:7860; it must run with --api and have this "
        f"extension. Repeat the option to share the work; if one fails, the others take over its part ({VARIABLE})",
    )


def webuis_of(args: argparse.Namespace) -> list[str]:
    """Return the addresses of the option, or else those in the environment variable."""
    return list(args.webui or os.environ.get(VARIABLE, "").split())
