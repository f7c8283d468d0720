"""``riffusion-ext audio-to-images-batch``: a folder of clips to one image each, in parallel."""

from __future__ import annotations

import argparse
from pathlib import Path

from riffusion_ext.commands.shared.options import (
    FILE_RATE,
    UsageError,
    add_common_options,
    add_control,
    add_params_options,
    check_device,
    existing_of,
    params_of,
)
from riffusion_ext.commands.shared.report import Reporter
from riffusion_ext.convert import Result
from riffusion_ext.convert.targets import pair_with_targets
from riffusion_ext.files.paths import SOUND_SUFFIXES, expand, user_path
from riffusion_ext.options.convert.to_images import BATCH
from riffusion_ext.params import PRESETS

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "audio-to-images-batch",
        help="turn each sound file of a folder into an image",
        description="Turn each sound file of a folder into a spectrogram image. The options are those of the "
        "original library's command. It writes stereo JPEG by default; this command writes mono PNG, which "
        "riffusion-model-v1 was trained on. For stereo JPEG, use --stereo --image-extension jpg. Files that cannot be "
        "read are reported, and existing images are kept.",
    )
    parser.add_argument("--audio-dir", "-i", required=True, metavar="DIR", help="folder of sound files")
    parser.add_argument("--output-dir", "-o", required=True, metavar="DIR", help="folder for the images")
    add_control(parser, BATCH["image_extension"])
    add_control(parser, BATCH["mono"], action="store_true")
    add_control(parser, BATCH["num_threads"])
    add_control(parser, BATCH["limit"])
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
    if args.mono and args.stereo:
        raise UsageError("--mono and --stereo contradict each other")
    params = params_of(args) or PRESETS["riffusion-v1"]
    if args.mono:
        params = params.replace(stereo=False)
    check_device(args)
    passed: list[Path] = []
    files, missing = expand([args.audio_dir], SOUND_SUFFIXES, passed=passed)
    files = files[: args.limit] if args.limit > 0 else files

    from riffusion_ext.convert import sounds_to_images
    from riffusion_ext.convert.parallel import cores, map_in_threads
    from riffusion_ext.spectrogram.threads import single_core_threads

    pairs, notes = pair_with_targets(files, user_path(args.output_dir), f".{args.image_extension}")

    def work(pair: tuple[Path, Path]) -> Result:
        own_rate = args.sample_rate == FILE_RATE
        (result,) = sounds_to_images([pair], params, existing=existing_of(args), own_rate=own_rate)
        return result

    with Reporter("audio-to-images-batch", len(files), json=args.json, quiet=args.quiet) as report:
        report.found(missing, passed, notes)
        for result in map_in_threads(work, pairs, args.num_threads or cores(), start=single_core_threads):
            report.add(result)
    return report.finish()
