"""Options of random clips from sound files. Their names are those of the original library's commands."""

from __future__ import annotations

from dataclasses import replace

from riffusion_ext.convert.bounds import CLIPS, CUT_DURATION_MS, SAMPLE_SEED
from riffusion_ext.options.convert.to_images import LIMIT, THREADS_OPTION
from riffusion_ext.options.option import Option, by_id
from riffusion_ext.options.sound import control

__all__ = ["OPTIONS", "SAMPLING"]

_COMMAND = ("command",)
_CLIPS = Option("num_clips", "", "number", 1, "number of clips", bounds=CLIPS, step=1, interfaces=_COMMAND)

OPTIONS: tuple[Option, ...] = (
    _CLIPS,
    replace(_CLIPS, id="num_clips_per_file", help="clips from each file, with sample-clips-batch"),
    Option(
        "glob",
        "",
        "text",
        "*",
        "which files of the folder, as *.mp3; **/*.mp3 takes its subfolders too (* takes all that are sound)",
        interfaces=_COMMAND,
    ),
    LIMIT,
    THREADS_OPTION,
    Option(
        "duration_ms",
        "",
        "number",
        5120,
        "length of a clip; an image of 512 columns needs 5110 to 5119 ms, 5120 make 513 columns",
        bounds=CUT_DURATION_MS,
        step=1,
        interfaces=_COMMAND,
    ),
    Option("mono", "", "checkbox", False, "mix to one channel", interfaces=_COMMAND),
    Option(
        "extension",
        "",
        "dropdown",
        "wav",
        "format of the clips; mp3 and ogg lose some; sample-clips-batch writes mp3 where none is named",
        choices=control("format").choices,
        interfaces=_COMMAND,
    ),
    Option(
        "seed",
        "",
        "number",
        -1,
        "the same seed gives the same clips; -1: different clips each time",
        bounds=SAMPLE_SEED,
        step=1,
        interfaces=_COMMAND,
    ),
)
"""Options of both commands."""

SAMPLING = by_id(OPTIONS)
