"""Bounds and choices of conversions between sound and images.

Conversions check against these, and whatever shows or reads a setting takes its range from here. Standard library only.
"""

from __future__ import annotations

import math

__all__ = [
    "CLIPS",
    "CROPS",
    "CROP_WIDTH",
    "CROSSFADE_S",
    "CUT_DURATION_MS",
    "IMAGE_FORMATS",
    "PART_S",
    "SAMPLE_SEED",
    "THREADS",
    "TILE_COLUMNS",
    "TILE_LEVELS",
]

TILE_COLUMNS = (2, 16384)
"""Columns of a tile: one column has no duration, and WebP files hold 16383."""

TILE_LEVELS = ("song", "tile")
"""Scale of tiles: one for the whole song, so that they fit together again, or one for each."""

IMAGE_FORMATS = ("png", "jpg", "webp")
"""Formats of image files. PNG is exact."""

PART_S = (0.0, math.inf)
"""Start and length of the part of a sound that is converted, in s."""

CROSSFADE_S = (0.0, math.inf)
"""Seconds by which joined clips overlap; shorter where a clip ends before."""

CROPS = ("none", "fixed", "once", "every")
"""``fixed``: the first columns; ``once``: whole bars, as found in the first image that has a beat; ``every``: whole
bars of each image's own beat."""

CROP_WIDTH = (2, 65536)
"""Columns that are kept of an image."""

CLIPS = (1, math.inf)
"""Clips that are sampled from one sound file."""

CUT_DURATION_MS = (1, math.inf)
"""Length of a sampled clip, in ms."""

SAMPLE_SEED = (-1, 2**32 - 1)
"""Seeds of random clips: those of numpy, and -1 for "choose one"."""

THREADS = (1, math.inf)
"""Files to work on at the same time."""
