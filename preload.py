"""Add the command line flags of this extension to the webui.

The webui imports this file before dependencies are available: standard library only.
"""

from __future__ import annotations

import argparse
import contextlib

_DEVICE_HELP = (
    "device that turns Riffusion images into sound: cpu, cuda, cuda:1; wins over the setting "
    "(default: the device that the model runs on, and the CPU where that cannot do it)"
)

_HOST_HELP = (
    "names, with commas between them, under which this webui is reached, such as that of a proxy before it; our "
    "routes answer to no others, so that pages of other sites cannot call them (* is any name)"
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
