"""The command ``riffusion-ext``.

Exit codes: 0 success, 1 some or all inputs failed, 2 wrong usage, 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress

from riffusion_ext.commands.shared.quiet import mute_library_stderr
from riffusion_ext.signals import exit_code, finish, received_signal, stopping_signals, terminal_closed

__all__ = ["build_parser", "main"]

_EPILOG = """\
examples:
  riffusion-ext demo                                             convert a tune; needs no model
  riffusion-ext image-to-audio --image clip.png --audio clip.wav
  riffusion-ext image-to-audio --image images/ --audio sounds/ --format flac
  riffusion-ext image-to-audio --image tiles/ --join song --audio song.wav
  riffusion-ext images-to-audio --image images/ --crop every --crossfade 0.1
  riffusion-ext audio-to-image --audio song.mp3 --image song.png
  riffusion-ext audio-to-image --audio songs/ --image tiles/ --tiles
  riffusion-ext song "0:20 | funky sax" "0:20 | jazz piano" --webui http://127.0.0.1:7860 --output song.wav
  riffusion-ext info --image clip.png
  riffusion-ext ui --open

exit codes:
    0  everything was done
    1  some or all inputs failed
    2  wrong usage
  130  stopped by Ctrl-C; the files written so far are complete
  143  stopped by SIGTERM in the same way; 129 by SIGHUP
"""
_STOPPED = "stopped; the files written so far are whole"


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands. It imports nothing heavy."""
    from riffusion_ext import __version__
    from riffusion_ext.commands import (
        audio_to_image,
        audio_to_images_batch,
        dataset,
        demo,
        image_to_audio,
        images_to_audio,
        info,
        loop,
        riff,
        sample_clips,
        song,
        ui,
    )

    parser = argparse.ArgumentParser(
        prog="riffusion-ext",
        description="Turn spectrogram images of Riffusion models into sound, and sound into such images.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"riffusion-ext {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (
        image_to_audio,
        images_to_audio,
        audio_to_image,
        audio_to_images_batch,
        sample_clips,
        dataset,
        song,
        riff,
        loop,
        info,
        demo,
        ui,
    ):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; None for those of the process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        Wrong usage (code 2), ``--help`` or ``--version`` (code 0).
    """
    with stopping_signals():
        try:
            code = _run(argv)
            if argv is None:
                finish(code)
        except KeyboardInterrupt as stop:
            _say(_STOPPED)
            code = exit_code(stop)
        except OSError:
            if received_signal() is None and not terminal_closed():
                raise
            code = exit_code()  # the terminal was closed
        if argv is None and received_signal() is not None:
            finish(code)
    return code


def _run(argv: Sequence[str] | None) -> int:
    from riffusion_ext.commands.shared.options import UsageError
    from riffusion_ext.errors import RiffusionError

    if argv is None and "torch" not in sys.modules:
        # By default, OpenMP's threads wait by spinning, which is many times slower beside other busy programs.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end the run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    parser = build_parser()
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.DEBUG if getattr(args, "verbose", False) else logging.WARNING)
    try:
        # C libraries write their own messages about damaged files. A server keeps its stderr.
        with nullcontext() if getattr(args, "verbose", False) or args.command == "ui" else mute_library_stderr():
            return args.run(args)
    except UsageError as error:
        parser.exit(2, f"riffusion-ext {args.command}: error: {error}\n")
    except RiffusionError as error:
        sys.stderr.write(f"riffusion-ext {args.command}: {error}\n")
        return 1
    except BrokenPipeError:  # the reader of our output has exited, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _say(text: str) -> None:
    with suppress(OSError, ValueError):  # the terminal is gone
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
