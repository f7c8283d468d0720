"""Options for cropping images before their conversion to sound, on the tab and the command line.

They are separate from the Script's options (:mod:`riffusion_ext.options.sound`), whose order and labels are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from riffusion_ext.analysis.bounds import BEAT_FINDER
from riffusion_ext.convert.bounds import CROP_WIDTH, CROPS
from riffusion_ext.options.option import Option, by_id

if TYPE_CHECKING:
    from riffusion_ext.convert.crop import CropSettings

__all__ = ["CROP", "CROP_CONTROLS", "crop_settings"]

CROP_CONTROLS: tuple[Option, ...] = (
    Option(
        id="crop",
        label="Cut the clips",
        kind="dropdown",
        default="none",
        help="fixed: to a width; every: each image to whole bars of its own beat; once: all like the first with a beat",
        interfaces=("page", "command"),
        choices=CROPS,
    ),
    Option(
        id="crop_width",
        label="Width to keep (columns)",
        kind="slider",
        default=512.0,
        help="used when the cut is fixed; 100 columns of 10 ms are one second; narrower images are not cut",
        interfaces=("page", "command"),
        bounds=CROP_WIDTH,
        page_bounds=(16, 4096),
        step=1.0,
    ),
    Option(
        id="rhythm",
        label="Beats in a bar",
        kind="slider",
        default=4.0,
        help="a clip is cut to as many whole bars as fit into its image",
        interfaces=("page", "command"),
        bounds=BEAT_FINDER["rhythm"],
        page_bounds=(1.0, 16.0),
        step=1.0,
    ),
    Option(
        id="ignore_range",
        label="Shortest beat (seconds)",
        kind="slider",
        default=0.25,
        help="beats closer together than this are ignored; a longer time finds a slower beat",
        interfaces=("page", "command"),
        bounds=BEAT_FINDER["ignore_range"],
        page_bounds=(0.05, 2.0),
        step=0.01,
    ),
    Option(
        id="band_start",
        label="Band of the beat, start",
        kind="slider",
        default=0.25,
        help="band of the image that is searched for beats; 0 is the top, the highest pitch",
        interfaces=("page", "command"),
        bounds=BEAT_FINDER["band_start"],
        page_bounds=(0.0, 0.95),
        step=0.05,
    ),
    Option(
        id="band_length",
        label="Band of the beat, length",
        kind="slider",
        default=0.5,
        help="height of this band, as a share of the image's height",
        interfaces=("page", "command"),
        bounds=BEAT_FINDER["band_length"],
        page_bounds=(0.05, 1.0),
        step=0.05,
    ),
    Option(
        id="threshold",
        label="Beat threshold",
        kind="slider",
        default=0.75,
        help="how far below the strongest hit others may lie; 0.1: only hits nearly as strong count, 1: all",
        interfaces=("page", "command"),
        bounds=BEAT_FINDER["threshold"],
        page_bounds=(0.05, 1.0),
        step=0.05,
    ),
)
"""Options of the crop, in the order of the page. Those of the beat finder are from sd-webui-riffusion."""

CROP = by_id(CROP_CONTROLS)


def crop_settings(values: Mapping[str, object]) -> CropSettings:
    """Return the settings of the crop.

    Parameters
    ----------
    values
        Values by id; a missing one, or None, takes its default.

    Raises
    ------
    RiffusionError
        A value is not allowed.
    """
    from riffusion_ext.analysis.image_beats import BeatFinder
    from riffusion_ext.convert.crop import CropSettings

    clean = {
        item.id: item.clean(item.default if values.get(item.id) is None else values[item.id]) for item in CROP_CONTROLS
    }
    number = {key: float(value) for key, value in clean.items() if key != "crop"}
    finder = BeatFinder(
        rhythm=round(number["rhythm"]),
        band_start=number["band_start"],
        band_length=number["band_length"],
        threshold=number["threshold"],
        ignore_range=number["ignore_range"],
    )
    return CropSettings(str(clean["crop"]), round(number["crop_width"]), finder)
