"""Options of interpolations, a function of the API only."""

from __future__ import annotations

from dataclasses import replace

from riffusion_ext.generate import bounds
from riffusion_ext.options import generation
from riffusion_ext.options.option import REQUIRED, Option, by_id

__all__ = ["END", "INTERPOLATION"]

_API = ("api",)

END: dict[str, Option] = by_id(
    (
        replace(generation.PROMPT, interfaces=_API, api_default=REQUIRED),
        replace(generation.NEGATIVE, interfaces=_API),
        replace(
            generation.SEED,
            default=0,
            help="seed of the noise, taken modulo 2 ** 32",
            bounds=bounds.SIGNED_SEED,
            interfaces=_API,
        ),
        replace(generation.DENOISE, interfaces=_API),
        replace(generation.CFG, interfaces=_API),
    )
)
"""Options of each end of an interpolation."""

INTERPOLATION: dict[str, Option] = by_id(
    (
        Option(
            "count",
            "",
            "number",
            5,
            "number of images, including those of start and end",
            bounds=bounds.COUNT,
            step=1,
            interfaces=_API,
        ),
        replace(generation.POWER, interfaces=_API),
        replace(generation.WIDTH, help="width of the images in columns, if there is no init image", interfaces=_API),
    )
)
