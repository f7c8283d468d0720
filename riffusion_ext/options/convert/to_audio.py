"""Options of the conversion of images to sound files, other than those of the sound and the crop."""

from __future__ import annotations

from dataclasses import replace

from riffusion_ext.convert.bounds import CROSSFADE_S
from riffusion_ext.options.option import Option, by_id
from riffusion_ext.options.sound import control

__all__ = ["BITS", "EACH_OR_JOINED", "JOIN", "KINDS", "OPTIONS", "SUBTYPES", "TO_AUDIO"]

KINDS = ("One clip each", "One song", "One clip each, and all joined", "One track of all")
"""Results of the page "Images to audio"."""

SUBTYPES = {"16": "pcm16", "24": "pcm24", "float": "float"}
"""Sample formats of :func:`~riffusion_ext.audio.io.write_audio` by the values of ``--bits``."""

BITS = Option(
    "bits",
    "",
    "dropdown",
    "16",
    "sample format of WAV and FLAC",
    choices=tuple(SUBTYPES),
    interfaces=("command",),
)

_CROSSFADE = replace(
    control("crossfade"),
    infotext="",
    help="seconds of the fade from each clip of the track to the next; shorter where no sound is left around a cut",
    hint=control("crossfade").help,
    interfaces=("page", "command"),
    bounds=CROSSFADE_S,
    page_bounds=control("crossfade").bounds,
    whole=False,
)
"""Not the Script's option, whose range is that of its API arguments."""

EACH_OR_JOINED: tuple[Option, ...] = (
    Option(
        "kind",
        "What to make",
        "radio",
        KINDS[0],
        "what to make of the images",
        hint="One song: the images are consecutive parts of it; it is rebuilt as a whole, without seams.",
        choices=KINDS,
        interfaces=("page",),
    ),
    Option(
        "patterns",
        "Only file names that match",
        "text",
        "",
        'only files whose names match, such as "*.jpg, *.png" (all images)',
        hint="",
        interfaces=("page", "command"),
        command_name="glob",
        placeholder="*.jpg, *.png",
        transient=True,
    ),
    Option("each", "", "checkbox", True, "write a sound file for each image (yes)", interfaces=("command",)),
    Option("join", "", "checkbox", True, "write one track of all clips (yes)", interfaces=("command",)),
    Option(
        "joined_name",
        "Name of the joined file",
        "text",
        "joined",
        "name of the track; {date} is replaced by date and time, {folder} by the name of its folder",
        hint="{date} stands for the time",
        interfaces=("page", "command"),
        transient=True,
    ),
)
"""Options of the results: a kind on the page, and switches on the command line."""

OPTIONS: tuple[Option, ...] = (
    Option(
        "order",
        "",
        "dropdown",
        "natural",
        "order of the joined images; natural: by the numbers in their names (clip_2 before clip_10), however the shell "
        "sorts them; given: as on the command line",
        choices=("natural", "given"),
        interfaces=("command",),
    ),
    _CROSSFADE,
    BITS,
    Option(
        "seed",
        "",
        "number",
        0,
        "seed of the random phases of the reference engine; other engines use no seed",
        bounds=(float("-inf"), float("inf")),  # torch takes any
        step=1,
        interfaces=("command",),
    ),
)
"""Options of both commands."""

TO_AUDIO = by_id((*EACH_OR_JOINED, *OPTIONS))

JOIN = Option(
    "join",
    "",
    "dropdown",
    None,
    "write one sound file of all images; song: the images are tiles of one song, which is reconstructed as a whole, "
    "without seams; clips: separate clips, placed end to end",
    choices=("song", "clips"),
    interfaces=("command",),
)
"""Option of the command ``image-to-audio``."""
