"""``riffusion-ext dataset``: songs to a training set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.commands.shared.dataset_report import ProgressPrinter, lines, summary
from riffusion_ext.commands.shared.options import (
    UsageError,
    add_control,
    add_output_options,
    add_params_options,
    params_of,
)
from riffusion_ext.commands.shared.quiet import mute_library_stderr
from riffusion_ext.commands.shared.report import escape_controls, failure_line, write_json
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import user_path
from riffusion_ext.options import dataset as options
from riffusion_ext.options.dataset import DATASET, OPTIONS, RUN_OPTIONS_BY_ID
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.signals import exit_code

if TYPE_CHECKING:
    from riffusion_ext.dataset.pipeline import BuildResult
    from riffusion_ext.dataset.settings import DatasetSettings
    from riffusion_ext.progress import Stages

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "dataset",
        help="turn a folder of songs into a training set",
        description="Turn a folder of songs into a training set: spectrogram images with captions, without silence, "
        "cuts, repeats and damage. A run that was stopped continues when the command is repeated.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("songs", metavar="SONGS", help="folder of songs, including its subfolders, or one song")
    parser.add_argument("out", metavar="OUT", help="folder of the training set")
    _add_slicing(parser.add_argument_group("cutting"))
    _add_curation(parser.add_argument_group("choosing", "off in place of a number turns a check off"))
    _add_captions(
        parser.add_argument_group(
            "captions", "from tags, and from song.txt, song.json or captions.csv beside the songs"
        )
    )
    _add_export(parser.add_argument_group("writing"))
    work = parser.add_argument_group("working")
    add_control(work, RUN_OPTIONS_BY_ID["jobs"], "-j", type=int)
    work.add_argument(
        "--cluster", default="", metavar="ADDRESS", help="address of a Dask scheduler, such as tcp://host:8786"
    )
    work.add_argument(
        "--review",
        nargs="+",
        default=[],
        metavar="FILE",
        help="files review.json, in which contact sheets saved your choices",
    )
    add_output_options(parser)
    add_params_options(parser, "recorded in the images; use the values that the model was trained with")
    parser.set_defaults(run=run)


def _add(group: argparse._ArgumentGroup, *ids: str, **more: Any) -> None:
    """Add declared options, without bounds: the core checks them before the work."""
    for id_ in ids:
        item = DATASET[id_]
        kind: dict[str, Any] = {"metavar": "TEXT"}
        if item.choices:
            kind = {"choices": item.choices, **({"nargs": "+"} if item.kind == "multiple" else {})}
        elif item.is_number:
            kind = {"metavar": "N", "type": int} if item.is_whole else {"metavar": "X", "type": float}
        default = ", ".join(item.default) if item.kind == "multiple" else item.default
        shown = f"{default:g}" if isinstance(default, float) else default
        help_ = item.help if shown in (None, "") else f"{item.help} ({shown})"
        group.add_argument(item.flag, dest=id_, default=item.default, **{"help": help_, **kind, **more})


def _add_slicing(group: argparse._ArgumentGroup) -> None:
    _add(group, "columns", "overlap", "align", "last", "scale", "stems")
    _add(group, "stems_model", metavar="NAME")


def _add_curation(group: argparse._ArgumentGroup) -> None:
    _add(group, "silence_db", "transition", "duplicate", "clipping", type=_threshold, metavar="X")
    group.add_argument("--keep-broken", action="store_true", help="keep windows with drop-outs or an offset")
    _add(group, "first", "final", "target")


def _add_captions(group: argparse._ArgumentGroup) -> None:
    from riffusion_ext.dataset.captions.template import CAPTION_FIELDS

    caption = DATASET["template"]
    others = ", ".join(name for name in CAPTION_FIELDS if f"{{{name}}}" not in caption.default)
    _add(group, "template", metavar="TEMPLATE", help=f'{caption.help} ("{caption.default}"); other fields: {others}')
    _add(group, "trigger", metavar="WORD")
    group.add_argument(
        "--replace", nargs=2, action="append", default=[], metavar=("FIND", "PUT"), help="replace text in all captions"
    )


def _add_export(group: argparse._ArgumentGroup) -> None:
    _add(group, "formats", "kohya_repeats")
    _add(group, "kohya_name", metavar="NAME")
    _add(group, "audio_rate", metavar="HZ")
    _add(group, "audio_seconds", metavar="S")
    group.add_argument("--no-sheet", action="store_true", help="write no contact sheet")
    add_control(group, RUN_OPTIONS_BY_ID["sounds"], type=_count_or_all)
    add_control(group, RUN_OPTIONS_BY_ID["verify"], type=int)


def _count_or_all(text: str) -> int:
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

    for item in RUN_OPTIONS_BY_ID.values():
        if getattr(args, item.id) < item.minimum:
            raise UsageError(f"{item.flag} must be {item.range_text}, got {getattr(args, item.id)}")
    values = {item.id: getattr(args, item.id) for item in OPTIONS if "command" in item.interfaces}
    values |= {id_: tuple(values[id_]) for id_ in ("stems", "formats")}
    values |= {"broken": not args.keep_broken, "replace": tuple((find, put) for find, put in args.replace)}
    values["params"] = params_of(args) or SpectrogramParams()
    try:
        settings = options.settings_of(values)
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
    from riffusion_ext.dataset.verify import sample_windows, verify
    from riffusion_ext.progress import Stages

    settings = settings_of(args)
    out = user_path(args.out)
    printer = ProgressPrinter(quiet=args.quiet or args.json)
    with mute_library_stderr():
        try:
            built = build(
                user_path(args.songs),
                out,
                settings,
                jobs=args.jobs,
                cluster=args.cluster,
                reviews=[user_path(path) for path in args.review],
                progress=printer.on_progress,
                stages=printer.on_stage,
            )
            stages = Stages(printer.on_stage)
            checks = []
            if sample := sample_windows(built.manifest, args.verify):
                count = stages.begin("verifying", "images", len(sample))
                for check in verify(Store(out), sample):
                    checks.append(check)
                    count(len(checks))
            sheets = [] if args.no_sheet else _write_sheets(out, built, args, stages)
        finally:
            printer.close()
    for path, why in built.failed:
        sys.stderr.write(escape_controls(failure_line(path, why)) + "\n")
    for why in built.exported.errors:
        sys.stderr.write(f"failed: {why}\n")
    if args.json:
        write_json(
            {"program": "riffusion-ext", "command": "dataset", **summary(built, checks, sheets, printer.seconds)}
        )
    elif not args.quiet:
        sys.stdout.write("\n".join(lines(built, out, checks, sheets, printer.seconds)) + "\n")
    return 1 if built.failed or built.exported.errors else 0


def _write_sheets(out: Path, built: BuildResult, args: argparse.Namespace, stages: Stages) -> list[Path]:
    from riffusion_ext.dataset.contact_sheet import write_sheets
    from riffusion_ext.dataset.store import Store

    title = args.trigger or out.absolute().name
    store = Store(out)
    on_progress = stages.begin_parts("contact sheet", "windows", len(built.manifest.windows))
    with store.locked():
        return write_sheets(store, built.manifest, title=title, sounds=args.sounds, progress=on_progress)
