"""``riffusion-ext info``: what is recorded in an image or a sound file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from riffusion_ext import __version__
from riffusion_ext.commands.shared.options import UsageError, add_output_options
from riffusion_ext.commands.shared.report import failure, printable, write_json
from riffusion_ext.convert import explain
from riffusion_ext.convert.describe import ImageFacts, SoundFacts, describe, rows
from riffusion_ext.files.kinds import passed_over_line
from riffusion_ext.files.paths import IMAGE_SUFFIXES, SOUND_SUFFIXES, expand

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser, also under the original's name."""
    parser = commands.add_parser(
        "info",
        aliases=["print-exif"],
        help="show what is recorded in an image or a sound file",
        description="Show the spectrogram parameters and all else recorded in images and in sound made from them.",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="images, sound files, folders or patterns")
    parser.add_argument(
        "--image", "--audio", dest="more", nargs="+", action="extend", default=[], metavar="P", help="the same"
    )
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    names = [*args.files, *args.more]
    if not names:
        raise UsageError("name at least one image or sound file")
    passed: list[Path] = []
    files, missing = expand(names, IMAGE_SUFFIXES | SOUND_SUFFIXES, passed=passed)
    if passed and not args.quiet:
        sys.stderr.write(f"note: {passed_over_line(passed)}\n")
    results: list[dict[str, Any]] = [{"source": str(path), "error": why} for path, why in missing]
    texts: dict[str, str] = {}
    for path in files:
        try:
            facts = describe(path)
            results.append({"source": str(path), "error": None, **facts})
            texts[str(path)] = _text(str(path), facts)
        except Exception as error:
            results.append({"source": str(path), "error": explain(error)})
    failed = sum(item["error"] is not None for item in results)
    if args.json:
        write_json(
            {
                "program": "riffusion-ext",
                "version": __version__,
                "command": "info",
                "failed": failed,
                "results": results,
            }
        )
    for item in results:
        if item["error"] is not None:
            sys.stderr.write(printable(failure(Path(item["source"]), item["error"])) + "\n")
        elif not args.json:
            sys.stdout.write(texts[item["source"]])
    return 1 if failed else 0


def _text(source: str, facts: ImageFacts | SoundFacts) -> str:
    table = rows(facts)
    width = max(len(what) for what, _ in table) + 2
    lines = [f"  {what:<{width}}{value}" for what, value in table]
    return "\n".join(printable(line) for line in [source, *lines]) + "\n"
