"""The option ``--webui``: where the model is."""

from __future__ import annotations

import argparse
import os

__all__ = ["VARIABLE", "add_webui_option", "webuis_of"]

VARIABLE = "RIFFUSION_WEBUI"
"""Environment variable with addresses for those who name none, with blanks between them."""


def add_webui_option(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--webui",
        action="append",
        metavar="URL",
        help="address of a webui to generate with, such as http://user:password@host:7860; it must run with --api and "
        f"have this extension. Repeat the option to use several; if one fails, the others do its part ({VARIABLE})",
    )


def webuis_of(args: argparse.Namespace) -> list[str]:
    """Return the addresses that were given, else those of the environment."""
    return list(args.webui or os.environ.get(VARIABLE, "").split())
