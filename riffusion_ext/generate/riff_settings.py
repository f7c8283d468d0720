"""Settings of a riff: how a song is regenerated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from riffusion_ext.audio.mix import LAWS
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.bounds import CHANNELS, POWER, SPREAD, STEPS
from riffusion_ext.generate.score.automation import Curve
from riffusion_ext.generate.score.keyframes import CFG_DECIMALS, DENOISE_DECIMALS, Keyframe, Moment, Score
from riffusion_ext.generate.windows.plan import check_riff_overlap, check_width
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.numbers import in_range, shown

__all__ = ["CHANNELS", "PRESETS_RIFF", "RiffSettings"]

_ALL_WET = Curve.constant(1.0)


@dataclass(frozen=True)
class RiffSettings:
    """Settings of a riff.

    Parameters
    ----------
    keyframes
        Prompts over time; the last one stays.
    stretch
        Whether the durations of the keyframes are scaled to the length of the song.
    denoise, cfg
        Curves over time that replace the values of the keyframes; None: those.
    start, duration
        Part of the song in seconds; None: to its end.
    channels
        Layers of the riff, one of :data:`CHANNELS`.
    spread
        How far a doubled song is panned, 0 to 1.
    wet
        Share of the result in the mix with the song, 0 to 1, over time.
    law
        Mixing law, one of :data:`~riffusion_ext.audio.mix.LAWS`.
    width, overlap, seeds
        See :func:`~riffusion_ext.generate.windows.plan.plan_riff`.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    params
        Spectrogram parameters of the images.
    power
        Exponent of the transitions between keyframes.
    level
        See :func:`~riffusion_ext.audio.level.apply_level`; "recorded" keeps the level of the song.

    Raises
    ------
    RiffusionError
        A choice is unknown, or a number out of range.
    """

    keyframes: tuple[Keyframe, ...]
    stretch: bool = True
    denoise: Curve | None = None
    cfg: Curve | None = None
    start: float = 0.0
    duration: float | None = None
    channels: str = "mono"
    spread: float = 1.0
    wet: Curve = _ALL_WET
    law: str = "equal-power"
    width: int = 512
    overlap: int = 128
    seeds: str = "fixed"
    steps: int = 30
    sampler: str = ""
    params: SpectrogramParams = PRESETS["riffusion-v1"]
    power: float = 1.0
    level: str = "recorded"

    def __post_init__(self) -> None:
        for name, choices in (("channels", CHANNELS), ("law", LAWS)):
            if getattr(self, name) not in choices:
                raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {shown(getattr(self, name))}")
        for name in ("denoise", "cfg", "wet"):
            curve = getattr(self, name)
            if not isinstance(curve, Curve) and (curve is not None or name == "wet"):
                raise RiffusionError(f"{name} must be a curve, got {shown(curve)}")
        if self.channels != "mono" and self.params.stereo:
            raise RiffusionError(f"images in stereo hold both sides already; {self.channels} needs images in mono")
        in_range("the number of steps", self.steps, *STEPS)
        in_range("the spread of a doubled song", self.spread, *SPREAD)
        in_range("the power of the transitions", self.power, *POWER)
        check_width(self.width)
        check_riff_overlap(self.overlap, self.width)

    def resolve_seeds(self, seed: int = -1) -> RiffSettings:
        """Return the settings with resolved seeds, so that the riff can be reproduced."""
        score = Score(tuple(replace(item, seconds=1.0, bars=None) for item in self.keyframes)).resolve_seeds(seed)
        pairs = zip(self.keyframes, score.keyframes, strict=True)
        return replace(self, keyframes=tuple(replace(item, seed=resolved.seed) for item, resolved in pairs))

    def moment_at(self, length: float) -> Callable[[float], Moment]:
        """Return the function from seconds to the moment, for a song of `length` seconds."""
        keyframes = self.keyframes
        if self.stretch:
            whole = sum(item.seconds or item.bars or 0.0 for item in keyframes) or 1.0
            lengths = [(item.seconds or item.bars or 0.0) * length / whole for item in keyframes]
            keyframes = tuple(replace(item, seconds=n, bars=None) for item, n in zip(keyframes, lengths, strict=True))
        score = Score(keyframes, power=self.power)

        def at(seconds: float) -> Moment:
            moment = score.at(seconds)
            denoise = _number(self.denoise, seconds, DENOISE_DECIMALS, otherwise=moment.denoise)
            cfg = _number(self.cfg, seconds, CFG_DECIMALS, otherwise=moment.cfg)
            return replace(moment, denoise=denoise, cfg=cfg)

        return at


def _number(curve: Curve | None, seconds: float, decimals: int, *, otherwise: float) -> float:
    if curve is None:
        return otherwise
    return curve.at(seconds) if curve.fixed else round(curve.at(seconds), decimals)


PRESETS_RIFF: dict[str, dict[str, float | int]] = {
    "Subtle": {"denoise": 0.2, "cfg": 4.0, "steps": 25},
    "Cover": {"denoise": 0.3, "cfg": 6.0, "steps": 40},
    "Bold": {"denoise": 0.4, "cfg": 8.0, "steps": 50},
}
"""Presets that keep a song recognisable: little denoising, moderate guidance (after neurochip's guide)."""
