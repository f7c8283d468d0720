"""Bounds and choices of the settings of songs, riffs, loops and live sessions.

The settings are checked against them, and the options take their ranges from here. Standard library only: ``--help`` of
the command line reads them too.
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
"""Largest width or height in pixels."""

WIDTH = (GRAIN, LARGEST_SIDE)
"""Columns of a window, a multiple of :data:`GRAIN`."""

OVERLAP_GRAIN = 16
"""The overlap of the windows of songs is a multiple of this many columns."""

OVERLAP = (OVERLAP_GRAIN, LARGEST_SIDE // 2)
"""Columns that neighbouring windows of a song share; at most half the width of a window."""

RIFF_OVERLAP = (0, LARGEST_SIDE // 2)
"""Columns that neighbouring windows of a riff share; they may share none."""

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
"""Panning of a doubled song, 0 (centre) to 1 (sides)."""

BPM = (20, 400)
"""Slowest and fastest tempo, in beats per minute."""

BEATS_PER_BAR = (1, 16)

PART_SECONDS = (0, 3 * 3600)
"""Length of a part of a song in seconds."""

PART_BARS = (0, 10_000)
"""Length of a part of a song in bars."""

COUNT = (1, 1000)
"""Images of an interpolation, the first and the last included."""

TRAVEL = (1, 64)
"""Windows of a transition in a live session."""

AHEAD_S = (5.0, 300.0)
"""Seconds that a live session generates ahead."""

JOINS = ("outpaint", "plain")
"""How the windows of a song meet. "outpaint": every second window is inpainted between its two finished neighbours.
"plain": independent windows side by side, as in the original."""

NOISES = ("auto", "fixed", "new")
"""Noise of a window. "fixed": that of the keyframes, as in the original. "new": different in each window. "auto": fixed
during transitions of prompt or seed, new while both are constant, where fixed noise would repeat the music."""

PATTERNS = ("none", "four on the floor", "backbeat", "half time", "offbeat")
"""Patterns of the beat in init images; "none" makes no init image."""

CHANNELS = ("mono", "stereo", "double")
"""Layers of a riff, see :mod:`riffusion_ext.generate.riff`."""
