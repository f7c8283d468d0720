"""``riffusion-ext loop``: a few bars that go round without a seam, painted by a webui."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.commands.shared.generation import add_options, make, opened, values_of
from riffusion_ext.commands.shared.options import UsageError
from riffusion_ext.options.loop import LEVEL, OPTIONS, settings_of

if TYPE_CHECKING:
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.piece import Piece
    from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  riffusion-ext loop --prompt "deep house bassline" --bars 2 --bpm 124 --webui http://127.0.0.1:7860 -o bass.wav
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "loop",
        help="make a loop of whole bars, by a webui",
        description="Make a seamless loop of whole bars, exact to the sample. A webui with a Riffusion model "
        "generates it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed-picture", metavar="P", help="what it starts from")
    add_options(parser, OPTIONS, LEVEL)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    if not args.prompt.strip():
        raise UsageError("--prompt says what the loop sounds like")
    picture = opened(args.seed_picture)

    def begin(settled: LoopSettings, folder: Path, decode: DecodeSettings) -> Piece:
        from riffusion_ext.generate.loop import Loop

        return Loop(settled, folder, seed_picture=picture, decode=decode)

    settings = settings_of(values_of(args, OPTIONS))
    return make(args, settings, begin, title=settings.prompt, pictures={"seed_picture": picture})
