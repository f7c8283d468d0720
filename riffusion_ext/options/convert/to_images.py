"""Options of the conversion of sound files to images."""

from __future__ import annotations

from dataclasses import replace

from riffusion_ext.convert.bounds import IMAGE_FORMATS, PART_S, THREADS, TILE_COLUMNS, TILE_LEVELS
from riffusion_ext.options.option import Option, by_id
from riffusion_ext.options.sound import CUSTOM, control
from riffusion_ext.params import PRESETS

__all__ = ["BATCH", "BATCH_OPTIONS", "CUTS", "LEVEL_LABELS", "OPTIONS", "PRESET_TEXT", "THREADS_OPTION", "TO_IMAGES"]

_COLUMNS = 512

CUTS = (f"Tiles of {_COLUMNS} columns, for training", "One wide image")
"""Choices of the page "Audio to images" for the shape of images."""

LEVEL_LABELS = {"Whole song": "song", "Each tile": "tile"}
"""Scales of the tiles by their names on the page."""

OPTIONS: tuple[Option, ...] = (
    Option("cut", "Cut", "radio", CUTS[0], "tiles, or one wide image", hint="", choices=CUTS, interfaces=("page",)),
    Option(
        "tiles",
        "",
        "checkbox",
        False,
        "cut into images of --columns; the last one is padded with silence",
        interfaces=("command",),
    ),
    Option(
        "columns",
        "",
        "number",
        _COLUMNS,
        "width of a tile in columns; without tiles, one image has the whole sound",
        bounds=TILE_COLUMNS,
        step=1,
        interfaces=("command", "api"),
    ),
    Option(
        "tile_level",
        "Black is the loudest of",
        "radio",
        "song",
        "song: one scale for all tiles, so that they fit together again; tile: a scale for each tile",
        hint="Whole song: the tiles fit together again. Each tile: quiet parts come out as dark as loud ones.",
        choices=TILE_LEVELS,
        page_default=next(iter(LEVEL_LABELS)),
        api_name="level",
    ),
    Option(
        "start",
        "",
        "number",
        0.0,
        "start of the part to convert, in seconds",
        bounds=PART_S,
        step=0.01,
        interfaces=("command",),
    ),
    Option(
        "duration",
        "",
        "number",
        None,
        "length of the part to convert, in seconds (to the end)",
        bounds=PART_S,
        step=0.01,
        interfaces=("command",),
    ),
    Option(
        "preset",
        "Parameters",
        "dropdown",
        "riffusion-v1",
        "a preset, such as riffusion-v1 or auffusion, or parameters by name, such as max_frequency=16000, stereo=true",
        hint="Use the values that the model was trained with.",
        choices=(*PRESETS, CUSTOM),
        interfaces=("page",),
    ),
    replace(control("custom"), label="Custom parameters", infotext=""),
    Option(
        "format",
        "Image file",
        "dropdown",
        "png",
        "format of the images in a folder",
        hint="png is exact.",
        choices=IMAGE_FORMATS,
        interfaces=("page", "command"),
    ),
)
"""Options of a conversion, in the order of the page and the command line."""

TO_IMAGES = by_id(OPTIONS)

PRESET_TEXT = replace(
    TO_IMAGES["preset"], label="", kind="text", choices=(), max_length=300, interfaces=("api",), api_name="preset"
)
"""Spectrogram parameters in the API: a preset, or parameters by name."""

LIMIT = Option(
    "limit",
    "",
    "number",
    -1,
    "maximum number of files (-1: all)",
    bounds=(float("-inf"), float("inf")),  # what is not above 0 means all
    step=1,
    interfaces=("command",),
)
THREADS_OPTION = Option(
    "num_threads",
    "",
    "number",
    None,
    "number of files to process at once (one for each core)",
    bounds=THREADS,
    step=1,
    interfaces=("command",),
)
BATCH_OPTIONS: tuple[Option, ...] = (
    Option(
        "image_extension",
        "",
        "dropdown",
        "png",
        "format of the images; jpg is lossy",
        choices=("png", "jpg", "jpeg", "webp"),
        interfaces=("command",),
    ),
    Option(
        "mono",
        "",
        "checkbox",
        False,
        "make mono images, as is the default; --stereo makes stereo images",
        interfaces=("command",),
    ),
    THREADS_OPTION,
    LIMIT,
)
"""Options of ``audio-to-images-batch``, with the names of the original library."""

BATCH = by_id(BATCH_OPTIONS)
