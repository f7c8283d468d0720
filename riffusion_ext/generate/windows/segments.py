"""Parts of a song that can be heard before the rest is generated.

::

    windows    0   1   2   3   4   5   6   7   8   9
    stretches  [0] [1       3] [4       6] [7      9]     the first one is short, so that it is soon heard

No window is in two of them, and they are decoded by the fast engine, so that all of them together cost at most what
the whole costs with it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.windows.plan import Plan
from riffusion_ext.spectrogram.settings import DecodeSettings

__all__ = ["plan_part", "segments_of", "with_fast_engine"]


def segments_of(windows: int, max_segments: int) -> list[tuple[int, int]]:
    """Divide windows into stretches.

    Parameters
    ----------
    windows
        How many there are, at least 1.
    max_segments
        How many stretches there may be, at least 2.

    Returns
    -------
    list
        (first window, the one behind the last) of each: the first one by itself, the others about equally long.
    """
    rest = min(windows - 1, max_segments - 1)
    borders = [0, 1, *(1 + round((windows - 1) * number / rest) for number in range(1, rest + 1))]
    return list(pairwise(borders))


def with_fast_engine(settings: DecodeSettings) -> DecodeSettings:
    """Return how to decode what is heard but once, while the model waits: with the fast engine, whatever was chosen."""
    return replace(settings, engine="fast")


def plan_part(plan: Plan, first: int, stop: int) -> Plan:
    """Return the plan of some windows, as a song of its own: numbered and counted from 0.

    Parameters
    ----------
    plan
        Of the whole song.
    first, stop
        Numbers of the first window, and of the one behind the last.

    Raises
    ------
    RiffusionError
        There are no such windows.
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
