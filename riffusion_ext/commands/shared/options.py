"""Options that several commands share, and their values."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.convert import Existing
from riffusion_ext.convert.targets import pair_with_targets
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.paths import is_folder_name, user_path
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import control
from riffusion_ext.options.spectrogram import OPTIONS
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.numbers import read_int

if TYPE_CHECKING:
    from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = [
    "FILE_RATE",
    "UsageError",
    "add_common_options",
    "add_control",
    "add_device_option",
    "add_output_options",
    "add_params_options",
    "check_device",
    "decode_settings_of",
    "existing_of",
    "params_of",
    "plan_targets",
    "target_file",
]

FILE_RATE = "file"
"""Value of ``--sample-rate``: the sound file's own."""


class UsageError(Exception):
    """Invalid combination of options; the message says which and why."""


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every command that writes files."""
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite",
        action="store_true",
        help="replace existing files; without this option they are kept, and their inputs fail",
    )
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="skip inputs whose result exists, to continue a run that was stopped",
    )
    add_output_options(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the output: JSON, quiet, verbose."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else")
    parser.add_argument("--quiet", "-q", action="store_true", help="print only errors")
    parser.add_argument("--verbose", "-v", action="store_true", help="show the details of errors")


def _whole_or_not(text: str) -> float:
    """Parse a number; as an integer, as images record it, if it is written as one."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def rate_or_file(text: str) -> int | str:
    """Parse a sample rate, or ``file`` for that of the sound file."""
    return text if text == FILE_RATE else int(text)


def add_params_options(parser: argparse.ArgumentParser, what: str, *, of_files: bool = False) -> None:
    """Add the spectrogram parameters, with None as default.

    Parameters
    ----------
    parser
        Parser of a command.
    what
        Description of the group of parameters.
    of_files
        Whether ``--sample-rate file`` is allowed, for the rate of each sound file.
    """
    group = parser.add_argument_group("spectrogram parameters", what)
    group.add_argument(
        "--preset", choices=list(PRESETS), help="set of parameters; the options below change single ones (riffusion-v1)"
    )
    # One default differs from the original library's: that takes the sound file's own sample rate, we take 44100 Hz,
    # which models were trained with; `--sample-rate file` asks for the file's own.
    for item in OPTIONS:
        if item.kind == "dropdown":
            group.add_argument(item.flag, choices=item.choices, help=f"{item.help} ({item.default})")
            continue
        if item.kind == "checkbox":
            yes_or_no = argparse.BooleanOptionalAction
            group.add_argument(item.flag, action=yes_or_no, default=None, help=item.help)
            continue
        kind: Callable[[str], object] = int if item.is_whole else _whole_or_not if item.id.endswith("_ms") else float
        text = item.help
        if item.id == "sample_rate" and of_files:
            kind, text = rate_or_file, f"{text}; file: that of each sound file"
        group.add_argument(item.flag, type=kind, metavar="N", help=f"{text} ({item.default})")
    group.add_argument(
        "--stereo",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="stereo, with left in green and right in blue, or mono",
    )


def params_of(args: argparse.Namespace) -> SpectrogramParams | None:
    """Return the parameters that the options set; None if they set none.

    Raises
    ------
    UsageError
        The parameters are invalid.
    """
    values = {item.id: getattr(args, item.id) for item in OPTIONS if getattr(args, item.id) not in (None, FILE_RATE)}
    if args.stereo is not None:
        values["stereo"] = args.stereo
    if not values and args.preset is None:
        return None
    try:
        return PRESETS[args.preset or "riffusion-v1"].replace(**values)
    except ValueError as error:
        raise UsageError(str(error)) from None


def existing_of(args: argparse.Namespace) -> Existing:
    """Return what to do if a result exists."""
    return "overwrite" if args.overwrite else "skip" if args.skip_existing else "refuse"


def add_control(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    name: str | Option,
    *short: str,
    default: object = ...,
    **more: Any,
) -> None:
    """Add a declared option with its name, choices or range, default and help.

    Parameters
    ----------
    parser
        Parser or group.
    name
        The option, or the id of a sound option.
    *short
        Further names.
    default
        Default of this command, if it differs from the declared one.
    **more
        Arguments for argparse that override the declared ones.
    """
    item = control(name) if isinstance(name, str) else name
    kind: dict[str, Any] = {"type": _number(item), "metavar": "N"}
    if item.choices:
        kind = {"choices": list(item.choices)}
    elif item.kind == "checkbox":
        kind = {"action": argparse.BooleanOptionalAction}
    elif item.kind == "text":
        kind = {"metavar": "TEXT"}
    default_value = item.default if default is ... else default
    shown = f"{item.default:.10g}" if isinstance(item.default, (int, float)) else item.default
    help_has_default = item.default in (None, "") or item.kind == "checkbox" or item.help.endswith(")")
    help_ = item.help if help_has_default else f"{item.help} ({shown})"
    parser.add_argument(item.flag, *short, **{"default": default_value, "help": help_, **kind, **more})


def _number(item: Option) -> Callable[[str], float]:
    """Return the argparse type of a number with a declared range."""

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
    """Add the option for the device."""
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:1; for other devices of torch (mps, xpu), the CPU does the work (auto)",
    )


def decode_settings_of(args: argparse.Namespace, params: SpectrogramParams | None) -> DecodeSettings:
    """Return the settings of decoding images to audio."""
    from riffusion_ext.spectrogram.settings import DecodeSettings

    return DecodeSettings(
        engine=args.engine,
        level=args.level,
        channels=args.channels,
        params=params,
        seed=args.seed,
        device=args.device,
        high_frequencies=args.high_frequencies,
    )


def check_device(args: argparse.Namespace) -> None:
    """Check the device before the work, and print a note if the CPU is used instead.

    Raises
    ------
    UsageError
        torch has no such device.
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
    """Return the path of a file to write, after a check of its suffix against the formats and the chosen one."""
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
    """Pair each input with the file to write.

    Parameters
    ----------
    files
        The inputs.
    name
        Output of the user: a file for one input, a folder for any number, None for beside each input.
    option
        Name of its option, for messages.
    suffixes
        Suffixes that can be written.
    chosen
        Value of ``--format``, without dot, or None.
    default
        Format in folders if none was chosen.
    first
        See :func:`~riffusion_ext.convert.targets.pair_with_targets`.

    Returns
    -------
    pairs
        (input, file).
    notes
        Sentences about outputs that would have had the same name.
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
