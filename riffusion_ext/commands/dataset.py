"""``riffusion-ext dataset``: songs to a training set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.commands.shared.dataset_report import Teller, lines, summary
from riffusion_ext.commands.shared.options import UsageError, add_output_options, add_params_options, params_of
from riffusion_ext.commands.shared.quiet import own_stderr
from riffusion_ext.commands.shared.report import failure, printable, write_json
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import user_path
from riffusion_ext.signals import exit_code

if TYPE_CHECKING:
    from riffusion_ext.dataset.pipeline import Built
    from riffusion_ext.dataset.settings import DatasetSettings
    from riffusion_ext.progress import Stages

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "dataset",
        help="turn a folder of songs into a training set",
        description="Turn a folder of songs into a folder to train on: 512 x 512 spectrogram pictures without silence, "
        "splices, repetitions and damage, each with a caption. A run goes on where the last one was.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("songs", metavar="SONGS", help="folder of songs, with the folders in it; or one song")
    parser.add_argument("out", metavar="OUT", help="folder of the training set")
    _add_slicing(parser.add_argument_group("cutting"))
    _add_curation(parser.add_argument_group("choosing", "a check is left out by giving it the word off"))
    _add_captions(
        parser.add_argument_group("captions", "from tags, and from song.txt, song.json or captions.csv beside songs")
    )
    _add_export(parser.add_argument_group("writing"))
    work = parser.add_argument_group("working")
    work.add_argument("--jobs", "-j", type=int, default=0, metavar="N", help="songs at once (0: one for each core)")
    work.add_argument("--cluster", default="", metavar="ADDRESS", help="Dask scheduler to work on, as tcp://host:8786")
    work.add_argument(
        "--review", nargs="+", default=[], metavar="FILE", help="decisions that a contact sheet saved (review.json)"
    )
    add_output_options(parser)
    add_params_options(parser, "recorded in the pictures; a model expects those it was trained with")
    parser.set_defaults(run=run)


def _add_slicing(group: Any) -> None:
    from riffusion_ext.dataset.settings import ALIGNMENTS, LASTS, SCALES, STEMS, SliceSettings

    default = SliceSettings()
    group.add_argument(
        "--columns", type=int, default=512, metavar="N", help="width of a picture (512, which is 5.11 s)"
    )
    group.add_argument(
        "--overlap", type=float, default=0.0, metavar="X", help="part of a window that the next repeats, 0 to 0.9 (0)"
    )
    group.add_argument("--align", choices=ALIGNMENTS, default=default.align, help="where windows may begin (none)")
    group.add_argument(
        "--last",
        choices=LASTS,
        default=default.last,
        help="an end too short for a window: dropped, padded or reached back for",
    )
    group.add_argument(
        "--scale",
        choices=SCALES,
        default=default.scale,
        help="black is the loudest of each window, song or the whole set",
    )
    group.add_argument(
        "--stems", nargs="+", choices=STEMS, default=[], help="cut these instead of the whole song (needs demucs)"
    )
    group.add_argument(
        "--stems-model", default=default.stems_model, metavar="NAME", help=f"demucs's model ({default.stems_model})"
    )


def _add_curation(group: Any) -> None:
    from riffusion_ext.dataset.settings import CurateSettings

    default = CurateSettings()
    for name, help_ in (
        ("silence-db", "windows quieter than this, in dBFS"),
        ("transition", "windows with a change as abrupt as this, 0 to 1"),
        ("duplicate", "windows as near to another as this, 0 to 1"),
        ("clipping", "windows with such a share of clipped samples"),
    ):
        value = getattr(default, name.replace("-", "_"))
        group.add_argument(
            f"--{name}", type=_threshold, default=value, metavar="X", help=f"leave out {help_} ({value:g})"
        )
    group.add_argument("--keep-broken", action="store_true", help="keep windows with drop-outs or an offset")
    group.add_argument(
        "--first", type=int, default=default.first, metavar="N", help="leave out each song's first N (1)"
    )
    group.add_argument("--final", type=int, default=default.last, metavar="N", help="leave out each song's last N (1)")
    group.add_argument("--target", type=int, metavar="N", help="keep so many, as different as can be")


def _add_captions(group: Any) -> None:
    from riffusion_ext.dataset.captions.template import CAPTION_FIELDS
    from riffusion_ext.dataset.settings import CaptionSettings

    default = CaptionSettings()
    others = [name for name in CAPTION_FIELDS if f"{{{name}}}" not in default.template]
    group.add_argument(
        "--caption",
        default=default.template,
        metavar="TEMPLATE",
        help=f'what a song lacks is left out ("{default.template}"); also ' + ", ".join(others),
    )
    group.add_argument("--trigger", default="", metavar="WORD", help="word that calls up what is learnt")
    group.add_argument(
        "--replace", nargs=2, action="append", default=[], metavar=("FIND", "PUT"), help="replace in every caption"
    )


def _add_export(group: Any) -> None:
    from riffusion_ext.dataset.settings import FORMATS

    group.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["dreambooth"], help="layouts to write (dreambooth)"
    )
    group.add_argument("--repeats", type=int, default=10, metavar="N", help="kohya: repeats in the folder's name (10)")
    group.add_argument("--name", default="", metavar="NAME", help="kohya: name in the folder's name (music)")
    group.add_argument("--audio-rate", type=int, metavar="HZ", help="audio: sample rate (the songs' own)")
    group.add_argument("--audio-seconds", type=float, metavar="S", help="audio: length of a chunk (the windows')")
    group.add_argument("--no-sheet", action="store_true", help="write no contact sheet")
    group.add_argument(
        "--sounds", type=_how_many, default=60, metavar="N", help="windows that the contact sheet can play, or all (60)"
    )
    group.add_argument("--verify", type=int, default=8, metavar="N", help="pictures to convert back and compare (8)")


def _how_many(text: str) -> int:
    if text.strip().lower() == "all":
        return sys.maxsize
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, or all, got {text!r}") from None


def _threshold(text: str) -> float | None:
    try:
        return None if text.strip().lower() == "off" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, or off, got {text!r}") from None


def settings_of(args: argparse.Namespace) -> DatasetSettings:
    """Return the settings that the options name.

    Raises
    ------
    UsageError
        A value is not allowed.
    """
    from riffusion_ext.dataset.pipeline import check_settings
    from riffusion_ext.dataset.settings import (
        CaptionSettings,
        CurateSettings,
        DatasetSettings,
        ExportSettings,
        SliceSettings,
    )
    from riffusion_ext.params import SpectrogramParams

    for name in ("jobs", "verify", "sounds"):
        if getattr(args, name) < 0:
            raise UsageError(f"--{name} must be 0 or more, got {getattr(args, name)}")
    try:
        settings = DatasetSettings(
            SliceSettings(
                params_of(args) or SpectrogramParams(),
                args.columns,
                args.overlap,
                args.align,
                args.last,
                args.scale,
                tuple(args.stems),
                args.stems_model,
            ),
            CurateSettings(
                first=args.first,
                last=args.final,
                silence_db=args.silence_db,
                transition=args.transition,
                duplicate=args.duplicate,
                clipping=args.clipping,
                broken=not args.keep_broken,
                target=args.target,
            ),
            CaptionSettings(args.caption, args.trigger, tuple((find, put) for find, put in args.replace)),
            ExportSettings(tuple(args.format), args.repeats, args.name, args.audio_rate, args.audio_seconds),
        )
        check_settings(settings)
    except RiffusionError as error:
        raise UsageError(str(error)) from None
    return settings


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    try:
        return _run(args)
    except KeyboardInterrupt as stop:
        sys.stderr.write("stopped; the songs done so far are kept, the same command goes on from there\n")
        return exit_code(stop)


def _run(args: argparse.Namespace) -> int:
    from riffusion_ext.dataset.pipeline import build
    from riffusion_ext.dataset.store import Store
    from riffusion_ext.dataset.verify import sample_of, verify
    from riffusion_ext.progress import Stages

    settings = settings_of(args)
    out = user_path(args.out)
    teller = Teller(quiet=args.quiet or args.json)
    with own_stderr():
        try:
            built = build(
                user_path(args.songs),
                out,
                settings,
                jobs=args.jobs,
                cluster=args.cluster,
                reviews=[user_path(path) for path in args.review],
                progress=teller.tell,
                stages=teller.tell_stage,
            )
            stages = Stages(teller.tell_stage)
            checks = []
            if sample := sample_of(built.manifest, args.verify):
                count = stages.begin("verifying", "pictures", len(sample))
                for check in verify(Store(out), sample):
                    checks.append(check)
                    count(len(checks))
            sheets = [] if args.no_sheet else _write_sheets(out, built, args, stages)
        finally:
            teller.close()
    for path, why in built.failed:
        sys.stderr.write(printable(failure(path, why)) + "\n")
    for why in built.exported.errors:
        sys.stderr.write(f"failed: {why}\n")
    if args.json:
        write_json({"program": "riffusion-ext", "command": "dataset", **summary(built, checks, sheets, teller.seconds)})
    elif not args.quiet:
        sys.stdout.write("\n".join(lines(built, out, checks, sheets, teller.seconds)) + "\n")
    return 1 if built.failed or built.exported.errors else 0


def _write_sheets(out: Path, built: Built, args: argparse.Namespace, stages: Stages) -> list[Path]:
    from riffusion_ext.dataset.contact_sheet import write_sheets
    from riffusion_ext.dataset.store import Store

    title = args.trigger or out.absolute().name
    store = Store(out)
    tell = stages.begin_parts("contact sheet", "windows", len(built.manifest.windows))
    with store.locked():
        return write_sheets(store, built.manifest, title=title, sounds=args.sounds, progress=tell)
