r"""How much of an image is heard: all of it, its first columns, or whole bars of its beat.

::

    image    |..:....:....:....:....:....:....:....:....:..|     : are beats, four to a bar
    cut           |---------- 2 bars ---------------------|        whole bars from the first beat
    or wrapped |--|------------------------------------|           where only one bar would be left of two: the part
                \_________________________________________>        before the first beat goes to the end, where it
                                                                    leads into the next bar as it led into the first

The image is turned into sound as a whole, and the sound is cut. Cut the other way round, as sd-webui-riffusion does,
the reconstruction lacks what lies beyond the edges: measured on 35 clips of orchestral music, the error of the first
and the last 20 ms is -11 dB of their sound instead of -16 dB. An image of n columns also sounds one column shorter
than n steps, which is a beat lost after fifty loops; sound can be cut where the beat is, between columns.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from riffusion_ext.analysis.image_beats import BeatFinder, Beats, find_beats
from riffusion_ext.convert.bounds import CROP_WIDTH, CROPS
from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import in_range

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.params import SpectrogramParams

__all__ = [
    "CROPS",
    "FADE_S",
    "CropDecision",
    "CropSettings",
    "Cropper",
    "Cut",
    "beats_of",
    "cut_at_beats",
    "cut_at_width",
    "cut_loop",
    "darkness_of",
    "fade_ends",
]

FADE_S = 0.005
"""Every cut is faded that long, in s: a cut without a fade clicks."""

_SLACK = 0.005
"""Share of the image by which bars may pass its end, and are squeezed: as exact as a period can be measured in it.
Clips of seed images are cut to bars already; of such a one, half would be lost by a hundredth of a second."""

_MAX_LATENESS = 0.03
"""Share of the time between two beats by which a cut may begin after one."""

_MIN_WRAPPED_S = 0.05
"""Shortest part that is moved to the end; a cut that begins a little early is better than a splice."""


@dataclass(frozen=True)
class CropSettings:
    """How much of each image is heard.

    Parameters
    ----------
    method
        One of :data:`CROPS`.
    width
        Columns to keep, for ``fixed``: 2 to 65536. 100 columns of 10 ms are one second.
    finder
        What to take for a beat, for ``once`` and ``every``.

    Raises
    ------
    RiffusionError
        The method is unknown or the width out of range.
    """

    method: str = "none"
    width: int = 512
    finder: BeatFinder = field(default_factory=BeatFinder)

    def __post_init__(self) -> None:
        if self.method not in CROPS:
            raise RiffusionError(f"crop must be one of {', '.join(CROPS)}, got {self.method!r}")
        in_range("the width to keep", self.width, *CROP_WIDTH, unit="columns")


@dataclass(frozen=True)
class Cut:
    """The part of an image's sound that is heard.

    Attributes
    ----------
    start, duration
        In s. The part may pass the end of the sound only where it is wrapped.
    wrapped
        Heard are ``start`` to ``duration`` and then 0 to ``start``, instead of ``start`` to ``start + duration``.
    tempo
        Beats a minute; 0.0 where no beats were counted.
    beats
        Their number in the part.
    bars
        Number of bars.
    """

    start: float
    duration: float
    wrapped: bool = False
    tempo: float = 0.0
    beats: int = 0
    bars: int = 0

    @property
    def bodies(self) -> list[tuple[float, float]]:
        """The parts to play one after the other, each as (start, duration) in s."""
        if self.wrapped:
            return [(self.start, self.duration - self.start), (0.0, self.start)]
        return [(self.start, self.duration)]

    def as_dict(self) -> dict[str, object]:
        """Return the cut as plain values, times to the microsecond."""
        times = {"start": round(self.start, 6), "duration": round(self.duration, 6)}
        return {**asdict(self), **times, "tempo": round(self.tempo, 3)}


def darkness_of(image: Image.Image) -> npt.NDArray[np.float32]:
    """Return how dark an image is, [height, columns], 0 to 1; of a stereo image the mean of both sides."""
    from riffusion_ext.spectrogram.image import is_stereo, pixels_of

    pixels = pixels_of(image)
    channels = [1, 2] if is_stereo(pixels) else [0]
    return np.asarray(1.0 - pixels[..., channels].mean(axis=2, dtype=np.float32) / 255.0, np.float32)


def beats_of(image: Image.Image, finder: BeatFinder, params: SpectrogramParams) -> Beats:
    """Find the beats of an image.

    Raises
    ------
    ImageError
        It has no pixels to look at.
    """
    return find_beats(
        darkness_of(image),
        finder,
        step_s=params.hop_length / params.sample_rate,
        window_s=params.win_length / params.sample_rate,
    )


def cut_at_width(columns: int, width: int, step_s: float) -> Cut | None:
    """Return the first `width` columns' time; None where the image is no longer than that."""
    return Cut(0.0, width * step_s) if width < columns - 1 else None


def cut_at_beats(beats: Beats, rhythm: int, step_s: float) -> tuple[Cut | None, str]:
    """Return the longest loop of whole bars in an image, and where there is none, why.

    It begins on the first beat where that costs no bar. Else it is wrapped; see the drawing above.

    Parameters
    ----------
    beats
        Of the image.
    rhythm
        Beats in a bar.
    step_s
        Time between two columns, in s.
    """
    if not beats.period:
        return None, beats.why
    length = float(len(beats.row) - 1)  # of the sound, in columns
    bar, start = rhythm * beats.period, max(0.0, beats.first)
    bars = math.floor(length * (1 + _SLACK) / bar)
    if not bars:
        return None, f"a bar of {rhythm} beats is longer than the image"
    whole = min(bars * bar, length)
    wrapped = start + bars * bar > length * (1 + _SLACK)
    if wrapped and start * step_s < _MIN_WRAPPED_S:
        start, wrapped = length - whole, False
    elif wrapped and whole - start <= _MAX_LATENESS * beats.period:  # the first beat is at the end of the cut
        start, wrapped = 0.0, False
    if not wrapped:
        whole = min(whole, length - start)
    tempo = 60.0 / (whole / bars / rhythm * step_s)
    return Cut(start * step_s, whole * step_s, wrapped, tempo, bars * rhythm, bars), ""


@dataclass(frozen=True)
class CropDecision:
    """What was decided about an image.

    Attributes
    ----------
    cut
        None leaves it whole.
    beats
        None where nobody looked for them.
    notes
        Sentences for the user.
    """

    cut: Cut | None = None
    beats: Beats | None = None
    notes: tuple[str, ...] = ()


class Cropper:
    """Decides where images are cut, one after the other.

    Parameters
    ----------
    settings
        How much of each image is heard.
    """

    def __init__(self, settings: CropSettings) -> None:
        self.settings = settings
        self._once: Cut | None = None

    def decide(self, image: Image.Image, params: SpectrogramParams) -> CropDecision:
        """Decide about the next image.

        Raises
        ------
        ImageError
            It cannot be looked at.
        """
        settings, step_s = self.settings, params.hop_length / params.sample_rate
        if settings.method == "none":
            return CropDecision()
        if settings.method == "fixed":
            return CropDecision(cut_at_width(image.width, settings.width, step_s))
        if self._once is not None:
            return _reuse_cut(self._once, image.width, step_s)
        beats = beats_of(image, settings.finder, params)
        cut, why = cut_at_beats(beats, settings.finder.rhythm, step_s)
        if cut is None:
            return CropDecision(None, beats, (f"{why}, so the image is heard whole",))
        if settings.method == "once":
            self._once = cut
        return CropDecision(cut, beats, (_describe_cut(cut),))


def _reuse_cut(cut: Cut, columns: int, step_s: float) -> CropDecision:
    """Use another image's cut, where there is enough sound for it."""
    length = (columns - 1) * step_s
    end = cut.duration if cut.wrapped else cut.start + cut.duration
    if end <= length + 0.5 * step_s:
        return CropDecision(cut)
    return CropDecision(
        notes=(f"the cut at {end:.2f} s lies past its end at {length:.2f} s, so the image is heard whole",)
    )


def _describe_cut(cut: Cut) -> str:
    bars = "1 bar" if cut.bars == 1 else f"{cut.bars} bars"
    where = f"{cut.start:.2f} s to {cut.start + cut.duration:.2f} s"
    if cut.wrapped:
        where = f"{cut.start:.2f} s to {cut.duration:.2f} s, then what comes before the first beat"
    return f"{bars} of {cut.beats // cut.bars} beats at {cut.tempo:.1f} a minute: {where}"


def cut_loop(clip: AudioClip, cut: Cut) -> AudioClip:
    """Return the part of an image's sound that is heard, so that it can be repeated without a click.

    The seam is faded over a few milliseconds into the sound around the cut, as if it were played twice.

    Parameters
    ----------
    clip
        The sound of the whole image.
    cut
        Where to cut it.
    """
    from riffusion_ext.audio import AudioClip, join

    bodies = cut.bodies
    twice = join([clip] * (2 * len(bodies)), crossfade=FADE_S, bodies=bodies * 2).samples
    length = twice.shape[1] // 2
    half = length // 2
    samples = np.concatenate([twice[:, length : length + half], twice[:, half:length]], axis=1)
    return AudioClip(samples, clip.sample_rate)


def fade_ends(clip: AudioClip) -> AudioClip:
    """Return the sound with its very ends faded: a cut there has nothing beyond it to fade into."""
    from riffusion_ext.audio import AudioClip

    length = min(round(FADE_S * clip.sample_rate), clip.samples.shape[1] // 2)
    ramp = np.sin((np.arange(length) + 0.5) * (math.pi / 2 / max(length, 1))).astype(np.float32)
    samples = clip.samples.copy()
    samples[:, :length] *= ramp
    samples[:, samples.shape[1] - length :] *= ramp[::-1]
    return AudioClip(samples, clip.sample_rate)
