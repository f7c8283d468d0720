"""``riffusion-ext song``: prompts over time to music, painted by a webui."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.commands.shared.generation import add_options, make, opened, score_of, values_of
from riffusion_ext.options.song import LEVEL, OPTIONS, settings_of

if TYPE_CHECKING:
    from riffusion_ext.generate.piece import Piece
    from riffusion_ext.generate.song import SongSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["add_parser", "run"]

_PICTURES = {
    "seed_picture": "what the windows start from, repeated along the song",
    "mask": "where the init image is regenerated: white everything, black nothing",
    "before": "an image that the song goes on from",
}
_EPILOG = """\
examples:
  riffusion-ext song "8 bars | funky sax" "8 bars | jazz piano -- vocals | cfg 8" --webui http://127.0.0.1:7860 -o a.wav
  riffusion-ext song score.txt --webui http://gpu1:7860 --webui http://me:secret@gpu2:7860 -o song.flac

A line for each part: how long | prompt -- negative prompt | seed 42 | denoise 0.6 | cfg 7
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "song",
        help="make a song from prompts over time, by a webui",
        description="Make a song from prompts over time. A webui with a Riffusion model generates it; several webuis "
        "share the work.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("score", nargs="+", metavar="SCORE", help="lines of the score, or files of lines")
    for name, help_ in _PICTURES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="P", help=help_)
    add_options(parser, OPTIONS, LEVEL)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    settings = settings_of({"score": score_of(args.score), **values_of(args, OPTIONS)})
    pictures = {name: opened(getattr(args, name)) for name in _PICTURES}

    def begin(settled: SongSettings, folder: Path, decode: DecodeSettings) -> Piece:
        from riffusion_ext.generate.song import Song

        return Song(settled, folder, decode=decode, **pictures)

    return make(args, settings, begin, title=settings.score.keyframes[0].prompt, pictures=pictures)
