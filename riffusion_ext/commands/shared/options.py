"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from riffusion_ext.convert import Existing
from riffusion_ext.convert.targets import pair_with_targets
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import is_folder_name, user_path
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import control
from riffusion_ext.options.spectrogram import OPTIONS
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.numbers import read_int

__all__ = [
    "FILE_RATE",
    "UsageError",
    "add_common_options",
    "add_control",
    "add_device_option",
    "add_output_options",
    "add_params_options",
    "check_device",
    "existing_of",
    "params_of",
    "plan_targets",
    "target_file",
]

FILE_RATE = "file"
"""Value of ``--sample-rate``: the sound file's own."""


class UsageError(Exception):
    """The options do not fit together; the message says which and why."""


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that writes files has."""
    there = parser.add_mutually_exclusive_group()
    there.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that exist; without it they are kept and the input fails",
    )
    there.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out inputs whose result exists: goes on where a run was stopped",
    )
    add_output_options(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add how the command talks."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
    parser.add_argument("--quiet", "-q", action="store_true", help="say nothing but what went wrong")
    parser.add_argument("--verbose", "-v", action="store_true", help="show the details of errors")


def rate_or_file(text: str) -> int | str:
    """Type of a sample rate that may also be ``file``, the sound file's own."""
    return text if text == FILE_RATE else int(text)


def add_params_options(parser: argparse.ArgumentParser, what: str, *, of_files: bool = False) -> None:
    """Add the spectrogram parameters, all None where not given.

    Parameters
    ----------
    parser
        Parser of a command.
    what
        What the parameters do there.
    of_files
        Whether ``--sample-rate file`` is possible, for each sound file's own.
    """
    group = parser.add_argument_group("spectrogram parameters", what)
    group.add_argument(
        "--preset", choices=list(PRESETS), help="a whole set at once; single options below change it (riffusion-v1)"
    )
    # One default differs from the original library's: that takes the sound file's own sample rate, we take 44100 Hz,
    # which models were trained with; `--sample-rate file` asks for the file's own.
    for item in OPTIONS:
        kind: Callable[[str], object] = int if item.is_whole else float
        text = item.help
        if item.id == "sample_rate" and of_files:
            kind, text = rate_or_file, f"{text}; file: its own"
        group.add_argument(item.flag, type=kind, metavar="N", help=f"{text} ({item.default})")
    group.add_argument(
        "--stereo",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="two channels, kept in green and blue; or one",
    )


def params_of(args: argparse.Namespace) -> SpectrogramParams | None:
    """Return the parameters the options name, None where they name none.

    Raises
    ------
    UsageError
        They make no spectrogram.
    """
    given = {item.id: getattr(args, item.id) for item in OPTIONS if getattr(args, item.id) not in (None, FILE_RATE)}
    if args.stereo is not None:
        given["stereo"] = args.stereo
    if not given and args.preset is None:
        return None
    try:
        return PRESETS[args.preset or "riffusion-v1"].replace(**given)
    except ValueError as error:
        raise UsageError(str(error)) from None


def existing_of(args: argparse.Namespace) -> Existing:
    """Return what to do where a result exists."""
    return "overwrite" if args.overwrite else "skip" if args.skip_existing else "refuse"


def add_control(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    name: str | Option,
    *short: str,
    default: object = ...,
    **more: Any,
) -> None:
    """Add a declared option: its name, choices or range, default and explanation.

    Parameters
    ----------
    parser
        Parser or group.
    name
        The option, or the id of one of the sound.
    *short
        Further names.
    default
        Default of this command where it is another one.
    **more
        For argparse, instead of what follows from the declaration.
    """
    item = control(name) if isinstance(name, str) else name
    kind: dict[str, Any] = {"type": _number(item), "metavar": "N"}
    if item.choices:
        kind = {"choices": list(item.choices)}
    elif item.kind == "checkbox":
        kind = {"action": argparse.BooleanOptionalAction}
    elif item.kind == "text":
        kind = {"metavar": "TEXT"}
    usual = item.default if default is ... else default
    shown = f"{item.default:.10g}" if isinstance(item.default, (int, float)) else item.default
    told = item.default in (None, "") or item.kind == "checkbox" or item.help.endswith(")")
    help_ = item.help if told else f"{item.help} ({shown})"
    parser.add_argument(item.flag, *short, **{"default": usual, "help": help_, **kind, **more})


def _number(item: Option) -> Callable[[str], float]:
    """Type of an option that takes a number from a declared range."""

    def read(text: str) -> float:
        with suppress(RiffusionError):
            value = float(item.clean(text))
            if not item.is_whole:
                return value
            if value.is_integer():
                with suppress(RiffusionError):
                    return read_int(text)  # exact, however large
                return int(value)
        kind = "whole number" if item.is_whole else "number"
        within = f" from {item.minimum:.10g} to {item.maximum:.10g}"
        if math.isinf(item.maximum):
            within = item.range_text and f", {item.range_text}"
        raise argparse.ArgumentTypeError(f"must be a {kind}{within}, got {text}")

    return read


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add where to compute."""
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:1; others that torch knows (mps, xpu) are taken; the CPU does the work (auto)",
    )


def check_device(args: argparse.Namespace) -> None:
    """Check the device before the work, and say where another does its work.

    Raises
    ------
    UsageError
        torch knows no such device.
    """
    if args.device in ("auto", "cpu"):
        return
    from riffusion_ext.spectrogram.device import parse_device

    try:
        device = parse_device(args.device)
    except RiffusionError as error:
        raise UsageError(f"--device: {error}") from None
    if device.type not in ("cpu", "cuda") and not args.quiet:
        sys.stderr.write(f"note: --device {args.device}: the CPU does the work\n")


def target_file(name: str, option: str, suffixes: Sequence[str], chosen: str | None) -> Path:
    """Check the name of one file to write against the formats there are and the one chosen."""
    path = user_path(name)
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise UsageError(
            f"{option} {name}: cannot write {suffix}; choose one of {', '.join(suffixes)}, "
            "or end it with / to name a folder"
        )
    if chosen and suffix != f".{chosen}" and {suffix, f".{chosen}"} != {".jpg", ".jpeg"}:
        raise UsageError(f"{option} {name} and --format {chosen} contradict each other")
    return path


def plan_targets(
    files: Sequence[Path],
    name: str | None,
    option: str,
    suffixes: Sequence[str],
    chosen: str | None,
    default: str,
    first: Callable[[Path], Path] = lambda path: path,
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pair every input with the file to write.

    Parameters
    ----------
    files
        The inputs.
    name
        What the user gave as output: a file for one input, a folder for any number, None for beside each input.
    option
        The option the name came with, for messages.
    suffixes
        Suffixes that can be written.
    chosen
        Format chosen by ``--format``, without dot, or None.
    default
        Format in folders where none was chosen.
    first
        As for :func:`~riffusion_ext.convert.targets.pair_with_targets`.

    Returns
    -------
    pairs
        (input, file).
    notes
        Sentences about names that more than one would have had.
    """
    if name is not None and not is_folder_name(name):
        target = target_file(name, option, suffixes, chosen)
        if len(files) > 1:
            raise UsageError(
                f"{option} {name} is one file, but there are {len(files)} inputs: end it with / to name a folder"
            )
        return [(source, target) for source in files], []
    folder = user_path(name) if name is not None else None
    return pair_with_targets(files, folder, f".{chosen or default}", first=first)
