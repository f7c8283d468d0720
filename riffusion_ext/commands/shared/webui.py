"""The option ``--webui``: addresses of webuis that generate."""

from __future__ import annotations

import argparse
import os

__all__ = ["ENVIRONMENT_VARIABLE", "add_webui_option", "webuis_of"]

ENVIRONMENT_VARIABLE = "RIFFUSION_WEBUI"
"""Environment variable with default addresses, separated by blanks."""


def add_webui_option(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--webui",
        action="append",
        metavar="URL",
        help="address of a webui to generate with, such as http://user:password@host:7860; it must run with --api and "
        f"have this extension. Repeat the option to use several; if one fails, the others do its part "
        f"({ENVIRONMENT_VARIABLE})",
    )


def webuis_of(args: argparse.Namespace) -> list[str]:
    """Return the addresses of the option, or else those in the environment variable."""
    return list(args.webui or os.environ.get(ENVIRONMENT_VARIABLE, "").split())
