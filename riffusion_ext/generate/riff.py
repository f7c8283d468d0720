"""A whole song, regenerated: audio to audio.

::

    song --encode--> windows, each with its own black --img2img--> windows --weave, decode--> wet --mix--> sound

What is generated is one or two layers: one ("mono"), the two sides of the song with the same noise ("stereo"), or the
same song twice with two noises, panned ("double").
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from riffusion_ext.audio import AudioClip, apply_level
from riffusion_ext.audio.mix import double, dry_wet
from riffusion_ext.audio.workload import check
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.generate.checkpoint.retention import mark, remove_old
from riffusion_ext.generate.checkpoint.runner import ReadImage, RenderFolder
from riffusion_ext.generate.piece import Piece, short_digest
from riffusion_ext.generate.riff_settings import RiffSettings
from riffusion_ext.generate.score.automation import Curve
from riffusion_ext.generate.score.keyframes import Moment
from riffusion_ext.generate.windows.blend import HOLD_RIFF
from riffusion_ext.generate.windows.plan import Plan, Window, plan_riff
from riffusion_ext.generate.windows.preview import mel_difference, sound_of
from riffusion_ext.generate.windows.song_images import SongImages
from riffusion_ext.generate.windows.warnings import passed_over
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.workload import decode_workload

__all__ = ["INFOTEXT_KEY", "Riff", "RiffSettings"]

INFOTEXT_KEY = "Riffusion riff"


@dataclass(frozen=True)
class _Layer:
    """One way through all windows.

    Attributes
    ----------
    name
        Of its folder.
    channel
        Of the song: its number, or None for all of them mixed.
    seed_offset
        Added to the seeds.
    """

    name: str
    channel: int | None = None
    seed_offset: int = 0


_LAYERS = {
    "mono": (_Layer("mono"),),
    "stereo": (_Layer("left", 0), _Layer("right", 1)),
    "double": (_Layer("first"), _Layer("second", None, 1)),
}


class Riff(Piece):
    """A song that is regenerated, and the folder where that happens.

    Parameters
    ----------
    clip
        The song.
    settings
        Seeds of -1 are decided here: :attr:`settings` has them. To go on with an unfinished riff, give those.
    folder
        For windows; each riff has folders of its own inside, named after all that decides its images, and so have
        the images that they start from, which riffs of one song share. Old ones of finished riffs are removed, see
        :mod:`riffusion_ext.generate.checkpoint.retention`.
    decode
        Engine and device for the sound.

    Raises
    ------
    RiffusionError
        The settings do not fit the song, or it needs more memory than is allowed.
    """

    kind = "riff"
    infotext_key = INFOTEXT_KEY
    settings: RiffSettings

    def __init__(
        self, clip: AudioClip, settings: RiffSettings, folder: Path, *, decode: DecodeSettings | None = None
    ) -> None:
        super().__init__(settings.settled(), folder, decode)
        self._notes = clip.notes
        seconds = min(clip.duration, settings.duration or math.inf)
        columns = settings.params.columns_of_samples(math.ceil(seconds * settings.params.sample_rate))
        layers = len(_LAYERS[settings.channels])
        check(decode_workload(settings.params, columns, images=layers, engine=self.decode.engine))
        song = clip.resample(settings.params.sample_rate)
        self.plan = self._plan(song.samples.shape[1])
        first = self.plan.first_sample
        self.dry = AudioClip(song.samples[:, first : first + self.plan.samples], song.sample_rate)
        # Both sides of a song in mono are the same, and so would be what becomes of them.
        same = settings.channels == "stereo" and song.channels == 1
        self._parts = _LAYERS["mono" if same else settings.channels]
        self._sources: list[SongImages] = []

    def _plan(self, total: int) -> Plan:
        wanted = self.settings
        if not total:
            raise RiffusionError("the song has no samples")

        def plan(moment_at: Callable[[float], Moment]) -> Plan:
            return plan_riff(
                total,
                wanted.params,
                moment_at,
                width=wanted.width,
                overlap=wanted.overlap,
                start=wanted.start,
                duration=wanted.duration,
                seeds=wanted.seeds,
            )

        length = plan(wanted.moment_at(1.0)).seconds  # the way between the keyframes depends on it
        return plan(wanted.moment_at(length))

    def _prepare(self, limit: int | None) -> None:
        """Draw what the first so many windows start from, where it is not there."""
        for sources in self._sources:
            sources.draw(limit)
            mark(sources.folder)
        remove_old(self.folder / "sources")

    def _layers(self) -> Iterator[RenderFolder]:
        self._sources = []
        digest = hashlib.sha256(np.ascontiguousarray(self.dry.samples).data).hexdigest()
        for layer in self._parts:
            plan = _with_seeds(self.plan, layer.seed_offset)
            generating = {"model": self._model, "steps": self.settings.steps, "sampler": self.settings.sampler}
            record = {"song": digest, "layer": layer.name, **generating}
            sources = SongImages(self._sources_folder(digest, layer), plan, self.dry, layer.channel)
            yield self._render_folder(plan, record, partial(self._request, sources), sources.max_value)
            self._sources.append(sources)

    def _sources_folder(self, digest: str, layer: _Layer) -> Path:
        """Return where the images lie that a layer starts from, named after all that decides them."""
        windows = [(window.start, window.width) for window in self.plan.windows]
        return self.folder / "sources" / short_digest([digest, layer.channel, asdict(self.plan.params), windows])

    def _request(self, sources: SongImages, window: Window, _open: ReadImage) -> Request:
        moment = window.moment
        return Request(
            prompts=(moment.a.prompt, moment.b.prompt),
            alpha=moment.alpha,
            negatives=(moment.a.negative, moment.b.negative),
            seeds=window.seeds,
            cfg=moment.cfg,
            denoise=moment.denoise,
            steps=self.settings.steps,
            sampler=self.settings.sampler,
            width=window.width,
            height=self.settings.params.num_frequencies,
            init=sources.image(window.number).convert("RGB"),
        )

    def wet(self, *, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the result by itself, as loud as its images say, as far as it can be heard; None: nothing yet."""
        plan = self.beginning()
        return None if plan is None else self._wet(plan, 0, self.decode, progress)

    def _decoded(
        self, plan: Plan, first: int, decode: DecodeSettings, progress: Callable[[float], None] | None
    ) -> AudioClip:
        begin = plan.first_sample - self.plan.first_sample
        return self.mix(self._wet(plan, first, decode, progress), begin=begin)

    def _wet(
        self, plan: Plan, first: int, decode: DecodeSettings, progress: Callable[[float], None] | None
    ) -> AudioClip:
        def read(work: RenderFolder) -> ReadImage:
            return lambda number: work.image(first + number)

        clips = [
            sound_of(plan, read(work), decode, hold=HOLD_RIFF, measured=work.measured, first=first, progress=part)
            for work, part in zip(self._works, _parts(progress, len(self._works)), strict=True)
        ]
        if len(clips) == 1:
            return clips[0]
        return double(*clips, width=self.settings.spread if self.settings.channels == "double" else 1.0)

    def mix(self, wet: AudioClip, *, share: Curve | None = None, begin: int = 0) -> AudioClip:
        """Mix the result with the song, sample on sample, over the length of the result; at the level of choice.

        Parameters
        ----------
        wet
            From :meth:`wet`.
        share
            Of the result; None: that of the settings.
        begin
            Sample of the riff that the result begins with.
        """
        rate = self.dry.sample_rate
        dry = AudioClip(self.dry.samples[:, begin : begin + wet.samples.shape[1]], rate)
        share = self.settings.wet if share is None else share
        if share.fixed and share.points[0][1] == 1.0:
            mixed = wet
        else:
            mixed = dry_wet(dry, wet, lambda seconds: share.over(seconds + begin / rate), law=self.settings.law)
        return apply_level(mixed, self.settings.level)

    def difference(self, *, lost: bool = False, progress: Callable[[float], None] | None = None) -> AudioClip | None:
        """Return the sound of what the result has more than the song, or less where `lost`; None: nothing yet."""
        plan = self.beginning()
        if plan is None:
            return None
        self._prepare(len(plan.windows))
        clips = []
        parts = _parts(progress, len(self._works))
        for work, sources, part in zip(self._works, self._sources, parts, strict=True):
            more, less = (sources, work) if lost else (work, sources)
            clips.append(mel_difference(plan, more.image, less.image, self.decode, hold=HOLD_RIFF, progress=part))
        return double(*clips) if len(clips) == 2 else clips[0]

    @property
    def notes(self) -> list[str]:
        """Sentences about what was repaired in the song, and about keyframes that will not be heard."""
        return [*self._notes, *passed_over(self.plan, self.settings.keyframes)]

    @property
    def seed(self) -> int:
        """That of the first keyframe."""
        return self.settings.keyframes[0].seed

    def _described(self) -> dict[str, Any]:
        told = super()._described()
        return told | {"extra": told["extra"] | {"Denoising strength": self.plan.windows[0].moment.denoise}}


def _with_seeds(plan: Plan, offset: int) -> Plan:
    """Return the plan with so much added to its seeds."""

    def moved(window: Window) -> Window:
        a, b = window.seeds
        return replace(window, seeds=((a + offset) % 2**32, (b + offset) % 2**32))

    return replace(plan, windows=tuple(moved(window) for window in plan.windows)) if offset else plan


def _parts(progress: Callable[[float], None] | None, count: int) -> list[Callable[[float], None] | None]:
    """Return progress functions for so many equal parts of the whole."""
    if progress is None:
        return [None] * count

    def part(number: int) -> Callable[[float], None]:
        return lambda share: progress((number + share) / count)

    return [part(number) for number in range(count)]
