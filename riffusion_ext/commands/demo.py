"""``riffusion-ext demo``: a synthesised tune to images and back to sound."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from riffusion_ext.commands.shared.options import add_control, add_device_option, add_output_options, check_device
from riffusion_ext.commands.shared.report import write_json

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="compose a tune, turn it into images and back into sound",
        description="Compose a short tune, turn it into training images, turn those back into sound, and report the "
        "difference.",
    )
    parser.add_argument(
        "--output-dir",
        default="riffusion-demo",
        metavar="DIR",
        help="folder for the files; files of an earlier demo are replaced (riffusion-demo)",
    )
    add_control(parser, "engine")
    add_control(parser, "high_frequencies")
    add_device_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    from riffusion_ext.demo import run_demo

    check_device(args)
    silent = args.quiet or args.json

    def say(text: str) -> None:
        if not silent:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    outcome = run_demo(
        Path(args.output_dir),
        engine=args.engine,
        device=args.device,
        high_frequencies=args.high_frequencies,
        program=_program(),
        say=say,
    )
    if args.json:
        write_json({"program": "riffusion-ext", "command": "demo", **outcome})
    return 0


def _program() -> str:
    """Return the command with which the user can call this program again, even if it is not on PATH."""
    called = Path(sys.argv[0])
    if called.stem != "riffusion-ext":
        return f"{Path(sys.executable).name} -m riffusion_ext"
    found = shutil.which(called.stem)
    if found is not None and Path(found).resolve() == called.resolve():
        return called.stem
    return os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called)
