"""``riffusion-ext audio-to-image``: sound to images."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from riffusion_ext.commands.shared.options import (
    FILE_RATE,
    add_common_options,
    add_control,
    add_params_options,
    check_device,
    existing_of,
    params_of,
    plan_targets,
)
from riffusion_ext.commands.shared.report import Reporter
from riffusion_ext.convert import sounds_to_images
from riffusion_ext.convert.to_images import tile_path
from riffusion_ext.files.paths import SOUND_SUFFIXES, expand
from riffusion_ext.options.convert.to_images import TO_IMAGES
from riffusion_ext.params import PRESET_COLUMNS, PRESETS

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "audio-to-image",
        help="turn sound into images",
        description="Turn sound files into spectrogram images that carry their parameters: "
        "one image of the whole sound, or tiles.",
    )
    parser.add_argument("--audio", "-i", nargs="+", required=True, metavar="A", help="sound files, folders or patterns")
    parser.add_argument(
        "--image", "-o", metavar="P", help="image file, or a folder for several (default: beside each sound file)"
    )
    add_control(parser, TO_IMAGES["format"], default=None)  # or that of the image's name
    add_control(parser, TO_IMAGES["tiles"], action="store_true")
    columns = TO_IMAGES["columns"]
    others = ", ".join(f"{name}: {width}" for name, width in PRESET_COLUMNS.items() if width != columns.default)
    widths = f"{columns.default}; {others}"
    add_control(parser, columns, default=None, help=f"width of a tile in columns ({widths}); implies --tiles")
    add_control(parser, TO_IMAGES["tile_level"])
    add_control(parser, TO_IMAGES["start"], metavar="S")
    add_control(parser, TO_IMAGES["duration"], metavar="S")
    parser.add_argument(
        "--device",
        default="cpu",
        help="ignored; accepted for compatibility with old scripts, images are made on the CPU",
    )
    add_common_options(parser)
    add_params_options(parser, "recorded in the images; use the values that the model was trained with", of_files=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    usual = PRESET_COLUMNS.get(args.preset, TO_IMAGES["columns"].default)
    columns = args.columns if args.columns is not None else usual if args.tiles else None
    params = params_of(args) or PRESETS["riffusion-v1"]
    check_device(args)
    passed: list[Path] = []
    files, missing = expand(args.audio, SOUND_SUFFIXES, passed=passed)
    suffixes = [".png", ".jpg", ".jpeg", ".webp"]
    first = (lambda path: path) if columns is None else partial(tile_path, number=0)
    pairs, notes = plan_targets(files, args.image, "--image", suffixes, args.format, "png", first)
    with Reporter("audio-to-image", len(files), json=args.json, quiet=args.quiet) as report:
        report.found(missing, passed, notes)
        for result in sounds_to_images(
            pairs,
            params,
            columns=columns,
            tile_level=args.tile_level,
            start=args.start,
            duration=args.duration,
            existing=existing_of(args),
            own_rate=args.sample_rate == FILE_RATE,
        ):
            report.add(result)
    return report.finish()
