"""Add the command line flags of this extension to the webui.

The webui imports this file before dependencies are available: standard library only.
"""

from __future__ import annotations

import argparse
import contextlib

_DEVICE_HELP = (
    "device that turns Riffusion images into sound, such as cpu, cuda or cuda:1; overrides the setting "
    "(default: the device of the model, or the CPU if that device cannot do it)"
)

_HOST_HELP = (
    "host names under which this webui is reached, separated by commas, such as that of a reverse proxy; Riffusion's "
    "routes refuse requests to other names, so that pages of other sites cannot call them (*: any name)"
)


def preload(parser: argparse.ArgumentParser) -> None:
    """Add our flags to the webui's parser.

    A flag that exists already is left alone: there may be a second copy of the extension, or the parser is built twice.
    """
    for flag, metavar, text in (
        ("--riffusion-device", "DEVICE", _DEVICE_HELP),
        ("--riffusion-allow-host", "NAMES", _HOST_HELP),
    ):
        with contextlib.suppress(argparse.ArgumentError):
            parser.add_argument(flag, metavar=metavar, default=None, help=text)
