"""Plan the windows of a song: which images it consists of, as plain data.

::

    song      0                                                          columns
              |-------------------------------------------------------------|
    pass 0    [   window 0   ]         [   window 2   ]         [   window 4   ]
    pass 1               [   window 1   ]         [   window 3   ]
                         |<-->|  both show these columns, and meet in the middle of them

Windows of pass 0 are independent of each other, so they can be generated in batches. Those of pass 1 are inpainted
between two finished neighbours, in batches as well. Time is counted in columns of ``hop_length`` samples; column `c`
is at sample ``c * hop_length``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.bounds import GRAIN, LARGEST_SIDE, NOISES, OVERLAP_GRAIN, RIFF_OVERLAP, WIDTH
from riffusion_ext.generate.score.keyframes import Moment, Score
from riffusion_ext.params import SpectrogramParams
from riffusion_ext.params.parameters import without_later_defaults

__all__ = [
    "SEEDS",
    "Plan",
    "Window",
    "check_overlap",
    "check_riff_overlap",
    "check_width",
    "plan_plain",
    "plan_riff",
    "plan_song",
]

SEEDS = NOISES
"""Choices of the noise of a window."""

_VERSION = 1

MomentAt = Callable[[float], Moment]


@dataclass(frozen=True)
class Window:
    """One image of a song.

    Attributes
    ----------
    number
        Index from left to right, from 0.
    start, width
        First column of the song in its image, and number of columns; it may extend past the end.
    first, last
        Columns taken from it, ``first <= c < last``; those of all windows are contiguous.
    known_left, known_right
        Columns at its edges that its neighbours determine before it is generated.
    moment
        Prompts and settings.
    pass_
        0: independent of other windows; 1: needs its neighbours.
    seeds
        Seeds of the noise, start and end.
    """

    number: int
    start: int
    width: int
    first: int
    last: int
    known_left: int
    known_right: int
    moment: Moment
    pass_: int
    seeds: tuple[int, int]

    @property
    def end(self) -> int:
        """First column after its image."""
        return self.start + self.width

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Values that must be equal within a batch."""
        return (self.width, self.known_left, self.known_right, self.moment.denoise, self.moment.cfg)


@dataclass(frozen=True)
class Plan:
    """All windows of a song.

    Attributes
    ----------
    kind
        ``"song"``, ``"plain"`` or ``"riff"``.
    params
        Spectrogram parameters of the images.
    samples
        Length of the sound in samples.
    first_sample
        Its first sample in the song that it is made from.
    overlap
        Longest fade between neighbours, in columns.
    windows
        Windows from left to right, at least one.
    """

    kind: str
    params: SpectrogramParams
    samples: int
    first_sample: int
    overlap: int
    windows: tuple[Window, ...]

    @property
    def columns(self) -> int:
        """Number of columns, so many that the last sample lies before the last column."""
        return self.windows[-1].last

    @property
    def seconds(self) -> float:
        """Length of the sound in seconds."""
        return self.samples / self.params.sample_rate

    def fade(self, number: int) -> int:
        """Return the columns of the fade from window `number` to the next, half of them on each side of the border."""
        one, other = self.windows[number], self.windows[number + 1]
        half = min(one.end - one.last, other.first - other.start, self.overlap // 2)
        # Two fades may meet within a window but not overlap: no column belongs to three windows.
        return max(0, 2 * min(half, (one.last - one.first) // 2, (other.last - other.first) // 2))

    def needs(self, window: Window) -> tuple[int, ...]:
        """Return the numbers of the windows that must be finished before this one."""
        if window.pass_ == 0:
            return ()
        sides = ((window.number - 1, window.known_left), (window.number + 1, window.known_right))
        return tuple(number for number, known in sides if known)

    def head(self, count: int) -> Plan:
        """Return the plan of the first `count` windows: what is playable once they are generated."""
        if count >= len(self.windows):
            return self
        windows = list(self.windows[: max(count, 1)])
        last = windows[-1]
        windows[-1] = replace(last, last=last.end)
        samples = min(self.samples, self.params.samples_of_columns(last.end))
        return replace(self, samples=samples, windows=tuple(windows))

    def to_json(self) -> str:
        """Return the plan as JSON text."""
        values = asdict(self, dict_factory=without_later_defaults)
        return json.dumps({"version": _VERSION, **values}, ensure_ascii=False, indent=1)


def plan_song(
    score: Score,
    params: SpectrogramParams,
    *,
    width: int = 512,
    overlap: int = 128,
    seeds: str = "auto",
    known_start: int = 0,
) -> Plan:
    """Plan a song in two passes: every second window first, then those between, inpainted.

    Parameters
    ----------
    score
        Score with resolved seeds (:meth:`~riffusion_ext.generate.score.keyframes.Score.resolve_seeds`).
    params
        Spectrogram parameters of the images.
    width
        Width of the windows, a multiple of 64.
    overlap
        Columns that neighbours share: a multiple of 16, at most half the width.
    seeds
        One of :data:`SEEDS`.
    known_start
        Known columns at the start, if the song continues another; at most the overlap.

    Returns
    -------
    Plan
        Plan that covers the length of the score to the last sample.

    Raises
    ------
    RiffusionError
        A value is out of range.
    """
    check_width(width)
    check_overlap(overlap, width)
    if not (0 <= known_start <= overlap and known_start % 8 == 0):
        raise RiffusionError(
            f"the known columns at the start must be a multiple of 8 up to the overlap of {overlap}, got {known_start}"
        )
    samples = score.samples(params.sample_rate)
    total = _columns(samples, params)
    count = max(1, math.ceil((total - overlap) / (width - overlap)))
    starts = [number * (width - overlap) for number in range(count)]
    plan = _make_plan("song", params, samples, 0, starts, width, overlap, score.at, seeds)
    windows = [
        replace(window, pass_=1, known_left=overlap, known_right=overlap if window.number + 1 < count else 0)
        if window.number % 2
        else window
        for window in plan.windows
    ]
    windows[0] = replace(windows[0], known_left=known_start)
    return replace(plan, windows=tuple(windows))


def plan_plain(score: Score, params: SpectrogramParams, *, width: int = 512, seeds: str = "fixed") -> Plan:
    """Plan independent windows side by side, as the original does. Parameters as in `plan_song`."""
    check_width(width)
    samples = score.samples(params.sample_rate)
    starts = list(range(0, _columns(samples, params), width))
    return _make_plan("plain", params, samples, 0, starts, width, 0, score.at, seeds)


def plan_riff(
    total_samples: int,
    params: SpectrogramParams,
    moment_at: MomentAt,
    *,
    width: int = 512,
    overlap: int = 128,
    start: float = 0.0,
    duration: float | None = None,
    seeds: str = "fixed",
) -> Plan:
    """Plan windows that cover every sample of an existing song.

    The windows are spaced evenly, so that the last one ends with the song. A song shorter than a window gets one
    window, which extends past its end.

    Parameters
    ----------
    total_samples
        Length of the song in samples, at ``params.sample_rate``.
    params
        Spectrogram parameters of the images.
    moment_at
        Returns the moment at a time in seconds from the start of the planned part.
    width
        Width of the windows, a multiple of 64.
    overlap
        Smallest overlap of neighbours in columns; 0 to half the width.
    start, duration
        Part of the song in seconds; None: to its end.
    seeds
        One of :data:`SEEDS`.

    Raises
    ------
    RiffusionError
        A value is out of range, or the part lies outside the song.
    """
    check_width(width)
    check_riff_overlap(overlap, width)
    first_sample, samples = _part(total_samples, params.sample_rate, start, duration)
    total = _columns(samples, params)
    count = max(1, math.ceil((total - overlap) / (width - overlap)))
    room = max(total - width, 0)
    starts = [round(number * room / max(count - 1, 1)) for number in range(count)]
    return _make_plan("riff", params, samples, first_sample, starts, width, overlap, moment_at, seeds)


def _part(total: int, rate: int, start: float, duration: float | None) -> tuple[int, int]:
    """Return (first sample, number of samples) of a part in seconds."""
    length = total / rate
    if not (math.isfinite(start) and start >= 0 and round(start * rate) < total):
        raise RiffusionError(f"the start must lie within the {length:.2f} s of the song, got {start:g} s")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise RiffusionError(f"the duration must be longer than 0 s, got {duration:g} s")
    first = round(start * rate)
    rest = total - first
    return first, rest if duration is None else max(1, min(rest, round(duration * rate)))


def _columns(samples: int, params: SpectrogramParams) -> int:
    """Return the columns needed for every sample to lie between two; at least 2, which sound needs."""
    return 1 + max(1, math.ceil(samples / params.hop_length))


def _make_plan(
    kind: str,
    params: SpectrogramParams,
    samples: int,
    first_sample: int,
    starts: Sequence[int],
    width: int,
    overlap: int,
    moment_at: MomentAt,
    seeds: str,
) -> Plan:
    """Make windows with given starts; borders lie in the middle of the shared columns.

    The moment of a window is that in the middle of its columns, but for the first and the last that at the ends of the
    song: a transition then begins and ends with the prompts themselves. Plain windows make the transition in equal
    steps, as in the original.
    """
    if seeds not in SEEDS:
        raise RiffusionError(f"the seeds must be one of {', '.join(SEEDS)}, got {seeds!r}")
    borders = [(one + width + other) // 2 for one, other in pairwise(starts)]
    total = _columns(samples, params)
    windows = []
    for number, start in enumerate(starts):
        first = borders[number - 1] if number else 0
        last = borders[number] if number < len(borders) else total
        middle = 0 if number == 0 else total if number == len(borders) else (first + last) / 2
        sample = samples * number / max(len(borders), 1) if kind == "plain" else middle * params.hop_length
        moment = moment_at(min(sample, samples) / params.sample_rate)
        noise = _seeds_of(moment, number, seeds)
        windows.append(Window(number, start, width, first, last, 0, 0, moment, 0, noise))
    return Plan(kind, params, samples, first_sample, overlap, tuple(windows))


def _seeds_of(moment: Moment, number: int, seeds: str) -> tuple[int, int]:
    new = seeds == "new" or (seeds == "auto" and moment.is_constant)
    offset = number if new else 0
    return (moment.a.seed + offset) % 2**32, (moment.b.seed + offset) % 2**32


def check_width(width: int) -> None:
    """Raise a RiffusionError if windows cannot have that many columns."""
    if not (WIDTH[0] <= width <= WIDTH[1] and width % GRAIN == 0):
        raise RiffusionError(
            f"the width of a window must be a multiple of {GRAIN} between {GRAIN} and {LARGEST_SIDE}, got {width}"
        )


def check_overlap(overlap: int, width: int) -> None:
    """Raise a RiffusionError if the windows of a song cannot share that many columns."""
    if not (OVERLAP_GRAIN <= overlap <= width // 2 and overlap % OVERLAP_GRAIN == 0):
        raise RiffusionError(
            f"the overlap must be a multiple of 16 columns between 16 and {width // 2}, half the width; got {overlap}"
        )


def check_riff_overlap(overlap: int, width: int) -> None:
    """Raise a RiffusionError if the windows of a riff cannot share that many columns."""
    if not RIFF_OVERLAP[0] <= overlap <= width // 2:
        raise RiffusionError(f"the overlap must lie between 0 and {width // 2} columns, half the width; got {overlap}")
