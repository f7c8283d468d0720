"""``riffusion-ext image-to-audio``: images to sound."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from riffusion_ext.commands.shared.options import (
    UsageError,
    add_common_options,
    add_control,
    add_device_option,
    add_params_options,
    check_device,
    decode_settings_of,
    existing_of,
    params_of,
    plan_targets,
    target_file,
)
from riffusion_ext.commands.shared.report import Reporter
from riffusion_ext.convert import Result
from riffusion_ext.files.paths import IMAGE_SUFFIXES, expand, is_folder_name, user_path
from riffusion_ext.options.convert.to_audio import BITS, JOIN, SUBTYPES, TO_AUDIO

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "image-to-audio",
        help="turn images into sound",
        description="Turn spectrogram images into sound, with the parameters recorded in each image, if any.",
    )
    parser.add_argument("--image", "-i", nargs="+", required=True, metavar="P", help="images, folders or patterns")
    parser.add_argument(
        "--audio", "-o", metavar="A", help="sound file, or a folder for several (default: beside each image)"
    )
    add_control(parser, "format", default=None)
    add_control(parser, BITS)
    for name in ("engine", "level", "channels", "high_frequencies"):
        add_control(parser, name)
    add_control(parser, JOIN)
    add_control(parser, TO_AUDIO["order"])
    crossfade = "length of the fade between joined clips, in seconds; implies --join clips"
    add_control(parser, TO_AUDIO["crossfade"], default=None, metavar="S", help=crossfade)
    add_control(parser, TO_AUDIO["seed"])
    add_device_option(parser)
    add_common_options(parser)
    add_params_options(parser, "values given here override those recorded in the images")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    join = args.join or ("clips" if args.crossfade is not None else None)
    if join == "song" and args.crossfade is not None:
        raise UsageError("--join song has no seams to fade: leave out --crossfade, or use --join clips")
    params = params_of(args)
    check_device(args)
    passed: list[Path] = []
    in_order = join is not None and args.order == "natural"
    files, missing = expand(args.image, IMAGE_SUFFIXES, sort_named=in_order, passed=passed)
    pairs, notes = _plan(args, files, join)

    from riffusion_ext.convert import check_format, images_to_sounds, join_clips, song_to_sound

    for name in {target.suffix.lower().lstrip(".") for _, target in pairs}:
        check_format(name)
    settings = decode_settings_of(args, params)
    existing, subtype = existing_of(args), SUBTYPES[args.bits]
    with Reporter("image-to-audio", len(files), json=args.json, quiet=args.quiet) as report:
        report.found(missing, passed, notes)
        results: Iterable[Result] = ()
        if files and join is None:
            results = images_to_sounds(pairs, settings, existing=existing, subtype=subtype, progress=report.progress)
        elif files and join == "song":
            results = song_to_sound(
                files, pairs[0][1], settings, existing=existing, subtype=subtype, progress=report.progress
            )
        elif files:
            results = join_clips(
                files,
                pairs[0][1],
                settings,
                crossfade=args.crossfade or TO_AUDIO["crossfade"].default,
                existing=existing,
                subtype=subtype,
                progress=report.progress,
            )
        for result in results:
            report.add(result)
    return report.finish()


def _plan(args: argparse.Namespace, files: list[Path], join: str | None) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return pairs of image and sound file (one file for all if joined), and notes about their names."""
    suffixes = [".wav", ".flac", ".ogg", ".mp3"]
    if join is None:
        return plan_targets(files, args.audio, "--audio", suffixes, args.format, "wav")
    name = args.audio
    if name is None or is_folder_name(name):
        folder = user_path(name) if name else files[0].parent if files else Path()
        target = folder / f"joined.{args.format or 'wav'}"
    else:
        target = target_file(name, "--audio", suffixes, args.format)
    return [(source, target) for source in files], []
