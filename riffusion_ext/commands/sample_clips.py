"""``riffusion-ext sample-clips`` and ``sample-clips-batch``: short clips from random positions in sound files."""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.commands.shared.options import UsageError, add_common_options, add_control, existing_of
from riffusion_ext.commands.shared.report import Reporter
from riffusion_ext.convert import Result
from riffusion_ext.files.paths import SOUND_SUFFIXES, expand, natural_key, user_path
from riffusion_ext.files.result_names import result_names
from riffusion_ext.options.convert.sampling import SAMPLING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["add_parser", "run", "run_batch"]

_MAX_NAMED = 3


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands to the parser."""
    parser = commands.add_parser(
        "sample-clips",
        help="cut clips at random from a sound file",
        description="Cut clips from random places of a sound file. The options are those of the original library's "
        "command. With a seed, the clips are the same, too.",
    )
    parser.add_argument("--audio", "-i", required=True, metavar="A", help="the sound file")
    add_control(parser, SAMPLING["num_clips"])
    _add_shared_options(parser, "wav")
    parser.set_defaults(run=run)

    parser = commands.add_parser(
        "sample-clips-batch",
        help="cut clips at random from a folder of sound files",
        description="Cut clips from random places of all sound files in a folder. The options are those of the "
        "original library's command. Unlike there, a seed gives the same clips each time, whatever the number of "
        "threads, and files that cannot be read or are shorter than a clip are reported.",
    )
    parser.add_argument("--audio-dir", "-i", required=True, metavar="DIR", help="folder of sound files")
    add_control(parser, SAMPLING["num_clips_per_file"], help="number of clips from each file (1)")
    add_control(parser, SAMPLING["glob"], metavar="PATTERN")
    add_control(parser, SAMPLING["limit"])
    add_control(parser, SAMPLING["num_threads"])
    _add_shared_options(parser, "mp3")
    parser.set_defaults(run=run_batch)


def _add_shared_options(parser: argparse.ArgumentParser, extension: str) -> None:
    parser.add_argument("--output-dir", "-o", required=True, metavar="DIR", help="folder for the clips")
    add_control(parser, SAMPLING["duration_ms"])
    add_control(parser, SAMPLING["mono"], action="store_true")
    help_ = f"format of the clips; mp3 and ogg are lossy ({extension})"
    add_control(parser, SAMPLING["extension"], default=extension, help=help_)
    add_control(parser, SAMPLING["seed"])
    add_common_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run sample-clips and return the exit code."""
    from riffusion_ext.convert import check_format
    from riffusion_ext.convert.sample import sample_clips

    random = _random(args.seed)
    check_format(args.extension)
    source, folder = user_path(args.audio), user_path(args.output_dir)

    def name(number: int, start: int) -> Path:
        return folder / f"clip_{number}_start_{start}_ms_duration_{args.duration_ms}_ms.{args.extension}"

    with Reporter("sample-clips", 1, json=args.json, quiet=args.quiet) as report:
        report.add(
            sample_clips(
                source,
                name,
                random,
                count=args.num_clips,
                duration_ms=args.duration_ms,
                mono=args.mono,
                existing=existing_of(args),
            )
        )
    return report.finish()


def run_batch(args: argparse.Namespace) -> int:
    """Run sample-clips-batch and return the exit code."""
    from riffusion_ext.convert import check_format
    from riffusion_ext.convert.parallel import cores, map_in_threads
    from riffusion_ext.convert.sample import sample_clips

    check_format(args.extension)
    root = user_path(args.audio_dir)
    passed: list[Path] = []
    files, missing = _files(root, args.glob, passed)
    files = files[: args.limit] if args.limit > 0 else files
    names, notes = _names(files, user_path(args.output_dir), args)

    def work(source: Path) -> Result:
        return sample_clips(
            source,
            names[source],
            _random(args.seed, source.relative_to(root) if source.is_relative_to(root) else source),
            count=args.num_clips_per_file,
            duration_ms=args.duration_ms,
            mono=args.mono,
            existing=existing_of(args),
        )

    with Reporter("sample-clips-batch", len(files), json=args.json, quiet=args.quiet) as report:
        report.found(missing, passed, notes)
        for result in map_in_threads(work, files, args.num_threads or cores()):
            report.add(result)
    return report.finish()


def _files(root: Path, pattern: str, passed: list[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the files of the folder that match the pattern, or why there are none."""
    if pattern == "*" or not root.is_dir():
        return expand([root], SOUND_SUFFIXES, passed=passed)
    try:
        fitting = list(root.glob(pattern)) or list(root.glob(pattern.replace("[", "[[]")))
        found = [path for path in fitting if path.is_file() and path.suffix.lower() != ".json"]
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"--glob {pattern}: {error}") from None
    files = sorted((path for path in found if not path.name.startswith(".")), key=natural_key)
    return files, [] if files else [(root, f"no file of {root} fits {pattern}")]


def _names(
    files: list[Path], folder: Path, args: argparse.Namespace
) -> tuple[dict[Path, Callable[[int, int], Path]], list[str]]:
    """Return for each file a function that names its clips, and notes about files that share a name."""
    room = f"_{args.num_clips_per_file}_start_{10**9}_{_ending(args)}"
    paths, _ = result_names(files, lambda path: folder, room)
    stems = {path: target.name[: -len(room)] for path, target in zip(files, paths, strict=True)}
    longer = [f"{path.name} as {stem}" for path, stem in stems.items() if not path.stem.startswith(stem)]
    more = ", ..." if len(longer) > _MAX_NAMED else ""
    notes = [f"files of one name, whose clips begin with longer ones: {', '.join(longer[:_MAX_NAMED])}{more}"]

    def namer(stem: str) -> Callable[[int, int], Path]:
        return lambda number, start: folder / f"{stem}_{number}_start_{start}_{_ending(args)}"

    return {path: namer(stem) for path, stem in stems.items()}, notes if longer else []


def _ending(args: argparse.Namespace) -> str:
    return f"ms_dur_{args.duration_ms}_ms.{args.extension}"


def _random(seed: int, path: Path | None = None) -> np.random.RandomState:
    """Return the random generator of a file, independent of the order of work."""
    from numpy.random import RandomState

    if seed < 0:
        return RandomState()
    return RandomState(seed if path is None else [seed, zlib.crc32(path.as_posix().encode("utf-8", "surrogateescape"))])
