"""``riffusion-ext info``: the parameters recorded in images and sound files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from riffusion_ext import __version__
from riffusion_ext.commands.shared.options import UsageError, add_output_options
from riffusion_ext.commands.shared.report import escape_controls, failure_line, write_json
from riffusion_ext.convert import explain
from riffusion_ext.convert.describe import ImageFacts, SoundFacts, describe, rows
from riffusion_ext.files.kinds import passed_over_line
from riffusion_ext.files.paths import IMAGE_SUFFIXES, SOUND_SUFFIXES, expand

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser, also under the name in the original."""
    parser = commands.add_parser(
        "info",
        aliases=["print-exif"],
        help="show what is recorded in an image or a sound file",
        description="Show the spectrogram parameters and everything else that is recorded in images and sound files.",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="images, sound files, folders or patterns")
    parser.add_argument(
        "--image", "--audio", dest="more", nargs="+", action="extend", default=[], metavar="P", help="the same as FILE"
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
    results: list[dict[str, object]] = [{"source": str(path), "error": why} for path, why in missing]
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
            sys.stderr.write(escape_controls(failure_line(Path(str(item["source"])), str(item["error"]))) + "\n")
        elif not args.json:
            sys.stdout.write(texts[str(item["source"])])
    return 1 if failed else 0


def _text(source: str, facts: ImageFacts | SoundFacts) -> str:
    table = rows(facts)
    width = max(len(what) for what, _ in table) + 2
    lines = [f"  {what:<{width}}{value}" for what, value in table]
    return "\n".join(escape_controls(line) for line in [source, *lines]) + "\n"
