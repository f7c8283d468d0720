"""Bounds and choices of what is generated: songs, riffs, loops and live sessions.

Their settings check against these, and whatever shows or reads a setting takes its range from here. Standard library
only: the command line's ``--help`` reads them, too.
"""

from __future__ import annotations

__all__ = [
    "AHEAD_S",
    "ALPHA",
    "BEATS_PER_BAR",
    "BPM",
    "CFG",
    "CHANNELS",
    "COUNT",
    "DENOISE",
    "GRAIN",
    "IMAGE_CFG",
    "JOINS",
    "LARGEST_SIDE",
    "NOISES",
    "OVERLAP",
    "OVERLAP_GRAIN",
    "PART_BARS",
    "PART_SECONDS",
    "PATTERNS",
    "POWER",
    "RIFF_OVERLAP",
    "SEED",
    "SIGNED_SEED",
    "SPREAD",
    "STEPS",
    "TRAVEL",
    "WIDTH",
]

GRAIN = 64
"""Widths and heights are multiples of this many pixels: hosts rescale images of other sizes."""

LARGEST_SIDE = 4096
"""Pixels."""

WIDTH = (GRAIN, LARGEST_SIDE)
"""Columns of a window, a multiple of :data:`GRAIN`."""

OVERLAP_GRAIN = 16
"""The overlap of the windows of songs is a multiple of this many columns."""

OVERLAP = (OVERLAP_GRAIN, LARGEST_SIDE // 2)
"""Columns that neighbouring windows of a song share; at most half the width of a window."""

RIFF_OVERLAP = (0, LARGEST_SIDE // 2)
"""The same for riffs, whose windows need not know each other."""

STEPS = (1, 150)
"""Steps of the sampler: the range of the webui."""

CFG = (1, 30)
"""Guidance scale of songs, riffs and loops."""

IMAGE_CFG = (1, 100)
"""Guidance scale of a single image."""

DENOISE = (0, 1)
"""Denoising strength."""

ALPHA = (0, 1)
"""Position between two prompts."""

POWER = (0.05, 20)
"""Exponent of the transition from one prompt to the next."""

SEED = (-1, 2**32 - 1)
"""Seeds of the noise; -1 stands for "choose one"."""

SIGNED_SEED = (-(2**31), SEED[1])
"""Seeds that are taken modulo 2 ** 32: clients of the original server send signed ones."""

SPREAD = (0, 1)
"""How far a doubled song is panned."""

BPM = (20, 400)
"""Slowest and fastest tempo, in beats per minute."""

BEATS_PER_BAR = (1, 16)

PART_SECONDS = (0, 3 * 3600)
"""Length of a part of a song."""

PART_BARS = (0, 10_000)
"""The same in bars."""

COUNT = (1, 1000)
"""Images of an interpolation, the first and the last included."""

TRAVEL = (1, 64)
"""Windows of a transition in a live session."""

AHEAD_S = (5.0, 300.0)
"""Seconds that a live session generates ahead."""

JOINS = ("outpaint", "plain")
"""How the windows of a song meet. "outpaint": every second one is generated between its neighbours, which it knows.
"plain": side by side, the original's way."""

NOISES = ("auto", "fixed", "new")
"""Which noise a window begins with. "fixed": that of the keyframes, as in the original. "new": another one in each
window. "auto": fixed while prompts or seeds move, new while the song stays where it is and would repeat itself."""

PATTERNS = ("none", "four on the floor", "backbeat", "half time", "offbeat")
"""Beats to begin with; "none" is no image at all."""

CHANNELS = ("mono", "stereo", "double")
"""What a riff is generated from, see :mod:`riffusion_ext.generate.riff`."""
