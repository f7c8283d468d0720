"""``riffusion-ext images-to-audio``: a folder of images to clips, cut on the beat, and to one joined track."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
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
)
from riffusion_ext.commands.shared.report import Reporter
from riffusion_ext.convert import Existing, Result, explain
from riffusion_ext.convert.targets import pair_with_targets
from riffusion_ext.files.paths import IMAGE_SUFFIXES, expand, is_folder_name, matches_any, user_path
from riffusion_ext.options.convert.to_audio import BITS, SUBTYPES, TO_AUDIO
from riffusion_ext.options.crop import CROP_CONTROLS, crop_settings
from riffusion_ext.params import SpectrogramParams

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  riffusion-ext images-to-audio --image images/ --crossfade 0.1
  riffusion-ext images-to-audio --image images/ --glob "a*.png, *.jpg" --output-dir sounds/ --joined-name "{date}"
  riffusion-ext images-to-audio --image images/ --crop every --preview cuts/      check the cuts first
  riffusion-ext images-to-audio --image images/ --crop every --no-each            one track, in time

Images are taken in natural order (clip_2 before clip_10). Cut clips stay in time whatever the crossfade: sound from
around the cut is heard only during the fade.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "images-to-audio",
        help="turn a folder of images into clips and one track of all clips",
        description="Turn images into clips, cut to a width or to whole bars of their beat if you like, and join "
        "them into one track. For the tiles of one song, use image-to-audio --join song, which has no seams.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--image", "-i", nargs="+", required=True, metavar="P", help="images, folders or patterns")
    add_control(parser, TO_AUDIO["patterns"], metavar="PATTERNS")
    parser.add_argument("--output-dir", "-o", metavar="DIR", help="folder for the sound (beside each image)")
    add_control(parser, TO_AUDIO["each"], default=None)  # argparse would print a default twice
    add_control(parser, TO_AUDIO["join"], default=None)
    add_control(parser, TO_AUDIO["joined_name"], metavar="NAME")
    add_control(parser, TO_AUDIO["crossfade"], metavar="S")
    add_control(parser, TO_AUDIO["order"])
    add_control(parser, "format", default="wav")
    add_control(parser, BITS)
    for name in ("engine", "level", "channels", "high_frequencies"):
        add_control(parser, name)
    add_control(parser, TO_AUDIO["seed"])
    cut = parser.add_argument_group("cutting", "which part of each image is heard")
    for item in CROP_CONTROLS:
        add_control(cut, item)
    cut.add_argument(
        "--preview",
        metavar="P",
        help="make no sound, but draw beats and cut: of the first image into this file, or of all into this folder",
    )
    add_device_option(parser)
    add_common_options(parser)
    add_params_options(parser, "values given here override those recorded in the images")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    each, join = args.each is not False, args.join is not False
    if not (each or join):
        raise UsageError("--no-each and --no-join leave nothing to do")
    params = params_of(args)
    check_device(args)
    passed: list[Path] = []
    files, missing = expand(args.image, IMAGE_SUFFIXES, sort_named=args.order == "natural", passed=passed)
    passed = [path for path in passed if matches_any(path.name, args.glob)]
    files = [path for path in files if matches_any(path.name, args.glob)]
    if args.glob and not files and not missing:
        missing = [(Path(args.image[0]), f"no image fits --glob {args.glob}")]
    if args.preview:
        return _preview(args, files, missing, passed, params)

    from riffusion_ext.convert import check_format, images_to_clips, joined_path

    check_format(args.format)
    settings = decode_settings_of(args, params)
    ending = f".{args.format}"
    folder = user_path(args.output_dir) if args.output_dir else None
    joined = None
    if join and (len(files) > 1 or (files and not each)):
        joined = joined_path(folder or files[0].parent, args.joined_name, ending)
    # A clip that would have the name of the track gets another.
    named, notes = pair_with_targets(files if each else [], folder, ending, taken=[joined] if joined else [])
    pairs: list[tuple[Path, Path | None]] = [*named] if each else [(path, None) for path in files]
    steps = len(missing) + len(files) + (joined is not None)
    with Reporter("images-to-audio", steps, json=args.json, quiet=args.quiet) as report:
        report.found(missing, passed, notes)
        for result in images_to_clips(
            pairs,
            settings,
            joined=joined,
            crop=crop_settings(vars(args)),
            crossfade=args.crossfade,
            existing=existing_of(args),
            subtype=SUBTYPES[args.bits],
            progress=report.progress,
            joining=lambda count: report.stage(f"joining {count} clips"),
        ):
            report.add(result)
    return report.finish()


def _preview(
    args: argparse.Namespace,
    files: Sequence[Path],
    missing: Sequence[tuple[Path, str]],
    passed: Sequence[Path],
    params: SpectrogramParams | None,
) -> int:
    """Draw the cuts instead of decoding."""
    if args.crop == "none":
        raise UsageError("--preview shows where images are cut: choose --crop fixed, once or every")
    if is_folder_name(args.preview):
        pairs, notes = pair_with_targets(files, user_path(args.preview), "_cut.png")
    else:
        target, notes = user_path(args.preview), []
        if target.suffix.lower() != ".png":
            raise UsageError(f"--preview {args.preview}: a preview is a .png, or end it with / to name a folder")
        pairs = [(path, target) for path in files[:1]]
    with Reporter("images-to-audio", len(pairs), json=args.json, quiet=args.quiet) as report:
        report.found(missing, passed, notes)
        for result in _previews(pairs, args, params, existing_of(args)):
            report.add(result)
    return report.finish()


def _previews(
    pairs: Sequence[tuple[Path, Path]], args: argparse.Namespace, params: SpectrogramParams | None, existing: Existing
) -> Iterator[Result]:
    from riffusion_ext.convert.crop import Cropper
    from riffusion_ext.convert.crop_preview import preview
    from riffusion_ext.convert.result import check_existing
    from riffusion_ext.files.atomic import write_atomically
    from riffusion_ext.spectrogram.codec import DecodeSettings, read_image
    from riffusion_ext.spectrogram.source import source_from_image

    cropper = Cropper(crop_settings(vars(args)))
    for source, target in pairs:
        done = check_existing(source, [target], existing)
        if done is not None:
            yield done
            continue
        try:
            image = read_image(source)
            drawing, decision = preview(image, cropper, source_from_image(image, DecodeSettings(params=params)).params)
            write_atomically(target, lambda file, drawing=drawing: drawing.save(file, "PNG"))  # type: ignore[misc]
        except Exception as error:
            yield Result(source, error=explain(error))
        else:
            details = {} if decision.cut is None else {"cut": decision.cut.as_dict()}
            yield Result(source, (target,), notes=decision.notes, details=details)
