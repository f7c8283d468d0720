"""Text to minutes of music: prompts that travel, generated window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from riffusion_ext.audio import AudioClip, apply_level
from riffusion_ext.audio.workload import check
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.generate.bounds import DENOISE, JOINS, STEPS
from riffusion_ext.generate.checkpoint.recipe import image_id
from riffusion_ext.generate.checkpoint.runner import ReadImage, RenderFolder
from riffusion_ext.generate.piece import Piece
from riffusion_ext.generate.score.keyframes import Score
from riffusion_ext.generate.windows.init_images import PATTERNS, beat_image, tiled
from riffusion_ext.generate.windows.masks import combined, soft_mask
from riffusion_ext.generate.windows.outpaint import between
from riffusion_ext.generate.windows.plan import Plan, Window, check_overlap, check_width, plan_plain, plan_song
from riffusion_ext.generate.windows.preview import image_of, sound_of
from riffusion_ext.generate.windows.warnings import passed_over
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.settings import DecodeSettings
from riffusion_ext.spectrogram.workload import decode_workload
from riffusion_ext.validation.numbers import in_range, shown

__all__ = ["INFOTEXT_KEY", "JOINS", "Song", "SongSettings"]

INFOTEXT_KEY = "Riffusion song"


@dataclass(frozen=True)
class SongSettings:
    """How a song is made.

    Parameters
    ----------
    score
        What it is, over time.
    join
        One of :data:`JOINS`.
    beat
        Pattern of the seed image, one of :data:`~riffusion_ext.generate.windows.init_images.PATTERNS`; not used
        where an image is given. It needs the tempo of the score.
    bridge_denoise
        Strength with which windows between others are generated where there is no seed image.
    width, overlap, seeds
        See :func:`~riffusion_ext.generate.windows.plan.plan_song`.
    steps, sampler
        See :class:`~riffusion_ext.generate.backends.base.Request`.
    params
        Of the images.
    level
        See :func:`~riffusion_ext.audio.level.apply_level`.

    Raises
    ------
    RiffusionError
        A choice is unknown, a number out of range, or a beat has no tempo.
    """

    score: Score
    join: str = "outpaint"
    beat: str = "none"
    bridge_denoise: float = 1.0
    width: int = 512
    overlap: int = 128
    seeds: str = "auto"
    steps: int = 30
    sampler: str = ""
    params: SpectrogramParams = PRESETS["riffusion-v1"]
    level: str = "peak"

    def __post_init__(self) -> None:
        for name, choices in (("join", JOINS), ("beat", PATTERNS)):
            if getattr(self, name) not in choices:
                raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {shown(getattr(self, name))}")
        if self.beat != "none" and self.score.bpm is None:
            raise RiffusionError(f"the beat {self.beat!r} needs a tempo: say how many beats per minute")
        in_range("the number of steps", self.steps, *STEPS)
        in_range("the strength of the bridges", self.bridge_denoise, *DENOISE)
        check_width(self.width)
        if self.join != "plain":
            check_overlap(self.overlap, self.width)

    def settled(self, seed: int = -1) -> SongSettings:
        """Return the settings with every seed decided, so that the song can be made again."""
        return replace(self, score=self.score.settled(seed))


class Song(Piece):
    """A song, and the folder where it is generated.

    Parameters
    ----------
    settings
        Seeds of -1 are decided here: :attr:`settings` has them. To go on with an unfinished song, give those.
    folder
        For windows; each song has a folder of its own inside, named after all that decides its images. Old ones of
        finished songs are removed, see :mod:`riffusion_ext.generate.checkpoint.retention`.
    seed_picture
        What the windows start from, repeated along the song; None: the beat, or noise alone.
    mask
        Where the seed image is regenerated: white all, black nothing. Scaled to the windows.
    before
        An image that the song goes on from: it begins with the last columns of it.
    decode
        Engine and device for the sound.

    Raises
    ------
    RiffusionError
        The settings do not fit together, or the song needs more memory than is allowed.
    """

    kind = "song"
    infotext_key = INFOTEXT_KEY
    settings: SongSettings

    def __init__(
        self,
        settings: SongSettings,
        folder: Path,
        *,
        seed_picture: Image.Image | None = None,
        mask: Image.Image | None = None,
        before: Image.Image | None = None,
        decode: DecodeSettings | None = None,
    ) -> None:
        settings = settings.settled()
        super().__init__(settings, folder, decode)
        if mask is not None and seed_picture is None and settings.beat == "none":
            raise RiffusionError("a mask keeps parts of an init image, so it needs one: choose an image or a beat")
        self._seed = seed_picture
        given = {"seed_picture": seed_picture, "mask": mask, "before": before}
        self._images = {name: image_id(image) for name, image in given.items() if image is not None}
        height = settings.params.num_frequencies
        self._mask = None if mask is None else mask.convert("L").resize((settings.width, height))
        self._before = None if before is None else tiled(before, 0, before.width, height)
        self.plan = self._plan()

    def _plan(self) -> Plan:
        wanted = self.settings
        columns = wanted.params.columns_of_samples(wanted.score.samples(wanted.params.sample_rate))
        check(decode_workload(wanted.params, columns, engine=self.decode.engine))
        if wanted.join == "plain":
            if self._before is not None:
                raise RiffusionError("a song that goes on from an image needs windows that overlap, not plain ones")
            return plan_plain(wanted.score, wanted.params, width=wanted.width, seeds=wanted.seeds)
        known = 0 if self._before is None else min(wanted.overlap, self._before.width // 8 * 8)
        return plan_song(
            wanted.score,
            wanted.params,
            width=wanted.width,
            overlap=wanted.overlap,
            seeds=wanted.seeds,
            known_start=known,
        )

    def _layers(self) -> Iterator[RenderFolder]:
        record = {
            "model": self._model,
            "steps": self.settings.steps,
            "sampler": self.settings.sampler,
            "beat": self.settings.beat,
            "bpm": self.settings.score.bpm,
            "beats_per_bar": self.settings.score.beats_per_bar,
            "bridge_denoise": self.settings.bridge_denoise,
            "pictures": self._images,
        }
        yield self._render_folder(self.plan, record, self._request)

    def _request(self, window: Window, read_image: ReadImage) -> Request:
        moment, height = window.moment, self.settings.params.num_frequencies
        init = self._start_image(window)
        denoise: float | None = moment.denoise
        if init is None and window.known_left + window.known_right:
            denoise = self.settings.bridge_denoise
            init = self._between(None, window, read_image)
        elif init is not None:
            init = self._between(init, window, read_image)
        else:
            denoise = None
        return Request(
            prompts=(moment.a.prompt, moment.b.prompt),
            alpha=moment.alpha,
            negatives=(moment.a.negative, moment.b.negative),
            seeds=window.seeds,
            cfg=moment.cfg,
            denoise=denoise,
            steps=self.settings.steps,
            sampler=self.settings.sampler,
            width=window.width,
            height=height,
            init=init,
            mask=combined(soft_mask(window.width, height, window.known_left, window.known_right), self._mask),
        )

    def _start_image(self, window: Window) -> Image.Image | None:
        """Return what the window starts from, where it knows nothing of its neighbours."""
        params, score = self.settings.params, self.settings.score
        if self._seed is not None:
            return tiled(self._seed, window.start, window.width, params.num_frequencies)
        if self.settings.beat == "none":
            return None
        return beat_image(
            score.bpm or 0.0,
            self.settings.beat,
            params,
            start=window.start,
            width=window.width,
            beats_per_bar=score.beats_per_bar,
        )

    def _between(self, init: Image.Image | None, window: Window, read_image: ReadImage) -> Image.Image:
        """Lay what the neighbours decide over both ends (:func:`~riffusion_ext.generate.windows.outpaint.between`)."""
        left, right = window.known_left, window.known_right
        known: list[np.ndarray | None] = [None, None]
        if left and window.number:
            before = self.plan.windows[window.number - 1]
            known[0] = np.asarray(read_image(before.number).convert("RGB"))[:, window.start - before.start :][:, :left]
        elif left and self._before is not None:
            known[0] = np.asarray(self._before)[:, -left:]
        if right:
            after = self.plan.windows[window.number + 1]
            known[1] = np.asarray(read_image(after.number).convert("RGB"))[:, : window.end - after.start][:, -right:]
        return between(init, known[0], known[1], (window.width, self.settings.params.num_frequencies))

    @property
    def windows_folder(self) -> Path | None:
        """Where the images of the windows lie, once generation has begun."""
        return self._works[0].folder / "windows" if self._works else None

    def _decoded(
        self, plan: Plan, first: int, decode: DecodeSettings, progress: Callable[[float], None] | None
    ) -> AudioClip:
        work = self._works[0]

        def read(number: int) -> Image.Image:
            return work.image(first + number)

        clip = sound_of(plan, read, decode, measured=work.measured, first=first, progress=progress)
        return apply_level(clip, self.settings.level)

    def image(self, *, columns: int | None = None) -> Image.Image | None:
        """Return the last so many columns that can be heard as one image, to go on from.

        Without a number, all of them. None: nothing yet.
        """
        plan = self.beginning()
        if plan is None:
            return None
        work = self._works[0]
        start = 0 if columns is None else max(plan.columns - columns, 0)
        return image_of(plan, work.image, start=start, measured=work.measured)

    @property
    def notes(self) -> list[str]:
        """Sentences about keyframes that will not be heard."""
        return passed_over(self.plan, self.settings.score.keyframes)

    @property
    def seed(self) -> int:
        """That of the first keyframe."""
        return self.settings.score.keyframes[0].seed
