"""Shared work of the commands ``song``, ``riff`` and ``loop``: generate with webuis, and keep what is finished.

The windows are kept in a folder beside the sound file until it is written: the same command resumes from there,
whatever ended it before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from riffusion_ext.commands.shared.generation_report import ProgressPrinter
from riffusion_ext.commands.shared.options import (
    UsageError,
    add_control,
    add_device_option,
    add_output_options,
    add_params_options,
    check_device,
    params_of,
    target_file,
)
from riffusion_ext.commands.shared.report import write_json
from riffusion_ext.commands.shared.webui import ENVIRONMENT_VARIABLE, add_webui_option, webuis_of
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.paths import user_path
from riffusion_ext.files.regular import read_regular
from riffusion_ext.options.convert.to_audio import BITS, SUBTYPES
from riffusion_ext.options.generation import PRESET
from riffusion_ext.options.option import Option
from riffusion_ext.options.sound import control
from riffusion_ext.params import PRESETS
from riffusion_ext.services.rendering import Rendered, render_piece, sound_of_piece
from riffusion_ext.signals import exit_code, ignore_first_signal, on_first_signal
from riffusion_ext.validation.json_text import loads

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.audio import AudioClip
    from riffusion_ext.generate.loop import LoopSettings
    from riffusion_ext.generate.piece import WindowedPiece
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.song import SongSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

    SettingsT = TypeVar("SettingsT", SongSettings, RiffSettings, LoopSettings)

_MAX_SCORE_BYTES = 1 << 20

__all__ = ["add_options", "open_image", "render_to_file", "score_of", "values_of"]

_SETTINGS_FILE = "settings.json"


def add_options(parser: argparse.ArgumentParser, options: Sequence[Option], level: Option) -> None:
    """Add the options of a command that generates: those of `options` on the command line, and the shared ones."""
    parser.add_argument("--output", "-o", required=True, metavar="A", help="sound file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the sound file if it exists")
    add_webui_option(parser)
    for item in options:
        if "command" in item.interfaces:
            add_control(parser, item)
    sound = parser.add_argument_group("sound")
    add_control(sound, "engine")
    add_control(sound, level)
    add_control(sound, BITS)
    add_control(sound, "high_frequencies")
    add_device_option(parser)
    parser.add_argument(
        "--work",
        metavar="DIR",
        help="folder of the windows until the sound file is written; after an interruption, the same command continues "
        "from there (beside the sound file, with .windows at the end of its name)",
    )
    parser.add_argument("--keep-windows", action="store_true", help="keep the folder of the windows at the end")
    add_output_options(parser)
    add_params_options(parser, "what the model was trained on")


def score_of(texts: Sequence[str]) -> str:
    """Return the text of a score from lines and files of lines.

    Raises
    ------
    UsageError
        One of the texts is neither.
    """
    lines = []
    for text in texts:
        if "|" in text or "\n" in text:
            lines.append(text)
            continue
        try:
            lines.append(read_regular(user_path(text), _MAX_SCORE_BYTES).decode("utf-8-sig"))
        except (OSError, ValueError, RuntimeError):
            raise UsageError(f"{text!r} is no file, and no line of a score such as: 8 bars | funky sax") from None
    return "\n".join(lines)


def values_of(args: argparse.Namespace, options: Sequence[Option]) -> dict[str, object]:
    """Return the values of the options by id, with the level and the spectrogram parameters."""
    values = {item.id: getattr(args, item.id) for item in options if "command" in item.interfaces}
    return {**values, "level": args.level, "params": params_of(args) or PRESETS[PRESET.default]}


def open_image(name: str | None) -> Image.Image | None:
    """Open the image that an option names; None if it names none."""
    if name is None:
        return None
    from riffusion_ext.spectrogram.image import read_image

    return read_image(user_path(name))


def render_to_file(
    args: argparse.Namespace,
    requested: SettingsT,
    make_piece: Callable[[SettingsT, Path, DecodeSettings], WindowedPiece],
    *,
    title: str,
    images: Mapping[str, Image.Image | None] = {},
    limit: int | None = None,
) -> int:
    """Render a piece with the webuis, write its sound, and return the exit code.

    Parameters
    ----------
    args
        Arguments of the command.
    requested
        Settings from the arguments.
    make_piece
        Returns the piece for settings, folder and decode settings.
    title
        Title of the sound file.
    images
        Input images by name.
    limit
        Number of windows from the start; None: all.
    """
    from riffusion_ext.generate.backends.remotes import Webuis
    from riffusion_ext.spectrogram.settings import DecodeSettings

    target = target_file(args.output, "--output", [f".{name}" for name in control("format").choices], None)
    if target.exists() and not args.overwrite:
        raise RiffusionError(f"{target} exists; --overwrite replaces it")
    check_device(args)
    addresses = webuis_of(args)
    if not addresses:
        raise UsageError(
            "a webui must generate this: name one that runs with --api and has this extension, as in --webui "
            f"http://127.0.0.1:7860 (or in the environment variable {ENVIRONMENT_VARIABLE})"
        )
    printer = ProgressPrinter(quiet=args.quiet or args.json)
    webuis = Webuis(addresses, log=printer.note)
    backend = webuis.backend()
    if requested.sampler and requested.sampler not in webuis.samplers():
        raise RiffusionError(f"there is no sampler {requested.sampler!r}; there are {', '.join(webuis.samplers())}")
    requested = replace(requested, sampler=requested.sampler or webuis.usual_sampler())
    folder = user_path(args.work) if args.work else target.with_name(f"{target.stem}.windows")
    settings = _resolve_settings(folder, requested, images, backend.name)
    decode = DecodeSettings(engine=args.engine, device=args.device, high_frequencies=args.high_frequencies)
    try:
        piece = make_piece(settings, folder, decode)
    except BaseException:
        _remove_if_empty(folder)
        raise
    stop = threading.Event()
    try:
        with on_first_signal(lambda signum: _on_signal(stop, printer)):
            batch = int(getattr(args, "batch", 1))
            rendered = render_piece(
                piece, backend, batch=batch, limit=limit, on_progress=printer, cancelled=stop.is_set
            )
            if not rendered.complete or stop.is_set():
                _report_unfinished(rendered, printer, folder)
                return exit_code()
        printer.show("making the sound ...")
        clip = sound_of_piece(piece, rendered, printer)
        if clip is None:
            raise RiffusionError("nothing was generated")
        piece.write(target, clip, title=title, subtype=SUBTYPES[args.bits])
    except KeyboardInterrupt as late:
        printer.note(f"stopped; the windows are kept in {folder}; the same command goes on from there")
        return exit_code(late)
    with ignore_first_signal():
        if limit is None and not args.keep_windows:
            shutil.rmtree(folder, ignore_errors=True)
        _report_result(args, piece, clip, target, printer, backend.name)
    return 0


def _report_result(
    args: argparse.Namespace, piece: WindowedPiece, clip: AudioClip, target: Path, printer: ProgressPrinter, model: str
) -> None:
    """Print the result."""
    notes = piece.notes
    for note in () if args.quiet else notes:
        printer.note(f"note: {note}")
    printer.close()
    if args.json:
        result = {"output": str(target), "duration": clip.duration, "seed": piece.seed, "model": model}
        details = {"notes": notes, "infotext": piece.infotext(), "seconds": round(printer.seconds, 3)}
        write_json({"program": "riffusion-ext", "command": args.command, **result, **details})
    elif not args.quiet:
        printer.result(f"{target}  {clip.duration:.2f} s, seed {piece.seed}")


def _report_unfinished(rendered: Rendered, printer: ProgressPrinter, folder: Path) -> None:
    """Print how to resume after a stop or an error.

    Raises
    ------
    Exception
        Error of the backend.
    """
    kept = _kept_text(rendered.done, rendered.total, folder)
    if rendered.error is None:
        printer.note(f"stopped; {kept}")
        return
    printer.close()
    if rendered.done:
        printer.note(kept)
    else:
        _remove_if_empty(folder)
    raise rendered.error


def _kept_text(done: int, total: int, folder: Path) -> str:
    return f"{done} of {total} windows are kept in {folder}; the same command goes on from there"


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder without generated windows."""
    if not any(folder.glob("*/windows/*.png")):
        shutil.rmtree(folder, ignore_errors=True)


def _resolve_settings(
    folder: Path, requested: SettingsT, images: Mapping[str, Image.Image | None], model: str
) -> SettingsT:
    """Return the settings with resolved seeds: those of the last run if the same piece is requested again.

    Raises
    ------
    RiffusionError
        The folder has other contents, or its windows were generated by another model.
    """
    from riffusion_ext.generate.checkpoint.recipe import image_id, read_record, to_record

    identities = {name: image_id(image) for name, image in images.items() if image is not None}
    request = json.loads(json.dumps({"settings": to_record(requested), "pictures": identities}))
    found = _read_contents(folder)
    if found.get("asked") == request:
        if found.get("model") != model:
            raise RiffusionError(
                f"{folder} holds windows of the model {found.get('model')}: choose that model in the webui to go on, "
                f"in place of {model}, or remove the folder"
            )
        return read_record(type(requested), found["settled"])
    settings = requested.resolve_seeds()
    path = folder / _SETTINGS_FILE
    text = json.dumps({"asked": request, "settled": to_record(settings), "model": model}, ensure_ascii=False, indent=1)
    write_atomically(path, lambda file: file.write(text.encode("utf-8", "replace")))
    return settings


def _read_contents(folder: Path) -> dict[str, object]:
    """Return the recorded settings of a folder; {} if it is new or empty.

    Raises
    ------
    RiffusionError
        The folder has other contents, which must not be removed at the end.
    """
    try:
        found = loads(read_regular(folder / _SETTINGS_FILE))
    except FileNotFoundError:
        if not folder.is_file() and not (folder.is_dir() and any(folder.iterdir())):
            return {}
        found = None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not found.keys() >= {"asked", "settled", "model"}:
        raise RiffusionError(f"{folder} is there and holds no windows; choose another place by --work")
    return found


def _on_signal(stop: threading.Event, printer: ProgressPrinter) -> None:
    stop.set()
    printer.note("stopping; finished windows are kept (press again to stop at once)")
