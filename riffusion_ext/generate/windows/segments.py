"""Segments of a song that can be heard before the rest is generated.

::

    windows    0   1   2   3   4   5   6   7   8   9
    segments   [0] [1       3] [4       6] [7      9]     the first one is short, so it can be heard soon

No window is in two segments, and they are decoded by the fast engine, so all of them together take at most as long as
the whole song with that engine.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.windows.plan import Plan
from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["plan_part", "segments_of", "with_fast_engine"]


def segments_of(windows: int, max_segments: int) -> list[tuple[int, int]]:
    """Divide windows into segments.

    Parameters
    ----------
    windows
        Number of windows, at least 1.
    max_segments
        Largest number of segments, at least 2.

    Returns
    -------
    list
        (first window, last window + 1) of each: the first segment is one window, the others are about equally long.
    """
    rest = min(windows - 1, max_segments - 1)
    borders = [0, 1, *(1 + round((windows - 1) * number / rest) for number in range(1, rest + 1))]
    return list(pairwise(borders))


def with_fast_engine(settings: DecodeSettings) -> DecodeSettings:
    """Return the settings with the fast engine: a segment is heard once, and the model waits while it is decoded."""
    return replace(settings, engine="fast")


def plan_part(plan: Plan, first: int, stop: int) -> Plan:
    """Return the plan of a range of windows as a song of its own, numbered from 0.

    Parameters
    ----------
    plan
        Plan of the whole song.
    first, stop
        Number of the first window, and of the last + 1.

    Raises
    ------
    RiffusionError
        The range is empty or outside the plan.
    """
    if not 0 <= first < stop <= len(plan.windows):
        raise RiffusionError(f"windows must lie between 0 and {len(plan.windows)}, got {first} to {stop}")
    offset = plan.windows[first].first
    windows = tuple(
        replace(
            window,
            number=window.number - first,
            start=window.start - offset,
            first=window.first - offset,
            last=window.last - offset,
        )
        for window in plan.windows[first:stop]
    )
    begin = offset * plan.params.hop_length
    samples = min(plan.samples - begin, plan.params.samples_of_columns(windows[-1].last))
    return replace(plan, samples=max(samples, 1), first_sample=plan.first_sample + begin, windows=windows)
