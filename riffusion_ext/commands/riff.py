"""``riffusion-ext riff``: a song regenerated, by a webui."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.commands.shared.generation import add_options, render_to_file, score_of, values_of
from riffusion_ext.commands.shared.options import UsageError
from riffusion_ext.files.paths import user_path
from riffusion_ext.options.riff import LEVEL, OPTIONS, settings_of

if TYPE_CHECKING:
    from riffusion_ext.generate.piece import WindowedPiece
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  riffusion-ext riff song.ogg --prompt "live jazz band" --webui http://127.0.0.1:7860 -o jazz.wav
  riffusion-ext riff song.ogg --prompt "choir" --denoise "0:00 0.2, 1:00 0.4" --channels stereo --preview -o choir.wav
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "riff",
        help="turn a song into a new version, by a webui",
        description="Turn a song into a new version that keeps its structure. A webui with a Riffusion model "
        "generates it; several webuis share the work.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("song", metavar="SONG", help="sound file")
    parser.add_argument("--preview", action="store_true", help="only the first window; the rest later goes on from it")
    add_options(parser, OPTIONS, LEVEL)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    from riffusion_ext.audio.io import read_audio

    if not args.prompt.strip() and not args.score:
        raise UsageError("--prompt says what the song becomes, or --score what it becomes over time")
    values = values_of(args, OPTIONS) | {"score": score_of([args.score]) if args.score else ""}
    settings = settings_of(values)
    path = user_path(args.song)
    song = read_audio(path)

    def make_piece(settings: RiffSettings, folder: Path, decode: DecodeSettings) -> WindowedPiece:
        from riffusion_ext.generate.riff import Riff

        return Riff(song, settings, folder, decode=decode)

    return render_to_file(args, settings, make_piece, title=path.stem, limit=1 if args.preview else None)
