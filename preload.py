"""Command line flags of the webui that belong to this extension.

The webui imports this file before any dependency can be: standard library only.
"""

from __future__ import annotations

import argparse

_DEVICE_HELP = (
    "device that turns Riffusion pictures into sound: cpu, cuda, cuda:1; wins over the setting "
    "(default: the device that the model runs on, and the CPU where that cannot do it)"
)


def preload(parser: argparse.ArgumentParser) -> None:
    """Add our flags to the webui's parser.

    A flag that is there already (a second copy of the extension, a parser that is built twice) is left alone.
    """
    try:
        parser.add_argument("--riffusion-device", metavar="DEVICE", default=None, help=_DEVICE_HELP)
    except argparse.ArgumentError:
        return
