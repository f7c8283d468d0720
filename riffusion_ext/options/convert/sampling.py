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
    replace(_CLIPS, id="num_clips_per_file", help="number of clips from each file, with sample-clips-batch"),
    Option(
        "glob",
        "",
        "text",
        "*",
        "pattern of file names, such as *.mp3, or **/*.mp3 to include subfolders (*: all sound files of the folder)",
        interfaces=_COMMAND,
    ),
    LIMIT,
    THREADS_OPTION,
    Option(
        "duration_ms",
        "",
        "number",
        5120,
        "length of a clip in ms; 5110 to 5119 make an image of 512 columns, 5120 makes 513",
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
        "format of the clips; mp3 and ogg are lossy; sample-clips-batch writes mp3 by default",
        choices=control("format").choices,
        interfaces=_COMMAND,
    ),
    Option(
        "seed",
        "",
        "number",
        -1,
        "seed of the random positions; the same seed gives the same clips, -1 gives other clips each time",
        bounds=SAMPLE_SEED,
        step=1,
        interfaces=_COMMAND,
    ),
)
"""Options of both commands."""

SAMPLING = by_id(OPTIONS)
