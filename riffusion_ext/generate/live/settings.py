"""Settings of a jam."""

from __future__ import annotations

from dataclasses import dataclass, replace

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.bounds import AHEAD_S, BEATS_PER_BAR, DENOISE, PATTERNS, STEPS, TRAVEL
from riffusion_ext.generate.score.keyframes import RANDOM_SEED, Keyframe, check_tempo, choose_seed
from riffusion_ext.generate.windows.plan import check_overlap, check_width
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.numbers import in_range, shown

__all__ = ["INFOTEXT_KEY", "JamSettings"]

INFOTEXT_KEY = "Riffusion jam"


@dataclass(frozen=True)
class JamSettings:
    """Settings of a jam.

    Parameters
    ----------
    prompt, negative
        Prompt and negative prompt at the start.
    seed
        Seed of the first noise; -1 chooses one. Each window has another.
    cfg, denoise
        See :class:`~riffusion_ext.generate.score.keyframes.Keyframe`.
    travel
        Windows from one prompt to the next, 1 to 64.
    ahead
        Seconds generated ahead of the playback position, 5 to 300.
    bpm, beats_per_bar, beat
        Tempo, meter and pattern of the beat in the init image of each window; the pattern is one of
        :data:`~riffusion_ext.generate.windows.init_images.PATTERNS`.
    bridge_denoise
        Denoising strength of windows that continue the one before, if there is no beat.
    width, overlap
        Columns of a window, a multiple of 64; columns shared by neighbours, a multiple of 16, at most half the width.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    params
        Spectrogram parameters of the images.

    Raises
    ------
    RiffusionError
        A value is out of range.
    """

    prompt: str
    negative: str = ""
    seed: int = RANDOM_SEED
    cfg: float = 7.0
    denoise: float = 0.75
    travel: int = 4
    ahead: float = 20.0
    bpm: float = 120.0
    beats_per_bar: int = 4
    beat: str = "none"
    bridge_denoise: float = 1.0
    width: int = 512
    overlap: int = 128
    steps: int = 30
    sampler: str = ""
    params: SpectrogramParams = PRESETS["riffusion-v1"]

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise RiffusionError("Write a prompt first.")
        if self.beat not in PATTERNS:
            raise RiffusionError(f"beat must be one of {', '.join(PATTERNS)}, got {shown(self.beat)}")
        check_tempo(self.bpm)
        in_range("the number of beats in a bar", self.beats_per_bar, *BEATS_PER_BAR)
        in_range("the number of windows of a transition", self.travel, *TRAVEL)
        in_range("the seconds generated ahead", self.ahead, *AHEAD_S)
        in_range("the strength of the bridges", self.bridge_denoise, *DENOISE)
        in_range("the number of steps", self.steps, *STEPS)
        check_width(self.width)
        check_overlap(self.overlap, self.width)
        self.keyframe()

    def resolve_seeds(self) -> JamSettings:
        """Return the settings with a seed of -1 replaced by a random one."""
        return self if self.seed != RANDOM_SEED else replace(self, seed=choose_seed(self.seed))

    def keyframe(self) -> Keyframe:
        """Return the keyframe at the start."""
        return Keyframe(self.prompt, self.negative, self.seed, self.denoise, self.cfg, seconds=1.0)
