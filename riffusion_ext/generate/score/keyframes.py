"""Prompts of a song over time: keyframes, each moving towards the next.

::

    keyframe   |  A: 8 bars  |  B: 8 bars  |  C: 4 bars |
    prompt     A ----------> B ----------> C ===========|     the last one stays (or moves back to the first)

As text, one per line (:mod:`riffusion_ext.generate.score.parser`)::

    8 bars | funky sax, upbeat -- vocals | seed 42 | denoise 0.6 | cfg 7
    0:20 | jazz piano
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from itertools import accumulate

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.bounds import BEATS_PER_BAR, BPM, CFG, DENOISE, PART_BARS, PART_SECONDS, POWER
from riffusion_ext.validation.numbers import in_range, is_finite, shown

__all__ = [
    "CFG_DECIMALS",
    "DENOISE_DECIMALS",
    "MAX_SECONDS",
    "RANDOM_SEED",
    "TEMPI",
    "Keyframe",
    "Moment",
    "Score",
    "check_seed",
    "check_tempo",
    "choose_seed",
]

RANDOM_SEED = -1
"""The seed value that stands for "choose one"."""

DENOISE_DECIMALS, CFG_DECIMALS = 2, 1
"""Decimals to which values are rounded: smaller steps are inaudible, and windows with equal values share a batch."""

MAX_SECONDS = float(PART_SECONDS[1])
TEMPI = BPM
"""Slowest and fastest tempo, in beats per minute."""


@dataclass(frozen=True)
class Keyframe:
    """Prompt and settings at one time, and the duration up to the next keyframe.

    Parameters
    ----------
    prompt, negative
        Prompts in the host's syntax.
    seed
        Seed of the noise, 0 to 2 ** 32 - 1; -1 takes that of the keyframe before, or a random one in the first.
    denoise
        Denoising strength on an init image, 0 to 1. Ignored without an init image.
    cfg
        Guidance scale, 1 to 30.
    seconds, bars
        Duration; exactly one of the two. The last keyframe of a song may last 0.

    Raises
    ------
    RiffusionError
        A number is out of range, or not exactly one duration is set.
    """

    prompt: str
    negative: str = ""
    seed: int = RANDOM_SEED
    denoise: float = 0.75
    cfg: float = 7.0
    seconds: float | None = None
    bars: float | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        _check_texts(prompt=self.prompt, negative=self.negative)
        in_range("denoise", self.denoise, *DENOISE)
        in_range("CFG", self.cfg, *CFG)
        if (self.seconds is None) == (self.bars is None):
            raise RiffusionError("a keyframe lasts so many seconds or so many bars: give one of them")
        if self.seconds is not None:
            in_range("the duration in seconds", self.seconds, *PART_SECONDS)
        if self.bars is not None:
            in_range("the duration in bars", self.bars, *PART_BARS)


@dataclass(frozen=True)
class Moment:
    """Interpolation between two keyframes at one time.

    Attributes
    ----------
    a, b
        Start and end keyframe; the same one where the song stays.
    alpha
        Position between them, 0 to 1, after the power curve.
    denoise, cfg
        Interpolated values.
    """

    a: Keyframe
    b: Keyframe
    alpha: float
    denoise: float
    cfg: float

    @property
    def is_constant(self) -> bool:
        """Whether prompts and seed are constant here."""
        a, b = self.a, self.b
        return (a.prompt, a.negative, a.seed) == (b.prompt, b.negative, b.seed)


@dataclass(frozen=True)
class Score:
    """Sequence of keyframes.

    Parameters
    ----------
    keyframes
        At least one.
    bpm
        Beats per minute, 20 to 400; required if a keyframe lasts a number of bars.
    beats_per_bar
        1 to 16.
    power
        Shape of the transition from one keyframe to the next, above 0: with ``a = 2 t - 1``, alpha is
        ``(|a| ** power * sign(a) + 1) / 2``, as in the original. 1 is linear; below 1 the middle passes fast, above 1
        slowly.
    loop
        Whether the last keyframe moves towards the first, instead of staying.

    Raises
    ------
    RiffusionError
        There are no keyframes, or a number is out of range.
    """

    keyframes: tuple[Keyframe, ...]
    bpm: float | None = None
    beats_per_bar: int = 4
    power: float = 1.0
    loop: bool = False

    def __post_init__(self) -> None:
        if not self.keyframes:
            raise RiffusionError("the song has no keyframe: write at least one line, such as: 0:20 | jazz piano")
        if self.bpm is not None:
            in_range("the tempo in beats per minute", self.bpm, *TEMPI)
        in_range("the number of beats in a bar", self.beats_per_bar, *BEATS_PER_BAR, whole=True)
        in_range("the power of the transitions", self.power, *POWER)
        for number, keyframe in enumerate(self.keyframes[:-1], 1):
            if not (keyframe.seconds or keyframe.bars):
                raise RiffusionError(f"keyframe {number} lasts 0; only the last one may")
        if self.bpm is None and any(keyframe.bars is not None for keyframe in self.keyframes):
            raise RiffusionError("a duration is given in bars, so the tempo is needed: say how many beats per minute")
        in_range("the length of the song in seconds", self.seconds, 0.01, MAX_SECONDS)

    def duration(self, keyframe: Keyframe) -> float:
        """Return the duration of a keyframe in seconds."""
        if keyframe.bars is None:
            return keyframe.seconds or 0.0
        return keyframe.bars * self.beats_per_bar * 60.0 / (self.bpm or 1.0)

    @property
    def starts(self) -> tuple[float, ...]:
        """Start times of the keyframes in seconds, then the end of the song."""
        return (0.0, *accumulate(self.duration(keyframe) for keyframe in self.keyframes))

    @property
    def seconds(self) -> float:
        """Length of the song in seconds."""
        if all(keyframe.bars is not None for keyframe in self.keyframes):  # one product, not a sum of rounded ones
            bars = math.fsum(keyframe.bars or 0.0 for keyframe in self.keyframes)
            return bars * self.beats_per_bar * 60.0 / (self.bpm or 1.0)
        return math.fsum(self.duration(keyframe) for keyframe in self.keyframes)

    def samples(self, sample_rate: int) -> int:
        """Return the length of the song in samples, at least 1."""
        return max(1, round(self.seconds * sample_rate))

    def at(self, seconds: float) -> Moment:
        """Return the moment at a time; times outside the song give that of its start or end."""
        starts = self.starts
        number = sum(1 for start in starts[1:-1] if start <= seconds)
        if (
            number and starts[number] == starts[number + 1]
        ):  # the last one lasts 0: the moment is the end of the transition to it
            number -= 1
        a = self.keyframes[number]
        following = (*self.keyframes, self.keyframes[0] if self.loop else a)
        b = following[number + 1]
        lasts = starts[number + 1] - starts[number]
        share = min(max((seconds - starts[number]) / lasts, 0.0), 1.0) if lasts > 0 else 0.0
        alpha = 0.0 if b is a else power_curve(share, self.power)
        return Moment(
            a, b, alpha, _mix(a.denoise, b.denoise, alpha, DENOISE_DECIMALS), _mix(a.cfg, b.cfg, alpha, CFG_DECIMALS)
        )

    def resolve_seeds(self, seed: int = RANDOM_SEED) -> Score:
        """Return the score with each seed of -1 replaced by the one before it; the first by `seed` or a random one."""
        current = choose_seed(seed)
        keyframes = []
        for keyframe in self.keyframes:
            current = current if keyframe.seed == RANDOM_SEED else keyframe.seed
            keyframes.append(replace(keyframe, seed=current))
        return replace(self, keyframes=tuple(keyframes))


def power_curve(share: float, power: float) -> float:
    """Return the alpha of the original's power curve, symmetric about the middle."""
    a = 2.0 * share - 1.0
    return (math.copysign(abs(a) ** power, a) + 1.0) / 2.0


def check_tempo(bpm: float) -> None:
    """Raise a RiffusionError if a tempo in beats per minute is outside :data:`TEMPI`."""
    in_range("the tempo", bpm, *TEMPI, unit="beats per minute")


def check_seed(seed: int) -> None:
    """Raise a RiffusionError if a seed is neither -1 nor one that a host accepts."""
    if not (is_finite(seed) and RANDOM_SEED <= seed < 2**32 and seed == int(seed)):
        raise RiffusionError(f"a seed must lie between 0 and {2**32 - 1}, or be -1 to choose one, got {shown(seed)}")


def choose_seed(seed: int) -> int:
    """Return the seed, or a random one for -1."""
    return random.randrange(2**32) if seed == RANDOM_SEED else seed


def _mix(a: float, b: float, alpha: float, decimals: int) -> float:
    return min(max(round(a + (b - a) * alpha, decimals), min(a, b)), max(a, b))


def _check_texts(**texts: object) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            raise RiffusionError(f"the {name} must be a text, got {shown(text)}")
