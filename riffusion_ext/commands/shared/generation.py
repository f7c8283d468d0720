"""What the commands ``song``, ``riff`` and ``loop`` have in common: a webui generates, and what is generated is kept.

The windows lie in a folder beside the sound file until it is written: the same command goes on from there, whatever
ended it before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riffusion_ext.commands.shared.generation_report import Teller
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
from riffusion_ext.commands.shared.webui import VARIABLE, add_webui_option, webuis_of
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
    from riffusion_ext.generate.piece import Piece
    from riffusion_ext.generate.riff_settings import RiffSettings
    from riffusion_ext.generate.song import SongSettings
    from riffusion_ext.spectrogram.settings import DecodeSettings

    Settings = SongSettings | RiffSettings | LoopSettings

_LARGEST_SCORE = 1 << 20

__all__ = ["add_options", "make", "open_image", "score_of", "values_of"]

_CONTENTS = "settings.json"


def add_options(parser: argparse.ArgumentParser, options: Sequence[Option], level: Option) -> None:
    """Add the options of a command that generates: those of `options` that a command line has, and what all share."""
    parser.add_argument("--output", "-o", required=True, metavar="A", help="sound file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace it if it exists")
    add_webui_option(parser)
    for item in options:
        if "command" in item.faces:
            add_control(parser, item)
    sound = parser.add_argument_group("sound")
    add_control(sound, "engine")
    add_control(sound, level)
    add_control(sound, BITS)
    add_device_option(parser)
    parser.add_argument(
        "--work",
        metavar="DIR",
        help="folder for windows until the sound file is written; the same command goes on with what is there (beside "
        "the sound file, with .windows at the end of its name)",
    )
    parser.add_argument("--keep-windows", action="store_true", help="leave that folder there at the end")
    add_output_options(parser)
    add_params_options(parser, "what the model was trained on")


def score_of(texts: Sequence[str]) -> str:
    """Return the lines of a score from lines and files of lines.

    Raises
    ------
    UsageError
        One is neither.
    """
    lines = []
    for text in texts:
        if "|" in text or "\n" in text:
            lines.append(text)
            continue
        try:
            lines.append(read_regular(user_path(text), _LARGEST_SCORE).decode("utf-8-sig"))
        except (OSError, ValueError, RuntimeError):
            raise UsageError(f"{text!r} is no file, and no line of a score such as: 8 bars | funky sax") from None
    return "\n".join(lines)


def values_of(args: argparse.Namespace, options: Sequence[Option]) -> dict[str, Any]:
    """Return the values of the options by id, with the level and the parameters of the model's images."""
    values = {item.id: getattr(args, item.id) for item in options if "command" in item.faces}
    return {**values, "level": args.level, "params": params_of(args) or PRESETS[PRESET.default]}


def open_image(name: str | None) -> Image.Image | None:
    """Open the image of an option; None for none."""
    if name is None:
        return None
    from riffusion_ext.spectrogram.image import read_image

    return read_image(user_path(name))


def make(
    args: argparse.Namespace,
    wanted: Settings,
    begin: Callable[[Any, Path, DecodeSettings], Piece],
    *,
    title: str,
    images: Mapping[str, Image.Image | None] = {},
    limit: int | None = None,
) -> int:
    """Render a piece with the webuis, write its sound, and return the exit code.

    Parameters
    ----------
    args
        Of the command.
    wanted
        Its settings.
    begin
        Makes the piece from settings, folder and decode settings.
    title
        Of the sound file.
    images
        That it begins with, by name.
    limit
        Only the first so many windows.
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
            f"http://127.0.0.1:7860 (or in the environment variable {VARIABLE})"
        )
    teller = Teller(quiet=args.quiet or args.json)
    webuis = Webuis(addresses, log=teller.note)
    backend = webuis.backend()
    if wanted.sampler and wanted.sampler not in webuis.samplers():
        raise RiffusionError(f"there is no sampler {wanted.sampler!r}; there are {', '.join(webuis.samplers())}")
    wanted = replace(wanted, sampler=wanted.sampler or webuis.usual_sampler())
    folder = user_path(args.work) if args.work else target.with_name(f"{target.stem}.windows")
    settings = _remembered(folder, wanted, images, backend.name)
    try:
        piece = begin(settings, folder, DecodeSettings(engine=args.engine, device=args.device))
    except BaseException:
        _forget(folder)
        raise
    stop = threading.Event()
    try:
        with on_first_signal(lambda signum: _wish(stop, teller)):
            batch = int(getattr(args, "batch", 1))
            rendered = render_piece(piece, backend, batch=batch, limit=limit, on_progress=teller, cancelled=stop.is_set)
            if not rendered.complete or stop.is_set():
                _unfinished(rendered, teller, folder)
                return exit_code()
        teller.say("making the sound ...")
        clip = sound_of_piece(piece, rendered, teller)
        if clip is None:
            raise RiffusionError("nothing was generated")
        piece.write(target, clip, title=title, subtype=SUBTYPES[args.bits])
    except KeyboardInterrupt as late:
        teller.note(f"stopped; the windows are kept in {folder}; the same command goes on from there")
        return exit_code(late)
    with ignore_first_signal():
        if limit is None and not args.keep_windows:
            shutil.rmtree(folder, ignore_errors=True)
        _conclude(args, piece, clip, target, teller, backend.name)
    return 0


def _conclude(
    args: argparse.Namespace, piece: Piece, clip: AudioClip, target: Path, teller: Teller, model: str
) -> None:
    """Say what was made."""
    notes = piece.notes
    for note in () if args.quiet else notes:
        teller.note(f"note: {note}")
    teller.close()
    if args.json:
        told = {"output": str(target), "duration": clip.duration, "seed": piece.seed, "model": model}
        how = {"notes": notes, "infotext": piece.infotext(), "seconds": round(teller.seconds, 3)}
        write_json({"program": "riffusion-ext", "command": args.command, **told, **how})
    elif not args.quiet:
        teller.result(f"{target}  {clip.duration:.2f} s, seed {piece.seed}")


def _unfinished(rendered: Rendered, teller: Teller, folder: Path) -> None:
    """Say where the rest begins of what was stopped, or failed.

    Raises
    ------
    Exception
        That of the backend.
    """
    kept = _kept(rendered.done, rendered.total, folder)
    if rendered.error is None:
        teller.note(f"stopped; {kept}")
        return
    teller.close()
    if rendered.done:
        teller.note(kept)
    else:
        _forget(folder)
    raise rendered.error


def _kept(done: int, total: int, folder: Path) -> str:
    return f"{done} of {total} windows are kept in {folder}; the same command goes on from there"


def _forget(folder: Path) -> None:
    """Remove a folder in which nothing was generated."""
    if not any(folder.glob("*/windows/*.png")):
        shutil.rmtree(folder, ignore_errors=True)


def _remembered(folder: Path, wanted: Settings, images: Mapping[str, Image.Image | None], model: str) -> Settings:
    """Return the settings with every seed decided: as they were the last time, if the same is wanted again.

    Raises
    ------
    RiffusionError
        The folder is somebody else's, or what is there was generated by another model.
    """
    from riffusion_ext.generate.checkpoint.recipe import image_id, read_record, to_record

    identities = {name: image_id(image) for name, image in images.items() if image is not None}
    asked = json.loads(json.dumps({"settings": to_record(wanted), "pictures": identities}))
    found = _contents(folder)
    if found.get("asked") == asked:
        if found.get("model") != model:
            raise RiffusionError(
                f"{folder} holds windows of the model {found.get('model')}: choose that model in the webui to go on, "
                f"in place of {model}, or remove the folder"
            )
        settled: Settings = read_record(type(wanted), found["settled"])
        return settled
    settled = wanted.settled()
    path = folder / _CONTENTS
    text = json.dumps({"asked": asked, "settled": to_record(settled), "model": model}, ensure_ascii=False, indent=1)
    write_atomically(path, lambda file: file.write(text.encode("utf-8", "replace")))
    return settled


def _contents(folder: Path) -> dict[str, Any]:
    """Return what a folder says of its windows; nothing where it is new or empty.

    Raises
    ------
    RiffusionError
        It is somebody else's: the folder is removed at the end, with all that is in it.
    """
    try:
        found = loads(read_regular(folder / _CONTENTS))
    except FileNotFoundError:
        if not folder.is_file() and not (folder.is_dir() and any(folder.iterdir())):
            return {}
        found = None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not found.keys() >= {"asked", "settled", "model"}:
        raise RiffusionError(f"{folder} is there and holds no windows; choose another place by --work")
    return found


def _wish(stop: threading.Event, teller: Teller) -> None:
    stop.set()
    teller.note("stopping; finished windows are kept (press again to stop at once)")
