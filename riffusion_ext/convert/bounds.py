"""Bounds and choices of conversions between sound and images.

Used by the conversions and by all interfaces that show or read a setting. Standard library only.
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
"""Columns of a tile: a single column has no duration, and WebP files hold at most 16383."""

TILE_LEVELS = ("song", "tile")
"""Scale of tiles: one for the whole song, so that they can be joined, or one for each tile."""

IMAGE_FORMATS = ("png", "jpg", "webp")
"""Formats of image files. PNG is lossless."""

PART_S = (0.0, math.inf)
"""Start and duration of the part of a sound to convert, in s."""

CROSSFADE_S = (0.0, math.inf)
"""Overlap of joined clips in s; reduced for short clips."""

CROPS = ("none", "fixed", "once", "every")
"""Crop methods. ``fixed``: the first columns; ``once``: whole bars, found in the first image with a beat; ``every``:
whole bars, found in each image."""

CROP_WIDTH = (2, 65536)
"""Columns to keep of an image."""

CLIPS = (1, math.inf)
"""Number of clips to sample from one sound file."""

CUT_DURATION_MS = (1, math.inf)
"""Duration of a sampled clip, in ms."""

SAMPLE_SEED = (-1, 2**32 - 1)
"""Seeds of random clips: those of numpy, and -1 for a random seed."""

THREADS = (1, math.inf)
"""Files to process in parallel."""
